"""What one client can do to the front and to the others: deadlines, caps, unread answers,
descriptors, rates, and how it stops."""

import os
import re
import resource
import select
import signal
import socket
import threading
import time

import pytest

from tests.lib.front import Front, Reader
from tests.lib.stopwatch import Stopwatch
from tests.system.test_http_webhook import GOOD, PATH, lines, stored

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
FEW_FILES = 32   # more than a front has open with three clients


@pytest.fixture(scope="module")
def front(build):
    with Front(config={"server": {"rate_limit_per_s": 0}}) as front:
        yield front


def status_of(front, name):
    with open(f"/proc/{front.pid}/status") as file:
        return int(file.read().split(name + ":")[1].split()[0])


def cpu_seconds(front):
    with open(f"/proc/{front.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def seconds_to_close(client, begin):
    """Reads until the end; (seconds since `begin`, what came)."""
    raw = b""
    while True:
        try:
            piece = client.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        if not piece:
            return time.monotonic() - begin, raw
        raw += piece


class Slow(threading.Thread):
    """A client that sends one piece each `pause` seconds until it is cut."""

    def __init__(self, front, first, piece, pause):
        super().__init__(daemon=True)
        self.client = front.connect()
        self.client.settimeout(30)
        self.begin = time.monotonic()
        self.client.sendall(first)
        self.piece, self.pause = piece, pause
        self.start()

    def run(self):
        while not select.select([self.client], [], [], self.pause)[0]:
            try:
                self.client.sendall(self.piece)
            except OSError:
                break
        self.seconds, self.raw = seconds_to_close(self.client, self.begin)


def test_deadlines_are_absolute(front):
    """Header 5 s, body and idle 15 s, whatever trickles in; well-behaved clients are served
    all the while."""
    head = front.head("POST", "/oauth/credentials/kick", ["Content-Type: application/json",
                                                          "Content-Length: 1000"])
    chunked = front.head("POST", "/oauth/credentials/kick", ["Content-Type: application/json",
                                                             "Transfer-Encoding: chunked"])
    slow = {
        "head bytes": (Slow(front, b"G", b"E", 2.5), 5),
        "header lines": (Slow(front, b"GET / HTTP/1.1\r\n", b"X: y\r\n", 0.5), 5),
        "silent head": (Slow(front, b"GET / HTTP/1.1\r\nHost: x", b"", 60), 5),
        "body bytes": (Slow(front, head, b" ", 1), 15),
        "silent body": (Slow(front, head, b"", 60), 15),
        "chunks": (Slow(front, chunked, b"1\r\n \r\n", 1), 15),
        "idle": (Slow(front, b"", b"", 60), 15),
        "idle after an answer": (Slow(front, front.head(), b"", 60), 15),
    }
    first = slow.pop("idle after an answer")[0]
    first_done = Reader(first.client)
    while any(thread.is_alive() for thread, _ in slow.values()):
        watch = Stopwatch()
        assert front.ask().status == 200
        assert watch.within(0.3)
        time.sleep(0.05)
    # A deadline that is put off, or the one of another step, ends 10 s later at least.
    for name, (thread, limit) in slow.items():
        assert limit - 0.1 < thread.seconds < limit + 5, (name, thread.seconds)
        assert thread.raw == b"", name
    first.join(20)
    first_done.raw = first.raw
    first_done.more = lambda: False
    assert first_done.answer().status == 200
    assert 14.9 < first.seconds < 20


def test_continue_is_answered_before_the_body(front):
    broker = front.broker({"credentials_put": lambda m: [("credentials_stored",
                                                          {"platform": "kick"})]})
    body = b'{"client_id":"a","client_secret":"b"}'
    with front.connect() as client:
        reader = Reader(client)
        head = front.head("POST", "/oauth/credentials/kick", [
            "Content-Type: application/json", "Expect: 100-continue",
            f"Content-Length: {len(body)}"])
        client.sendall(head)
        assert reader.answer().status == 100
        client.sendall(body)
        assert reader.answer().status == 200
        # Not when the body is there already, and not before a refusal.
        client.sendall(head + body)
        assert reader.answer().status == 200
        client.sendall(head.replace(b"/json", b"/text"))
        assert reader.answer().status == 415
        assert reader.answer() is None
    broker.close()


def test_http_1_0_is_closed_after_its_answer(front):
    with front.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\nHost: localhost:%d\r\n\r\n"
                       % front.port)
        reader = Reader(client)
        assert reader.answer()["Connection"] == "close"
        assert reader.answer() is None


