"""A front that stops: what has reached it is answered, and each last answer says so; nobody
holds it up."""
import os
import signal
import socket
import subprocess
import time

import pytest
from tests.lib import inject
from tests.lib.front import Front, Reader
from tests.lib.stopwatch import Stopwatch
from tests.system.test_http_webhook import PATH, lines, stored

CONNECTIONS = 40
DRAIN_IDLE_S = 1.0          # DRAIN_IDLE_MS of httpd/limits.h
DRAIN_REQUEST_S = 1.0       # DRAIN_REQUEST_MS
BEYOND_S = 1.0              # the sweep that looks at deadlines, and the end of the process


@pytest.fixture
def front(monkeypatch):
    # The search for leaks at the end does not work while strace holds the process.
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
    with Front() as found:
        yield found


def connections(front):
    """Each has had one answer, and waits."""
    found = [front.connect() for _ in range(CONNECTIONS)]
    readers = [Reader(one) for one in found]
    for one, reader in zip(found, readers):
        one.sendall(front.head())
        answer = reader.answer()
        assert answer.status == 200 and answer.get("connection") is None
    return found, readers


def assert_answered_and_closed(readers):
    for reader in readers:
        answer = reader.answer()
        assert answer is not None and answer.status == 200, "a request was thrown away"
        assert answer["connection"] == "close"
        assert reader.answer() is None      # and no reset


@pytest.mark.skipif(not inject.POSSIBLE, reason=inject.WHY_NOT)
def test_requests_that_come_while_it_begins_to_stop_are_answered(front):
    """They arrive after the loop has looked and before idle connections are closed: between the
    two it writes that it is stopping, which is made to take its time (the first write is that
    of the signal's handler)."""
    found, readers = connections(front)
    time.sleep(DRAIN_IDLE_S + 0.2)      # so that they are closed at once
    tracer = subprocess.Popen(["strace", "-p", str(front.pid), "-e", "trace=write", "-e",
                               "inject=write:delay_exit=700000:when=2"],
                              stderr=subprocess.PIPE, text=True)
    assert "attached" in tracer.stderr.readline()
    os.kill(front.pid, signal.SIGTERM)
    while "stopping" not in front.log.read_text():
        time.sleep(0.01)
    for one in found:
        one.sendall(front.head())
    assert_answered_and_closed(readers)
    assert front.stop() == 0
    tracer.communicate(timeout=10)


def test_who_was_just_answered_may_send_once_more(front):
    found, readers = connections(front)
    os.kill(front.pid, signal.SIGTERM)
    while "stopping" not in front.log.read_text():
        time.sleep(0.01)
    for one in found:
        one.sendall(front.head())
    assert_answered_and_closed(readers)
    assert front.stop() == 0


def test_idle_connections_do_not_hold_up_the_stop(front):
    found, readers = connections(front)
    time.sleep(DRAIN_IDLE_S + 0.2)
    watch = Stopwatch()
    os.kill(front.pid, signal.SIGTERM)
    assert all(reader.answer() is None for reader in readers)
    assert front.stop() == 0 and watch.within(0.5)


def half_a_head(front):
    client = front.connect()
    client.sendall(b"POST /webhooks/kick HTT")
    return client


def half_a_body(front):
    client = front.connect()
    client.sendall(front.head("POST", PATH, [*lines(), "Content-Length: 1000"]) + b"{")
    return client


def no_reader(front):
    """Asks until the front waits for it to read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", front.port))
    client.setblocking(False)
    raw, sent, stuck = front.head() * 100, 0, 0
    while stuck < 5:
        try:
            sent += client.send(raw[sent % len(raw):])
            stuck = 0
        except BlockingIOError:
            stuck += 1
            time.sleep(0.1)
    return client


@pytest.mark.parametrize("stranger", [half_a_head, half_a_body, no_reader])
def test_a_stranger_does_not_hold_up_the_stop(stranger):
    """A restart lets new connections wait until the old front has ended."""
    with Front("webhook") as front:
        front.broker({})
        client = stranger(front)
        time.sleep(0.2)
        watch = Stopwatch()
        assert front.stop() == 0
        assert watch.within(DRAIN_REQUEST_S + BEYOND_S) and watch.wall() > DRAIN_REQUEST_S / 2
        client.close()


def test_what_is_begun_while_it_stops_has_as_little_time(front):
    """A connection that was just answered may send once more, and not draw it out."""
    client = front.connect()
    assert front.ask(client=client).status == 200
    os.kill(front.pid, signal.SIGTERM)
    time.sleep(DRAIN_IDLE_S / 2)
    watch = Stopwatch()
    client.sendall(front.head("POST", headers=["Content-Length: 1000"])[:-2])
    assert client.recv(1) == b"" and watch.within(DRAIN_REQUEST_S + BEYOND_S)
    assert front.stop() == 0


def test_a_request_that_is_there_in_time_is_answered_though_it_came_slowly():
    """Also when the broker needs longer than all that."""
    def later(message):
        time.sleep(1.5)
        return stored(message)

    with Front("webhook") as front:
        front.broker({"delivery": later})
        client = half_a_body(front)
        os.kill(front.pid, signal.SIGTERM)
        time.sleep(DRAIN_REQUEST_S / 2)
        client.sendall(b" " * 999)
        answer = Reader(client).answer()
        assert (answer.status, answer["connection"]) == (200, "close")
        client.close()
        assert front.stop() == 0
