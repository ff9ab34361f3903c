"""Kick's public key: looked up, adopted with an overlap, remembered; what is no key is refused, and
no delivery drives the questions."""
import concurrent.futures
import json
import os
import signal
import threading
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fake import delivery as making
from tests.fake.keys import Signer, public_pem
from tests.fake.sender import send
from tests.lib.stopwatch import Stopwatch

KIND = "channel.followed"
BURST = 3       # KICK_SUSPECT_BURST
GAP_S = 1       # KICK_SUSPECT_GAP_MS
SHIPPED = "407899e1bb8e86c10ecc032cd8c5d02f1180e8b3c58686ddfe1fb541d8a646aa"
NEW = r"Kick has a new public key: '([0-9a-f]{16})' is in use"


def config(fakes, folder, **kick):
    made = fakes.config(folder)
    del made["platforms"]["kick"]["public_key_file"]
    made["platforms"]["kick"].update(kick)
    return made


@pytest.fixture
def start(streamhold, fakes, folder):
    """A daemon that looks the key up at the fake; it has adopted the fake's when this returns."""
    def start(**kick):
        daemon = streamhold(config(fakes, folder, **kick))
        daemon.wait_log(NEW)
        return daemon
    return start


def deliver(daemon, signer, **options):
    one = making.build(KIND, signer, **options)
    return send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one)


def asked(fakes):
    return len(fakes["kick"].asked("public_key"))


