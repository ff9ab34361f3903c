"""streamhold-httpd with passed sockets, and a broker that answers from a dictionary."""

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path

from tests.lib.link import Channel

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("STREAMHOLD_BUILD", ROOT / "build" / "asan"))
HIGH_FD = 100


def program(name="streamhold-httpd") -> Path:
    return BUILD / "bin" / name


class FakeBroker:
    """Connects to a front and answers requests.

    `answers` maps a message name to a function of the message that returns a list of
    (name, fields): rows, then the answer. None: no answer.
    """

    def __init__(self, link, answers=None, role="broker"):
        self.asked = []
        self.told = []
        self.answers = answers if answers is not None else {}
        self.channel = Channel(link, role=role)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while True:
            try:
                message = self.channel.receive()
            except OSError:
                return
            if message is None:
                return
            if message.rid == 0:
                self.told.append(message)
                continue
            self.asked.append(message)
            answer = self.answers.get(message.name)
            for name, fields in (answer(message) if answer else None) or []:
                try:
                    self.channel.send(name, message.rid, **fields)
                except OSError:
                    return

    def tell(self, name, **fields):
        self.channel.send(name, 0, **fields)

    def close(self):
        self.channel.close()
        self.thread.join(5)


class Front:
    """A running streamhold-httpd in a folder of its own."""

    def __init__(self, role="api", config=None, families=("4", "6"), unix=False, limits=None,
                 arguments=(), wrapper=""):
        self.role = role
        self.folder = Path(tempfile.mkdtemp(prefix="streamhold-front-"))
        self.link = self.folder / "link.sock"
        self.log = self.folder / "log"
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps(config or {}))
        listeners, names = self.listen(families, unix)
        self.pid = self.spawn(listeners, names, limits, arguments, wrapper)
        self.status = None
        for listener in listeners:
            listener.close()
        self.wait_ready()

    @staticmethod
    def bind_pair():
        """Both loopback addresses on one port that is free on both."""
        for _ in range(16):
            v4, v6 = socket.socket(socket.AF_INET), socket.socket(socket.AF_INET6)
            v6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            v4.bind(("127.0.0.1", 0))
            try:
                v6.bind(("::1", v4.getsockname()[1]))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                v4.close()
                v6.close()
                continue
            return v4, v6
        raise AssertionError("no port is free on both loopback addresses")

    def listen(self, families, unix):
        v4, v6 = self.bind_pair()
        self.port = v4.getsockname()[1]
        listeners = [one for one, family in ((v4, "4"), (v6, "6")) if family in families]
        if unix:
            local = socket.socket(socket.AF_UNIX)
            local.bind(str(self.folder / "api.sock"))
            listeners.append(local)
        link = socket.socket(socket.AF_UNIX)
        link.bind(str(self.link))
        for listener in (*listeners, link):
            listener.listen(1024)
        return [*listeners, link], ["http"] * len(listeners) + ["link"]

    def spawn(self, listeners, names, limits, arguments, wrapper):
        """By posix_spawn, which can put descriptors where they must be."""
        actions = []
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        high = []
        for index, listener in enumerate(listeners):
            copy = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
            high.append(copy)
            actions.append((os.POSIX_SPAWN_DUP2, copy, 3 + index))
        log_copy = fcntl.fcntl(log, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
        actions.append((os.POSIX_SPAWN_DUP2, log_copy, 2))
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("LISTEN_")}
        environment |= {"LISTEN_FDS": str(len(listeners)), "LISTEN_FDNAMES": ":".join(names)}
        command = ["LISTEN_PID=$$; export LISTEN_PID;", f"ulimit -n {limits};" if limits else "",
                   f"exec {wrapper} {program()} --role {self.role} --config {self.config}",
                   *arguments]
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", " ".join(command)], environment,
                             file_actions=actions)
        for fd in (*high, log, log_copy):
            os.close(fd)
        return pid

    def wait_ready(self):
        for _ in range(2000):
            if "serving" in self.log.read_text():
                return
            if self.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(self.log.read_text())

    def poll(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def stop(self, number=signal.SIGTERM, seconds=15):
        """Ends the process and returns its exit status."""
        if self.poll() is None:
            os.kill(self.pid, number)
        end = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError("it did not stop\n" + self.log.read_text())
        return self.status

    def close(self):
        status = self.stop()
        text = self.log.read_text()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert status == 0, f"exit status {status}\n{text}"

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.close()
        elif self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def broker(self, answers=None, **options):
        broker = FakeBroker(self.link, answers, **options)
        for _ in range(2000):
            if broker.told:
                return broker
            time.sleep(0.01)
        raise AssertionError("the front does not answer the hello\n" + self.log.read_text())

    # Talking to it.

    def connect(self, family=socket.AF_INET):
        client = socket.socket(family)
        client.settimeout(10)
        client.connect(("127.0.0.1" if family == socket.AF_INET else "::1", self.port))
        return client

    def head(self, method="GET", path="/healthz", headers=(), host=None) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'localhost:{self.port}'}",
                 *headers, "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def ask(self, method="GET", path="/healthz", headers=(), body=None, host=None,
            client=None):
        """One request, one answer."""
        headers = list(headers)
        if body is not None:
            headers.append(f"Content-Length: {len(body)}")
        own = client is None
        client = client or self.connect()
        try:
            client.sendall(self.head(method, path, headers, host) + (body or b""))
            return read_answer(client, head=method == "HEAD")
        finally:
            if own:
                client.close()


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __getitem__(self, name):
        return self.headers[name.lower()]

    def get(self, name):
        return self.headers.get(name.lower())

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body!r}"


class Reader:
    """Answers from a connection, one after the other."""

    def __init__(self, client):
        self.client = client
        self.raw = b""

    def more(self):
        piece = self.client.recv(1 << 16)
        self.raw += piece
        return bool(piece)

    def answer(self, head=False):
        """The next answer; None when the peer closed before one began."""
        while b"\r\n\r\n" not in self.raw:
            if not self.more():
                assert self.raw == b"", self.raw
                return None
        top, self.raw = self.raw.split(b"\r\n\r\n", 1)
        first, *lines = top.decode("latin-1").split("\r\n")
        status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) .+", first)[1])
        if status == 100:
            return Answer(100, {}, b"")
        headers = {}
        for line in lines:
            name, value = line.split(": ", 1)
            assert name.lower() not in headers, line
            headers[name.lower()] = value
        length = 0 if head else int(headers["content-length"])
        while len(self.raw) < length:
            assert self.more(), "cut within the body"
        body, self.raw = self.raw[:length], self.raw[length:]
        return Answer(status, headers, body)


def read_answer(client, head=False):
    return Reader(client).answer(head)
