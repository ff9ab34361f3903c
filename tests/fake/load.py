"""Many deliveries over keep-alive connections at a steady rate, for crash and speed tests.

A thread signs ahead (about 0.6 ms each, outside the interpreter lock), the event loop
sends, and a third thread appends the ids that were answered 200 to a file and syncs it:
an id in that file was promised by the server, whatever happens to either side afterwards.
"""
import asyncio
import os
import queue
import threading
import time
from urllib.parse import urlsplit

from . import events
from .delivery import build

AHEAD = 2000
RECONNECT_S = 0.02
ANSWER_S = 15.0


class AckLog:
    """Appends ids, one a line; many ids share one fsync."""

    def __init__(self, path):
        self.queue = queue.Queue()
        self.file = open(path, "a", encoding="ascii") if path else None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def add(self, message_id):
        self.queue.put(message_id)

    def _run(self):
        done = False
        while not done:
            ids = [self.queue.get()]
            while not self.queue.empty():
                ids.append(self.queue.get())
            done = None in ids
            lines = "".join(f"{one}\n" for one in ids if one)
            if self.file and lines:
                self.file.write(lines)
                self.file.flush()
                os.fsync(self.file.fileno())

    def close(self):
        self.queue.put(None)
        self.thread.join()
        if self.file:
            self.file.close()


class Load:
    def __init__(self, url, signer, kind, rate, connections, seconds, count, again,
                 broadcaster, presign):
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port or 80
        self.path, self.netloc = parts.path or "/", parts.netloc
        self.signer, self.rate, self.seconds = signer, rate, seconds
        self.kinds = events.TYPES if kind == "all" else (kind,)
        self.connections, self.again, self.broadcaster = connections, again, broadcaster
        self.total = int(rate * seconds) if count is None else count
        self.presign = presign
        self.ready = queue.Queue(0 if presign else AHEAD)
        self.stop = False
        self.started = None
        self.taken = 0
        self.times, self.statuses = [], {}
        self.errors = self.unanswered = self.sent = 0

    def sign_ahead(self):
        for number in range(self.total):
            kind = self.kinds[number % len(self.kinds)]
            one = build(kind, self.signer, number=number, broadcaster=self.broadcaster)
            item = one.message_id, one.wire(self.path, self.netloc)
            while not self.stop:
                try:
                    self.ready.put(item, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if self.stop:
                return

    async def take(self):
        """The next delivery when its time has come; None at the end of time or count."""
        if self.taken >= self.total:
            return None
        self.taken += 1
        due = self.started + (self.taken - 1) / self.rate
        wait = due - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        while time.monotonic() < self.started + self.seconds:
            try:
                return self.ready.get_nowait()
            except queue.Empty:
                await asyncio.sleep(0.002)
        return None

    async def read_status(self, reader):
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if length:
            await reader.readexactly(length)
        return int(head.split(b" ", 2)[1]), b"connection: close" in head.lower()

    async def worker(self, acks):
        stream = None
        item = None
        while time.monotonic() < self.started + self.seconds:
            try:
                if stream is None:
                    stream = await asyncio.open_connection(self.host, self.port)
                item = item or await self.take()
                if item is None:
                    break
                if stream[0].at_eof():      # closed while it was idle, as servers may
                    stream[1].close()
                    stream = await asyncio.open_connection(self.host, self.port)
                self.sent += 1
                begun = time.monotonic()
                stream[1].write(item[1])
                status, closing = await asyncio.wait_for(
                    self.read_status(stream[0]), ANSWER_S)
                self.times.append(time.monotonic() - begun)
                self.statuses[status] = self.statuses.get(status, 0) + 1
                if status == 200:
                    acks.add(item[0])
                item = None
                if closing:
                    stream[1].close()
                    stream = None
            except (OSError, ValueError, asyncio.IncompleteReadError,
                    asyncio.TimeoutError):
                self.errors += 1
                if item is not None and stream is not None:
                    self.unanswered += 1
                    item = item if self.again else None
                if stream is not None:
                    stream[1].close()
                stream = None
                await asyncio.sleep(RECONNECT_S)
        if stream is not None:
            stream[1].close()

    async def run(self, acks):
        signing = threading.Thread(target=self.sign_ahead, daemon=True)
        signing.start()
        if self.presign:
            signing.join()
        else:
            await asyncio.sleep(0.2)    # a few hundred signatures before the clock starts
        self.started = time.monotonic()
        await asyncio.gather(*(self.worker(acks) for _ in range(self.connections)))
        elapsed = time.monotonic() - self.started
        self.stop = True
        signing.join()
        return elapsed


def run(url, signer, kind="chat.message.sent", rate=500.0, connections=16, seconds=10.0,
        count=None, acked=None, again=False, broadcaster=None, presign=False):
    """Sends until count (or rate times seconds) or seconds are over; answers the tally.

    presign: sign everything before the clock starts, so that times are the server's alone.
    """
    load = Load(url, signer, kind, rate, connections, seconds, count, again, broadcaster,
                presign)
    acks = AckLog(acked)
    try:
        elapsed = asyncio.run(load.run(acks))
    finally:
        acks.close()
    times = sorted(load.times)

    def part(share):
        return round(times[int(share * (len(times) - 1))] * 1000, 3) if times else None
    return {"sent": load.sent, "acked": load.statuses.get(200, 0),
            "statuses": {str(key): value for key, value in load.statuses.items()},
            "unanswered": load.unanswered, "errors": load.errors,
            "seconds": round(elapsed, 3), "per_second": round(len(times) / elapsed, 1),
            "p50_ms": part(0.5), "p99_ms": part(0.99)}
