"""Consumers that take events as fast as they come and measure: one that is pushed to, and one that
asks. Each prints "ready" (and its port), is told on standard input how many events there were,
goes on until it has as many, SETTLE_S at most, and prints what it saw as JSON."""
import http.client
import json
import re
import select
import selectors
import socket
import sys
import time

from sse import RECEIVED, SETTLE_S, milliseconds

SEQ = re.compile(rb'"seq":(\d+)')
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.I)
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Seen:
    """Which events came, and the longest time from arrival at the daemon to here, in ms."""

    def __init__(self):
        self.seqs, self.marked, self.lag = [], 0, 0.0
        self.wanted, self.until = None, None

    def take(self, event):
        self.seqs.append(int(SEQ.search(event).group(1)))
        self.marked += b'"redelivered"' in event
        self.lag = max(self.lag, time.time() * 1000 - milliseconds(RECEIVED.search(event).group(1)))

    def told(self):
        self.wanted, self.until = int(sys.stdin.readline()), time.monotonic() + SETTLE_S

    def done(self):
        return self.wanted is not None and (len(set(self.seqs)) >= self.wanted
                                            or time.monotonic() > self.until)

    def tell(self):
        print(json.dumps({"count": len(self.seqs), "lag": self.lag, "marked": self.marked,
                          "ordered": self.seqs == sorted(set(self.seqs))}), flush=True)


def pushed():
    """Answers each push at once. By hand, since the library's server is slower than what it is to
    measure."""
    seen, poller, parts = Seen(), selectors.DefaultSelector(), {}
    listener = socket.create_server(("127.0.0.1", 0))
    poller.register(listener, selectors.EVENT_READ)
    poller.register(sys.stdin, selectors.EVENT_READ)
    print("ready", listener.getsockname()[1], flush=True)
    while not seen.done():
        for key, _ in poller.select(0.1):
            if key.fileobj is sys.stdin:
                seen.told()
                poller.unregister(sys.stdin)
            elif key.fileobj is listener:
                one = listener.accept()[0]
                parts[one] = b""
                poller.register(one, selectors.EVENT_READ)
            elif not take_push(key.fileobj, parts, seen):
                poller.unregister(key.fileobj)      # each push has a connection of its own
                del parts[key.fileobj]
                key.fileobj.close()
    seen.tell()


def take_push(one, parts, seen):
    piece = one.recv(1 << 16)
    parts[one] += piece
    head, found, rest = parts[one].partition(b"\r\n\r\n")
    if found and len(rest) >= int(LENGTH.search(head).group(1)):
        parts[one] = b""
        seen.take(rest)
        one.sendall(REPLY)
    return bool(piece)


def asking(port, name):
    """Asks and acknowledges; a fiftieth of a second of rest when there is nothing."""
    seen, way = Seen(), http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def call(method, path, body=None):
        way.request(method, f"/consumers/{name}{path}", body, {"Content-Type": "application/json"})
        reply = way.getresponse()
        text = reply.read()
        assert reply.status == 200, text
        return json.loads(text)

    print("ready", flush=True)
    while not seen.done():
        if select.select([sys.stdin], [], [], 0)[0] and seen.wanted is None:
            seen.told()
        page = call("GET", "/events?limit=500")
        for event in page["events"]:
            seen.take(json.dumps(event, separators=(",", ":")).encode())
        if page["events"]:
            call("POST", "/ack", json.dumps({"seq": page["next_after"]}))
        else:
            time.sleep(0.02)
    seen.tell()


if __name__ == "__main__":
    if sys.argv[1] == "pushed":
        pushed()
    else:
        asking(int(sys.argv[2]), sys.argv[3])