def test_answers_come_in_the_order_of_requests(front):
    def later(message):
        time.sleep(0.02)
        return [("failed", {"code": "no_token", "message": message.username})]

    broker = front.broker({"account_get": later})
    with front.connect() as client:
        for number in range(20):
            client.sendall(front.head(path=f"/oauth/status/kick/u{number}") + front.head())
        reader = Reader(client)
        for number in range(20):
            assert reader.answer().json() == {"error": f"u{number}"}
            assert reader.answer().status == 200
    broker.close()


def test_half_closed_clients_get_their_answers(front):
    broker = front.broker({"account_get": lambda m: [("failed", {"code": "no_token",
                                                                 "message": "x"})]})
    with front.connect() as client:
        client.sendall(front.head(path="/oauth/status/kick/a") * 3)
        client.shutdown(socket.SHUT_WR)
        reader = Reader(client)
        assert [reader.answer().status for _ in range(3)] == [404] * 3
        assert reader.answer() is None
    broker.close()


def test_a_refusal_can_be_read_although_the_client_goes_on_sending(front):
    """A plain close would answer the rest of the body with a reset."""
    with front.connect() as client:
        client.sendall(front.head("POST", "/oauth/credentials/kick", [
            "Content-Type: application/json", "Content-Length: 500000"]))
        time.sleep(0.2)
        client.sendall(bytes(500000))
        assert Reader(client).answer().status == 413


def test_a_slow_reader_of_a_last_answer_is_not_lingered_for_longer(front):
    """The second of lingering begins when the answer is out, however long that took: one that
    began with the answer would be over before anything is read, and cut it."""
    part = b"x" * 32768
    parts = 192     # more than the kernel's buffers take: the last bytes wait for the reader
    broker = front.broker({"events_list": lambda m: [
        ("event", {"seq": 1, "platform": "kick", "type": "t", "kind": "unknown", "flags": "",
                   "length": parts * len(part), "json": part}),
        *[("event_part", {"json": part})] * (parts - 1), ("list_end", {"next": 1})]})
    with front.connect() as client:
        client.sendall(front.head(path="/events", headers=["Connection: close"]))
        time.sleep(1.5)
        reader = Reader(client)
        assert len(reader.answer().body) > parts * len(part)
        assert reader.answer() is None
        watch = Stopwatch()
        with pytest.raises(OSError):
            while watch.wall() < 10:
                client.sendall(b"x")
                time.sleep(0.05)
        assert watch.within(3)
    broker.close()


def test_unread_answers_are_bounded_and_cut(plain, monkeypatch):
    """H5: 200,000 pipelined requests by a client that never reads."""
    monkeypatch.setattr("tests.lib.front.BUILD", plain)
    with Front(config={"server": {"rate_limit_per_s": 0}}) as front:
        before = status_of(front, "VmRSS")
        client = front.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        raw = front.head() * 1000
        begin = time.monotonic()
        sent = 0
        closed = None
        while sent < 200 * len(raw) and time.monotonic() - begin < 25:
            try:
                sent += client.send(raw[sent % len(raw):])
            except BlockingIOError:
                time.sleep(0.1)
            except OSError:
                closed = time.monotonic() - begin
                break
        assert closed and 14 < closed < 24, closed
        assert status_of(front, "VmHWM") - before < 512
        assert front.ask().status == 200


