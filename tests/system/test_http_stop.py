"""A front that stops: what has reached it is answered, and each last answer says so."""
import os
import signal
import subprocess
import time

import pytest
from tests.lib import inject
from tests.lib.front import Front, Reader

CONNECTIONS = 40
DRAIN_IDLE_S = 1.0          # DRAIN_IDLE_MS of httpd/limits.h


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
    begun = time.monotonic()
    os.kill(front.pid, signal.SIGTERM)
    assert all(reader.answer() is None for reader in readers)
    assert front.stop() == 0 and time.monotonic() - begun < 0.5
