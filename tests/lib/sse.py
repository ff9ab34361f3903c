"""Server-Sent Events as a reader has to read them (WHATWG HTML, 9.2.6), and a client."""
import collections
import datetime
import json
import re
import selectors
import socket
import sys
import time

Event = collections.namedtuple("Event", "id type data")


class Parser:
    """Bytes in, events out, exactly as the standard says."""

    def __init__(self):
        self.rest = b""
        self.first = True
        self.after_return = False
        self.data, self.type = [], b""
        self.id = self.last_id = b""
        self.retry = None
        self.comments = []

    def feed(self, piece):
        found = []
        self.rest += piece
        for line in self._lines():
            event = self._line(line)
            if event:
                found.append(event)
        return found

    def _lines(self):
        while True:
            if self.after_return and self.rest:
                self.after_return = False
                if self.rest[:1] == b"\n":
                    self.rest = self.rest[1:]
            ends = [at for at in (self.rest.find(b"\r"), self.rest.find(b"\n")) if at >= 0]
            if not ends:
                return
            end = min(ends)
            line, mark = self.rest[:end], self.rest[end:end + 1]
            self.rest = self.rest[end + 1:]
            self.after_return = mark == b"\r"
            if self.first:
                self.first = False
                if line.startswith(b"\xef\xbb\xbf"):
                    line = line[3:]
            yield line

    def _line(self, line):
        if not line:
            return self._dispatch()
        if line.startswith(b":"):
            self.comments.append(line[1:])
            return None
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"event":
            self.type = value
        elif name == b"data":
            self.data.append(value)
        elif name == b"id":
            if b"\0" not in value:
                self.id = value
        elif name == b"retry" and value.isdigit():
            self.retry = int(value)
        return None

    def _dispatch(self):
        self.last_id = self.id
        data, kind = self.data, self.type
        self.data, self.type = [], b""
        if not data:
            return None
        return Event(self.last_id.decode(), (kind or b"message").decode(), b"\n".join(data))


class Refused(Exception):
    def __init__(self, status, headers, body):
        super().__init__(f"{status} {body[:200]!r}")
        self.status, self.headers, self.body = status, headers, body


class Stream:
    """A connection to /events/stream, once its head has come."""

    def __init__(self, port, query="", last_id=None, headers=(), version="1.1", timeout=10,
                 buffer=None, method="GET"):
        self.parser = Parser()
        self.ready = collections.deque()
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        lines = [f"{method} /events/stream{query} HTTP/{version}", f"Host: localhost:{port}",
                 *headers]
        if last_id is not None:
            lines.append(f"Last-Event-ID: {last_id}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        head, rest = b"", b""
        while b"\r\n\r\n" not in head:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionError(f"closed in the head: {head!r}")
            head += piece
        head, _, rest = head.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in
                        (field.partition(":") for field in fields)}
        if self.status != 200:
            while len(rest) < int(self.headers.get("content-length", 0)):
                rest += self.socket.recv(65536)
            self.close()
            raise Refused(self.status, self.headers, rest)
        self.ended = False
        self._take(rest)

    def _take(self, piece):
        self.ready.extend(self.parser.feed(piece))

    def read(self):
        """Reads once; False at the end of the stream."""
        try:
            piece = self.socket.recv(1 << 18)
        except ConnectionResetError:
            piece = b""
        if not piece:
            self.ended = True
            return False
        self._take(piece)
        return True

    def __iter__(self):
        """Events until the stream ends or stays silent for the timeout."""
        while True:
            while self.ready:
                yield self.ready.popleft()
            if not self.read():
                return

    def next(self):
        return next(iter(self))

    def take(self, count):
        found = []
        for event in self:
            found.append(event)
            if len(found) == count:
                break
        return found

    def until(self, condition, timeout=20):
        """Reads until the condition holds."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, "the condition did not come true"
            assert self.read(), "the stream ended"

    def silent(self, seconds=0.3):
        """Whether nothing comes for so long."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            while not self.ready:
                if not self.read():
                    return True
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(before)
        return False

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def consume(port, path, query):
    """Follows the stream for good and appends one line for each event to a file, whose last
    line is where it goes on. Run as a process, which may be killed at any moment: one short
    write(2) is done or not."""
    with open(path, "ab+", buffering=0) as file:
        while True:
            file.seek(0)
            lines = file.read().split(b"\n")
            last = lines[-2].split()[0].decode() if len(lines) > 1 else "0"
            try:
                with Stream(port, query, last, timeout=40) as stream:
                    for event in stream:
                        if not event.type.startswith("streamhold."):
                            one = json.loads(event.data)
                            file.write(f"{event.id} {one['id']} {','.join(one['flags'])}\n"
                                       .encode())
            except (OSError, Refused):
                pass
            time.sleep(0.02)


MARK = b"\ndata: "
SETTLE_S = 10               # the last events are on their way when the sender has its answers
RECEIVED = re.compile(rb'"received_at":"([^"]+)"')


def milliseconds(text):
    return datetime.datetime.fromisoformat(text.decode().replace("Z", "+00:00")).timestamp() * 1000


def crowd(port, count, query):
    """Reads `count` streams as fast as they come until standard input says how many events there
    were and each stream has given as many (SETTLE_S at most); then prints for each how many came
    and the longest time from arrival here to there, in ms."""
    streams = [Stream(port, query) for _ in range(count)]
    counts, lags, tails = [0] * count, [0.0] * count, [b""] * count
    wanted, until = None, None
    poller = selectors.DefaultSelector()
    poller.register(sys.stdin, selectors.EVENT_READ, None)
    for number, stream in enumerate(streams):
        poller.register(stream.socket, selectors.EVENT_READ, number)
    print("ready", flush=True)
    while wanted is None or (min(counts) < wanted and time.monotonic() < until):
        for key, _ in poller.select(None if wanted is None else 0.1):
            if key.data is None:
                wanted, until = int(sys.stdin.readline()), time.monotonic() + SETTLE_S
                poller.unregister(sys.stdin)
                continue
            piece = key.fileobj.recv(1 << 18)
            if not piece:
                poller.unregister(key.fileobj)
                continue
            now = time.time() * 1000
            piece = tails[key.data] + piece
            tails[key.data] = piece[1 - len(MARK):]     # a mark may come in two pieces
            counts[key.data] += piece.count(MARK)
            found = RECEIVED.search(piece)      # the oldest of the piece
            if found:
                lags[key.data] = max(lags[key.data], now - milliseconds(found.group(1)))
    print(json.dumps({"counts": counts, "lags": lags}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "crowd":
        crowd(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        consume(int(sys.argv[1]), sys.argv[2], sys.argv[3])