def test_connections_beyond_the_cap_wait(build):
    with Front(config={"server": {"max_connections": 10}}) as front:
        held = [front.connect() for _ in range(10)]
        for client in held:
            assert front.ask(client=client).status == 200
        late = front.connect()
        late.sendall(front.head())
        late.settimeout(0.3)
        with pytest.raises(socket.timeout):
            late.recv(1)
        late.settimeout(20)
        held[0].close()
        assert Reader(late).answer().status == 200
        for client in held[1:]:
            assert front.ask(client=client).status == 200


def test_running_out_of_descriptors_neither_spins_nor_cuts(build):
    """E4: 64 descriptors, 200 clients, and the broker still gets in."""
    with Front(limits=64) as front:
        clients = [front.connect() for _ in range(200)]
        for client in clients:
            client.sendall(front.head())
        cpu = cpu_seconds(front)
        served = set()
        begin = time.monotonic()
        broker = front.broker({})
        while time.monotonic() - begin < 5:
            ready, _, _ = select.select([c for c in clients if c not in served], [], [], 0.2)
            served |= set(ready)
        assert cpu_seconds(front) - cpu < 1
        assert 30 <= len(served) < 64
        assert len(front.log.read_text().splitlines()) < 100
        for client in list(served):
            assert Reader(client).answer().status == 200
            client.close()
        rest = [client for client in clients if client not in served]
        for client in rest:
            assert Reader(client).answer().status == 200
            client.close()
        broker.close()


def test_accept_errors_pause_instead_of_spinning(build):
    """The limit of open files is lowered while it runs, as others may use up the system's."""
    with Front() as front:
        held = [front.connect() for _ in range(3)]
        for client in held:
            front.ask(client=client)
        resource.prlimit(front.pid, resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))
        late = [front.connect() for _ in range(FEW_FILES)]
        cpu = cpu_seconds(front)
        time.sleep(2)
        assert cpu_seconds(front) - cpu < 0.4
        assert 5 < front.log.read_text().count("cannot accept") < 40
        assert front.ask(client=held[0]).status == 200
        for client in [*held, *late[:-1]]:
            client.close()
        assert front.ask(client=late[-1]).status == 200
        late[-1].close()
        time.sleep(0.3)


def test_rate_limit_per_peer(build):
    with Front(config={"server": {"rate_limit_per_s": 20}}) as front:
        begin = time.monotonic()
        with front.connect() as client:
            client.sendall(front.head() * 60)
            reader = Reader(client)
            answers = [reader.answer() for _ in range(60)]
        refused = [answer for answer in answers if answer.status == 429]
        took = time.monotonic() - begin
        assert took < 1, "too slow to be refused"
        assert 39 - 20 * took <= len(refused) <= 41
        assert refused[0]["Retry-After"] == "1"
        assert refused[0]["Streamhold-Error"] == "rate_limited"
        # Another address has a budget of its own.
        assert front.ask(client=front.connect(socket.AF_INET6)).status == 200
        time.sleep(0.5)
        assert front.ask().status == 200


def test_a_flood_on_one_front_does_not_slow_the_other(build):
    """Two processes, two budgets (threat model, row 6)."""
    with Front("webhook", {"webhooks": {"max_connections": 50}}) as hook, Front() as api:
        flood = [hook.connect() for _ in range(300)]
        for client in flood:
            client.sendall(b"POST ")
        for _ in range(50):
            watch = Stopwatch()
            assert api.ask().status == 200
            assert watch.within(0.3)
        for client in flood:
            client.close()


def test_term_finishes_what_is_in_progress(build):
    def later(message):
        time.sleep(0.5)
        return stored(message)

    with Front("webhook") as front:
        broker = front.broker({"delivery": later})
        idle = front.connect()
        front.ask(client=idle)
        busy = front.connect()
        body = b"{}"
        busy.sendall(front.head("POST", PATH, [*lines(), "Content-Length: 2"]) + body)
        while not broker.asked:
            time.sleep(0.01)
        os.kill(front.pid, signal.SIGTERM)
        answer = Reader(busy).answer()
        assert (answer.status, answer["Connection"]) == (200, "close")
        assert idle.recv(1) == b""
        busy.close()
        assert front.stop() == 0
        with pytest.raises(ConnectionRefusedError):
            front.connect()


