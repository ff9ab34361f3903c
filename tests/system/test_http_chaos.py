"""Many clients that behave at random while brokers come and go: the front stays alive,
every whole answer is a legal one, and what was taken up is given back. The seed is printed;
STREAMHOLD_SEED repeats a run."""

import os
import random
import signal
import socket
import struct
import threading
import time

import pytest

from tests.lib.front import Front, Reader
from tests.system.test_http_webhook import PATH, lines

SECONDS = 60 if os.environ.get("STREAMHOLD_LONG") else 6
MOST_S = 60      # more, on a busy machine, for enough answers
CLIENTS = 24


def request(front, dice):
    if front.role == "webhook":
        body = bytes(dice.choice([0, 10, 1000, 20000]))
        change = {"Kick-Event-Type": None} if dice.random() < 0.2 else {}
        return front.head("POST", PATH, [*lines(change), f"Content-Length: {len(body)}"]) + body
    return dice.choice([
        front.head(), front.head(path="/status"), front.head(path="/oauth/accounts"),
        front.head(path="/oauth/status/kick/a"), front.head("DELETE", "/oauth/kick/a"),
        front.head(path="/events?limit=5"), front.head(path="/oauth/callback/kick?state=a&code=b"),
        front.head("HEAD"), front.head(path="/nothing"), front.head(host="evil.test")])


def client_life(front, dice, stop, statuses):
    while not stop.is_set():
        client = socket.socket()
        client.settimeout(5)
        try:
            client.connect(("127.0.0.1", front.port))
            raw = b"".join(request(front, dice) for _ in range(dice.randint(1, 6)))
            if dice.random() < 0.4:
                raw = raw[:dice.randint(1, len(raw))]
            at = 0
            while at < len(raw):
                size = dice.choice([1, 50, 1000, 100000])
                client.sendall(raw[at:at + size])
                at += size
                if dice.random() < 0.05:
                    time.sleep(0.01)
            how = dice.random()
            if how < 0.3:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif how < 0.8 and front.role == "webhook":
                client.shutdown(socket.SHUT_WR)
                reader = Reader(client)
                while (answer := reader.answer()) is not None:
                    statuses[answer.status] = statuses.get(answer.status, 0) + 1
            elif how < 0.9:
                client.recv(dice.choice([1, 100, 100000]))
        except (ConnectionError, socket.timeout):
            pass
        finally:
            client.close()


def answers(dice):
    """A broker that sometimes answers, fails, stays silent or breaks off; without dice it
    always answers."""
    account = ("account", {"platform": "kick", "username": "a", "status": "valid",
                           "scopes": "a", "missing_scopes": "", "identity": "verified"})
    event = ("event", {"seq": 1, "platform": "kick", "type": "t", "kind": "unknown",
                       "flags": "", "length": 2, "json": b"{}"})
    good = {"delivery": [("delivered", {"verdict": "stored"})],
            "accounts_list": [account, account, ("list_end", {})], "account_get": [account],
            "events_list": [event, event, ("list_end", {"next": 1})],
            "account_delete": [("account_deleted", {"platform": "kick", "username": "a",
                                                    "revocation": "ok"})],
            "health_get": [("list_end", {})],
            "login_finish": [("login_finished", {"platform": "kick", "username": "a",
                                                 "identity": "verified", "scopes": "",
                                                 "missing_scopes": ""})]}

    def answer(name):
        def choose(message):
            how = dice.random() if dice else 0
            if how < 0.7:
                return good[name]
            if how < 0.8:
                return [("failed", {"code": "no_token", "message": "x"})]
            if how < 0.85:
                return good[name][:-1]
            return None
        return choose

    return {name: answer(name) for name in good}


@pytest.mark.parametrize("role", ["api", "webhook"])
def test_random_clients_and_brokers(build, role):
    seed = int(os.environ.get("STREAMHOLD_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}")
    dice = random.Random(seed)
    statuses, stop = {}, threading.Event()

    def has_seen_enough():
        return role == "api" or min(statuses.get(200, 0), statuses.get(401, 0)) > 20

    with Front(role, {"server": {"rate_limit_per_s": 0}}) as front:
        end = time.monotonic() + SECONDS
        clients = [threading.Thread(target=client_life, daemon=True, args=(
            front, random.Random(dice.random()), stop, statuses)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        while time.monotonic() < end or not has_seen_enough():
            assert time.monotonic() < end + MOST_S, statuses
            broker = front.broker(answers(random.Random(dice.random())))
            time.sleep(dice.random())
            if dice.random() < 0.5:
                broker.close()
                time.sleep(dice.random() * 0.5)
        stop.set()
        for client in clients:
            client.join(30)
        assert not any(client.is_alive() for client in clients)
        # Clients that are gone may have asked several questions, over each of which a silent
        # broker has 20 s: the last one answers.
        broker.close()
        broker = front.broker(answers(None))
        for _ in range(120):
            os.kill(front.pid, signal.SIGUSR1)
            time.sleep(0.5)
            text = front.log.read_text()
            if "connections 0:" in text:
                break
        print(text[-2000:])
        assert "connections 0:" in text
        assert "buffers 0 bytes" in text
        assert "0 requests sent, 0 held" in text
        if role == "webhook":
            print(statuses)
            assert set(statuses) <= {200, 401, 404, 503}
