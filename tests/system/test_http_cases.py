"""The table of http_cases.py holds for the real program: each case whole, byte by byte and
cut in two everywhere. The program runs with sanitizers, which would end it.

To wait for nothing, the client closes its sending side behind the bytes of a case: what is
incomplete then ends at once instead of at its deadline (tested in test_http_limits.py).
"""

import os
import socket
import time

import pytest

from tests.lib.front import Front, Reader
from tests.system.http_cases import CASES, HOST

ANSWERS = {
    "account_delete": lambda m: [("failed", {"code": "no_token", "message": "none"})],
    "credentials_put": lambda m: [("credentials_stored", {"platform": m.platform})],
}
# Cuts are tried in this many connections at a time.
BATCH = 64
LONG = bool(os.environ.get("STREAMHOLD_LONG"))


@pytest.fixture(scope="module")
def front(build):
    # Some cases count header bytes, so the Host of the table is made an allowed one.
    server = {"rate_limit_per_s": 0, "allowed_hosts": [HOST.decode()]}
    with Front(config={"server": server}) as front:
        broker = front.broker(ANSWERS)
        yield front
        broker.close()


def outcome(raw: bytes, head: bool) -> list:
    """Statuses of the answers in what a server sent, and the code of a refusal."""
    reader = Reader(None)
    reader.raw = raw
    reader.more = lambda: False
    found = []
    while reader.raw:
        answer = reader.answer(head)
        if answer.status != 100:
            found.append((answer.status, answer.get("streamhold-error")))
    return found


def check(case, raw: bytes):
    wanted = case.expect if isinstance(case.expect, list) else [case.expect]
    found = outcome(raw, case.raw.startswith(b"HEAD "))
    answered = [want for want in wanted if want != "close"]
    assert len(found) == len(answered), (case.name, found)
    for want, (status, code) in zip(answered, found):
        if want == "ok":
            # The route decides; the reader's refusals would have the reader's codes.
            assert status in (200, 400, 401, 404, 405, 415), (case.name, found)
        else:
            assert (status, code) == (want, case.code), (case.name, found)


def receive_all(client) -> bytes:
    raw = b""
    while True:
        try:
            piece = client.recv(1 << 16)
        except ConnectionResetError:
            return raw
        if not piece:
            return raw
        raw += piece


def send(client, raw: bytes):
    try:
        client.sendall(raw)
    except (BrokenPipeError, ConnectionResetError):
        pass


def shut(client):
    try:
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_whole(front, case):
    with front.connect() as client:
        send(client, case.raw)
        shut(client)
        check(case, receive_all(client))


def test_refusals_close_the_connection(front):
    """Without the client closing its side."""
    for case in CASES:
        if isinstance(case.expect, int):
            with front.connect() as client:
                send(client, case.raw)
                check(case, receive_all(client))


def in_pieces(front, jobs):
    """Runs many connections side by side: (case, [pieces]). One piece of each is sent in
    turn, so that each arrives alone."""
    clients = [front.connect() for _ in jobs]
    for client in clients:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for turn in range(max(len(pieces) for _, pieces in jobs)):
        for client, (_, pieces) in zip(clients, jobs):
            if turn < len(pieces):
                send(client, pieces[turn])
        if turn == 0:
            time.sleep(0.001)
    for client, (case, _) in zip(clients, jobs):
        shut(client)
        check(case, receive_all(client))
        client.close()


def test_byte_by_byte(front):
    jobs = []
    for case in CASES:
        raw = case.raw
        if len(raw) > 600 and not LONG:
            continue
        jobs.append((case, [raw[i:i + 1] for i in range(len(raw))]))
    for start in range(0, len(jobs), BATCH):
        in_pieces(front, jobs[start:start + BATCH])
    assert len(jobs) > 250


def test_cut_in_two_at_every_offset(front):
    """Every offset of every case up to 200 bytes, and of the longer ones the ends, with
    STREAMHOLD_LONG all of them."""
    jobs = []
    for case in CASES:
        raw = case.raw
        for at in range(1, len(raw)):
            if LONG or len(raw) <= 200 or at < 8 or len(raw) - at < 8:
                jobs.append((case, [raw[:at], raw[at:]]))
    for start in range(0, len(jobs), BATCH):
        in_pieces(front, jobs[start:start + BATCH])
    print(f"{len(jobs)} cuts")
    assert len(jobs) > 20000