def test_term_again_and_again_is_still_an_orderly_end(build):
    with Front() as front:
        for _ in range(100):
            os.kill(front.pid, signal.SIGTERM)
            time.sleep(0.002)
            if front.poll() is not None:
                break
        assert front.stop() == 0


def test_term_does_not_wait_for_ever(build):
    """What a request waits for, the broker's answer, is waited for so long and no longer."""
    with Front("api", {"server": {"shutdown_timeout_ms": 500}}) as front:
        broker = front.broker({})       # never answers
        client = front.connect()
        client.sendall(front.head("POST", "/oauth/refresh/kick/streamer123"))
        while not broker.asked:
            time.sleep(0.01)
        watch = Stopwatch()
        assert front.stop() == 0
        assert watch.wall() > 0.4 and watch.within(6), "the default is 10 s"


def test_signals_for_looking_inside(build):
    with Front() as front:
        for number, words in ((signal.SIGUSR1, "connections 0:"), (signal.SIGUSR2, ""),
                              (signal.SIGHUP, "")):
            os.kill(front.pid, number)
            watch = Stopwatch()
            watch.wait(lambda: words in front.log.read_text(), 5)
            assert front.ask().status == 200


def trace_at_rest(path):
    """What strace wrote, when it has written nothing more for a moment."""
    text = None
    for _ in range(100):
        if (before := text) == (text := path.read_text()) and text:
            return text
        time.sleep(0.2)
    raise AssertionError("the trace does not come to rest")


def test_at_work_it_only_accepts_reads_writes_and_waits(plain, monkeypatch, tmp_path):
    """reliability.md 3.2: after the start nothing is opened, made, connected or run. The
    list is what a filter of system calls will allow."""
    monkeypatch.setattr("tests.lib.front.BUILD", plain)
    allowed = {"epoll_wait", "epoll_pwait", "epoll_ctl", "accept4", "read", "write", "close",
               "shutdown", "recvfrom", "sendto", "recvmsg", "sendmsg", "brk", "mmap", "munmap",
               "mremap", "madvise", "rt_sigreturn", "rt_sigprocmask", "rt_sigaction",
               "restart_syscall", "clock_gettime", "exit_group", "getpid",
               # Who connects to the link (SO_PEERCRED).
               "getsockopt"}
    trace = tmp_path / "trace"
    # Traced from its first call on: a user who is not root cannot attach to it later. With -D
    # the tracer is the grandchild.
    with Front("webhook", {"webhooks": {"max_body_bytes": 4000000}},
               wrapper=f"strace -D -f -qq -o {trace}") as front:
        started = len(trace_at_rest(trace))
        for _ in range(2):
            broker = front.broker({"delivery": stored})
            for body in (b"{}", bytes(3999999)):
                head = front.head("POST", PATH, [*lines(), f"Content-Length: {len(body)}"])
                with front.connect() as client:
                    client.sendall(head + body)
                    assert Reader(client).answer().status == 200
            with front.connect() as client:
                client.sendall(b"nonsense\r\n")
                assert Reader(client).answer().status == 400
            broker.close()
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            os.kill(front.pid, number)
        time.sleep(1.2)
        assert front.stop() == 0
    used = set(re.findall(r"^\d+ +(\w+)\(", trace_at_rest(trace)[started:], re.M))
    assert {"accept4", "read", "write"} <= used
    assert used <= allowed


def chunked(body):
    """Many small chunks, which are moved together as they come."""
    return b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