def report(daemon):
    answer = daemon.cli("inspect", "--json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)["sections"]["counts"]


def pass_gap(fakes):
    """Until deliveries may cause the next question."""
    last = fakes["kick"].asked("public_key")[-1]["time"]
    time.sleep(max(0.0, last + GAP_S + 0.3 - time.time()))


def rotate(fakes):
    """From now on the fake serves another key; gives its signer."""
    pass_gap(fakes)
    fakes["kick"].set(public_key="next")
    fakes["kick"].public_pem()
    return fakes["kick"].next_signer


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# -- looked up ------------------------------------------------------------------------------


def test_it_is_looked_up_at_start_and_a_change_is_told_everywhere(start, fakes):
    daemon = start()
    assert asked(fakes) == 1
    assert deliver(daemon, fakes.signer).status == 200
    counts = report(daemon)
    assert counts["public_key_upkeep"] == "on" and counts["public_key_answers_changed"] == 1
    assert counts["public_key"].startswith(daemon.wait_log(NEW).group(1))
    assert counts["public_key_before_until"] > counts["public_key_changed_at"]
    changed, = daemon.events(type="public_key.changed")
    assert changed["flags"] == ["own"] and changed["payload"]["key"] == counts["public_key"]
    assert changed["payload"]["key_before"].startswith("407899e1bb8e86c1")
    detail = daemon.get("/status").json()["components"]["webhooks"]
    assert detail["status"] == "healthy" and counts["public_key"][:16] in str(detail)
    assert counts["public_key"][:16] in daemon.cli("status").stdout


def test_starting_does_not_wait_for_it(streamhold, fakes, folder):
    fakes["kick"].next("public_key", mode="hang", hold_s=60, count=-1)
    before = time.monotonic()
    daemon = streamhold(config(fakes, folder))
    assert daemon.get("/readyz").status == 200
    wait_for(lambda: asked(fakes) == 1)
    assert deliver(daemon, Signer()).status == 401
    assert time.monotonic() - before < 20


def test_an_address_of_its_own(start, fakes):
    daemon = start(api_url="http://127.0.0.1:9/elsewhere",
                   public_key_url=fakes["kick"].url("api") + "/public/v1/public-key")
    assert deliver(daemon, fakes.signer).status == 200


def test_a_key_file_wins_and_nothing_is_asked(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    assert deliver(daemon, fakes.signer).status == 200
    for _ in range(10):
        assert deliver(daemon, Signer()).status == 401
    time.sleep(1)       # KICK_ASK_START_MS, twice
    assert asked(fakes) == 0
    assert report(daemon)["public_key_upkeep"] == "off"


# -- rotation -------------------------------------------------------------------------------


def test_rotation_while_deliveries_flow_refuses_none(start, fakes):
    """The platform changes its key between two deliveries, and serves it from then on."""
    daemon = start()
    signer, replies, stop = [fakes.signer], [], threading.Event()

    def flow():
        while not stop.is_set():
            replies.append((signer[0], deliver(daemon, signer[0])))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        flows = [pool.submit(flow) for _ in range(4)]
        try:
            wait_for(lambda: len(replies) > 50)
            signer[0] = rotate(fakes)
            wait_for(lambda: sum(one is signer[0] for one, _ in replies) > 100)
        finally:
            stop.set()
        for one in flows:
            one.result()
    assert {reply.status for _, reply in replies} == {200}
    assert asked(fakes) == 2
    counts = report(daemon)
    assert counts["public_key_suspicions"] == 1 and counts["public_key_deliveries_held"] > 0
    assert counts["deliveries_refused_signature"] == 0
    # Late ones by the key before are still good, those by a third are not.
    assert deliver(daemon, fakes.signer).status == 200
    assert deliver(daemon, Signer()).status == 401
    assert len(daemon.events(type=KIND)) == len(replies) + 1


def test_a_restart_keeps_the_adopted_keys(start, fakes):
    daemon = start()
    second = rotate(fakes)
    assert deliver(daemon, second).status == 200
    daemon.wait_log(NEW, count=2)
    fakes["kick"].next("public_key", status=403, body="", count=-1)
    daemon.stop()
    daemon.start()
    assert deliver(daemon, second).status == 200
    assert deliver(daemon, fakes.signer).status == 200
    daemon.wait_log("public key could not be looked up: answered with status 403")
    assert not [line for line in daemon.log if "new public key" in line]


def test_a_kill_keeps_the_adopted_key(start, fakes):
    daemon = start()
    second = rotate(fakes)
    assert deliver(daemon, second).status == 200
    fakes["kick"].next("public_key", mode="reset", count=-1)
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    wait_for(lambda: deliver(daemon, second).status == 200)
    assert deliver(daemon, Signer()).status == 401


def test_the_key_before_ends_with_the_overlap(start, fakes):
    daemon = start()
    second = rotate(fakes)
    assert deliver(daemon, second).status == 200
    daemon.stop()
    rows = daemon.sql("SELECT until - (SELECT max(since) FROM public_keys) FROM public_keys "
                      "WHERE until <> 0 ORDER BY until DESC LIMIT 1")
    assert rows == [(24 * 3600 * 1000,)]
    assert daemon.sql("SELECT count(*) FROM public_keys WHERE until = 0") == [(1,)]
    daemon.sql("UPDATE public_keys SET until = 1 WHERE until <> 0")
    daemon.start()
    assert deliver(daemon, second).status == 200
    assert deliver(daemon, fakes.signer).status == 401
    # Not even the shipped key comes back to life.
    assert "public_key_before_until" not in report(daemon)


def test_a_key_that_comes_back_is_adopted_again(start, fakes):
    daemon = start()
    second = rotate(fakes)
    assert deliver(daemon, second).status == 200
    daemon.stop()
    fakes["kick"].set(public_key="current")
    daemon.start()
    daemon.wait_log(NEW)
    assert deliver(daemon, fakes.signer).status == 200
    assert deliver(daemon, second).status == 200
    assert len(daemon.events(type="public_key.changed")) == 3


# -- what is no key -------------------------------------------------------------------------

LONG = "-----BEGIN PUBLIC KEY-----\n" + "A" * 4096 + "\n-----END PUBLIC KEY-----"


def pem_with_exponent(exponent):
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key() \
        .public_numbers()

    class Odd:
        @staticmethod
        def public_key():
            return rsa.RSAPublicNumbers(exponent, numbers.n).public_key()
    return public_pem(Odd)


BAD = {
    "garbage": {"set": "garbage"},
    "1024 bits": {"set": "rsa1024"},
    "no RSA": {"set": "ec"},
    "exponent 3": {"body": {"data": {"public_key": pem_with_exponent(3)}, "message": "OK"}},
    "forbidden": {"mode": "cf403"},
    "empty": {"status": 200, "body": ""},
    "HTML": {"status": 200, "body": "<html><body>key</body></html>"},
    "HTML with a key": {"status": 200, "body": "<pre>" + Signer().public_pem + "</pre>"},
    "502": {"mode": "html502"},
    "too large": {"status": 200, "body_size": 300000},
    "large": {"body": {"data": {"public_key": Signer().public_pem}, "more": "x" * 20000}},
    "long": {"body": {"data": {"public_key": LONG}}},
    "number": {"body": {"data": {"public_key": 7}}},
    "list": {"body": [{"data": {"public_key": Signer().public_pem}}]},
    "no data": {"body": {"public_key": Signer().public_pem}},
    "empty text": {"body": {"data": {"public_key": ""}}},
    "private": {"body": {"data": {"public_key": Signer().private_pem.decode()}}},
    "redirect": {"status": 302, "body": "", "headers": {"Location": "http://127.0.0.1:1/"}},
    "cut": {"mode": "truncate"},
    "reset": {"mode": "reset"},
}


def spoil(fakes, kind):
    fault = dict(BAD[kind])
    if "set" in fault:
        fakes["kick"].set(public_key=fault["set"])
    else:
        fakes["kick"].next("public_key", **fault)


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_good_key_is_refused(streamhold, fakes, folder, kind):
    spoil(fakes, kind)
    daemon = streamhold(config(fakes, folder))
    daemon.wait_log("Kick's public key could not be looked up: .*; the key in use stays")
    counts = report(daemon)
    assert counts["public_key"] == SHIPPED and counts["public_key_trouble"]
    assert counts["public_key_answers_refused"] + counts["public_key_answers_failed"] == 1
    assert deliver(daemon, fakes.signer).status == 401
    assert daemon.events() == []


def test_the_key_in_use_stays_when_another_answer_is_no_key(start, fakes):
    daemon = start()
    in_use = report(daemon)["public_key"]
    spoil(fakes, "no RSA")
    wait_for(lambda: deliver(daemon, Signer()).status == 401 and asked(fakes) == 2)
    daemon.wait_log("Kick's public key could not be looked up: .*; the key in use stays")
    assert report(daemon)["public_key"] == in_use
    assert deliver(daemon, fakes.signer).status == 200
    assert len(daemon.events(type="public_key.changed")) == 1


# -- junk -----------------------------------------------------------------------------------


def test_junk_does_not_drive_the_questions(start, fakes):
    daemon = start()
    junk = [Signer() for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: deliver(daemon, junk[n % 2]), range(600)))
    assert {reply.status for reply in replies} == {401}
    assert asked(fakes) <= 1 + BURST
    assert deliver(daemon, fakes.signer).status == 200
    assert report(daemon)["deliveries_refused_signature"] == 600


def test_a_signature_of_the_wrong_form_asks_nobody(start, fakes):
    daemon = start()
    short = Signer(bits=1024)
    for _ in range(5):
        assert deliver(daemon, short).status == 401
    assert asked(fakes) == 1 and report(daemon)["public_key_suspicions"] == 0


def test_an_answer_that_hangs_holds_nobody_up_for_long(start, fakes):
    """Junk waits shortly, everything else not at all."""
    daemon = start()
    fakes["kick"].next("public_key", mode="hang", hold_s=60, count=-1)
    other = Signer()
    pass_gap(fakes)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        watch = Stopwatch()
        waiting = pool.submit(deliver, daemon, other)
        wait_for(lambda: asked(fakes) == 2)
        for _ in range(20):
            assert deliver(daemon, fakes.signer).status == 200
        assert not waiting.done()
        assert waiting.result().status == 401
    assert 1 < watch.wall() and watch.within(2.5)
    # The next one does not wait again for the same answer.
    watch = Stopwatch()
    assert deliver(daemon, other).status == 401
    assert watch.within(1)


def test_what_cannot_be_stored_is_not_used(start, fakes):
    """Store, then use: after a restart it would be gone."""
    daemon = start()
    daemon.stop()
    daemon.sql("CREATE TRIGGER no_key BEFORE UPDATE ON public_keys WHEN new.until = 0 BEGIN "
               "SELECT raise(ABORT, 'not now'); END")
    daemon.sql("CREATE TRIGGER no_row BEFORE INSERT ON public_keys WHEN new.since > 0 BEGIN "
               "SELECT raise(ABORT, 'not now'); END")
    second = rotate(fakes)
    daemon.start()
    daemon.wait_log("the new key could not be stored: .*; it is not used")
    assert deliver(daemon, fakes.signer).status == 200
    assert deliver(daemon, second).status == 401