def send_secrets(front, number):
    """All ways in which secrets come and go; some requests are refused half-way."""
    json_type = "Content-Type: application/json"
    secret = b'{"client_id":"public","client_secret":"CANARYSECRET%04d"}' % number
    callback = f"/oauth/callback/kick/CANARYSTATE{number:04}?code=CANARYCODE{number:04}"
    requests = [
        ("POST", "/oauth/credentials/kick", [json_type], secret, 200),
        ("POST", "/oauth/credentials/kick", [json_type], secret + b"x", 400),
        ("POST", "/oauth/credentials/nope", [json_type], secret, 400),
        ("GET", callback, [], None, 400),
        ("GET", callback + "&code=CANARYCODE", [], None, 400),
        ("GET", callback + "&x=%ff", [], None, 400),
        ("GET", callback, ["Purpose: prefetch"], None, 503),
        ("HEAD", callback, [], None, 200),
        ("GET", callback.replace("kick", "nope"), [], None, 400),
        ("PUT", callback, [], None, 405),
        ("GET", callback.replace("?", "/more?"), [], None, 404),
        ("GET", "/oauth/start/kick/me", [], None, 200),
    ]
    with front.connect() as client:
        for method, path, headers, body, status in requests:
            if body is not None and client.fileno() < 0:
                break
            own = client if status != 400 or body is None else None
            assert front.ask(method, path, headers, body, client=own).status == status, path
        client.sendall(front.head("POST", "/oauth/credentials/kick", [
            json_type, "Transfer-Encoding: chunked"]))
        for byte in chunked(secret):
            client.sendall(bytes([byte]))
        assert Reader(client).answer().status == 200


@pytest.fixture
def secret_answers():
    started = {"auth_url": "https://id.kick.com/oauth/authorize?state=CANARYSTARTED",
               "state": "CANARYSTARTED"}
    return {"credentials_put": lambda m: [("credentials_stored", {"platform": "kick"})],
            "login_finish": lambda m: [("failed", {"code": "login_denied", "message": "no"})],
            "login_start": lambda m: [("login_started", started)]}


@pytest.mark.skipif(os.geteuid() != 0, reason="reading its memory needs root")
def test_secrets_leave_no_trace_in_memory(plain, monkeypatch, secret_answers):
    """Code, state and client secret pass through once. The plain build: sanitizers keep
    freed memory on purpose."""
    monkeypatch.setattr("tests.lib.front.BUILD", plain)
    with Front() as front:
        broker = front.broker(secret_answers)
        idle = front.connect()
        assert front.ask(path="/oauth/callback/kick/CANARYSTATE?code=CANARYCODE",
                         client=idle).status == 400
        for number in range(5):
            send_secrets(front, number)
        assert broker.asked[1].client_secret == b"CANARYSECRET0000"
        found = memory_of(front.pid)
        assert b"Streamhold" in found
        left = set(re.findall(rb"[ -~]{0,20}C?ANARY[ -~]{0,10}", found))
        assert left == set()
        idle.close()
        broker.close()


def memory_of(pid):
    pieces = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("r") or "[v" in line:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            memory.seek(start)
            try:
                pieces.append(memory.read(end - start))
            except OSError:
                pass
    return b"".join(pieces)


@pytest.fixture
def many_files():
    """1000 connections are more than a login shell's usual limit leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip(f"needs 2048 descriptors, the hard limit is {hard}")
    if soft != resource.RLIM_INFINITY and soft < 2048:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_memory_of_many_connections(plain, monkeypatch, many_files):
    """At most 8 KB a connection, at rest and at work, and little to begin with."""
    monkeypatch.setattr("tests.lib.front.BUILD", plain)
    with Front("webhook", {"webhooks": {"max_connections": 1024}}) as front:
        at_start = status_of(front, "VmRSS")
        broker = front.broker({"delivery": stored})
        clients = [front.connect() for _ in range(1000)]
        body = b'{"a": "%s"}' % (b"x" * 1000)
        raw = front.head("POST", PATH, [*lines(), f"Content-Length: {len(body)}"]) + body
        for start in [*range(0, 1000, 100)] * 2:
            for client in clients[start:start + 100]:
                client.sendall(raw)
            for client in clients[start:start + 100]:
                assert Reader(client).answer().status == 200
        at_work = status_of(front, "VmRSS")
        time.sleep(2)
        at_rest = status_of(front, "VmRSS")
        print(f"KiB: start {at_start}, 1000 connections at work {at_work}, at rest {at_rest}")
        assert at_start < 3 * 1024
        assert at_work < at_start + 8 * 1000
        for client in clients:
            client.close()
        broker.close()
    assert GOOD
