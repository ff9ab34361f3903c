"""A new secret for what is pushed: both sign for a while, then the new one only (Standard
Webhooks; facts/twitch-google-standards.md F.4, 31)."""
import base64
import json
import subprocess
import threading
import time

import pytest

from tests.lib.target import Target, signature
from tests.system.consumer_stage import deliver, start
from tests.system.test_push import add, show, until
from tests.system.test_push_client import line, needs_package, verify

OWN = "whsec_" + base64.b64encode(b"o" * 32).decode()


@pytest.fixture
def daemon(streamhold, folder):
    return start(streamhold, folder)


def rotate(daemon, *words, name="bot", stdin=None, status=0):
    """`consumers rotate-secret`; gives the secret that was made."""
    done = daemon.cli("consumers", "rotate-secret", name, *words, stdin=stdin)
    assert done.returncode == status, done.stderr
    return done.stdout.strip() if status == 0 else done


def signed(push, *secrets):
    """Whether a push carries the signatures of exactly these, in this order."""
    return push.headers["webhook-signature"] == " ".join(
        signature(secret, push.id, push.headers["webhook-timestamp"], push.body)
        for secret in secrets)


def push_next(daemon, target):
    """Delivers one event and gives the attempt that brought it."""
    seen = len(target.pushes)
    deliver(daemon)
    return target.wait(seen + 1)[seen]


def secret_names(daemon):
    """What the database of a stopped daemon holds."""
    return [name for name, in daemon.sql("SELECT name FROM secrets ORDER BY name")]


# -- the overlap --------------------------------------------------------------------------


def test_both_secrets_sign_for_a_while_the_new_one_first(daemon):
    with Target() as target:
        old = add(daemon, target.url)
        assert signed(push_next(daemon, target), old)
        new = rotate(daemon)
        assert new.startswith("whsec_") and new != old
        assert signed(push_next(daemon, target), new, old)
        left = until(lambda: show(daemon)["old_secret_until"])
        assert left == daemon.get("/consumers/bot").json()["old_secret_until"]
        assert "old secret" in daemon.cli("consumers", "show", "bot").stdout
        # A day, as configured by default.
        until_s = time.mktime(time.strptime(left, "%Y-%m-%dT%H:%M:%S.%fZ")) - time.timezone
        assert abs(until_s - time.time() - 86400) < 60
        seen = len(target.pushes)
        assert daemon.cli("consumers", "test", "bot").returncode == 0
        assert signed(target.wait(seen + 1)[seen], new, old)
        daemon.stop()
        daemon.start()
        assert signed(push_next(daemon, target), new, old)


def test_the_old_secret_ends_durably(daemon):
    with Target() as target:
        old = add(daemon, target.url)
        new = rotate(daemon, "--overlap", "5s")
        assert signed(push_next(daemon, target), new, old)
        until(lambda: show(daemon)["old_secret_until"] is None)
        assert signed(push_next(daemon, target), new)
        daemon.wait_log(r"the secret that 'bot' had before is good no more")
        daemon.stop()
        assert secret_names(daemon) == ["push/bot"]
        assert daemon.sql("SELECT old_generation, old_until FROM consumers") == [(0, 0)]
        daemon.start()
        assert signed(push_next(daemon, target), new)


def test_an_old_secret_whose_time_passed_while_nothing_ran_signs_nothing(daemon):
    with Target() as target:
        old = add(daemon, target.url)
        new = rotate(daemon, "--overlap", "5s")
        assert signed(push_next(daemon, target), new, old)
        daemon.stop()
        assert secret_names(daemon) == ["push-before/bot", "push/bot"]
        end = daemon.sql("SELECT old_until FROM consumers")[0][0] / 1000
        time.sleep(max(0, end - time.time()) + 0.05)
        daemon.start()
        assert signed(push_next(daemon, target), new)
        until(lambda: show(daemon)["old_secret_until"] is None)
        daemon.stop()
        assert secret_names(daemon) == ["push/bot"]


def test_how_long_is_configured_and_bounded(streamhold, folder):
    daemon = start(streamhold, folder, {"consumers": {"secret_overlap_s": 0}})
    with Target() as target:
        add(daemon, target.url)
        new = rotate(daemon)
        assert signed(push_next(daemon, target), new)
        assert show(daemon)["old_secret_until"] is None
        again = rotate(daemon, "--overlap", "7d")
        assert signed(push_next(daemon, target), again, new)
        for words in ("8d", "-1", "", "soon"):
            done = rotate(daemon, "--overlap", words, status=2)
            assert "7 days at most" in done.stderr and "streamhold help" in done.stderr
        assert signed(push_next(daemon, target), again, new)
    done = daemon.cli("config", "check")
    assert done.returncode == 0


@needs_package
def test_standardwebhooks_of_npm_takes_either_secret_and_then_the_new_one(daemon):
    with Target() as target:
        old = add(daemon, target.url)
        new = rotate(daemon, "--overlap", "3s")
        both = push_next(daemon, target)
        until(lambda: show(daemon)["old_secret_until"] is None)
        after = push_next(daemon, target)
    assert verify(old, [line(both), line(after)]) == ["chat.message.sent", "refused"]
    assert verify(new, [line(both), line(after)]) == ["chat.message.sent"] * 2
    assert verify(OWN, [line(both), line(after)]) == ["refused"] * 2


# -- what a rotation leaves alone, and what it ends ---------------------------------------


def test_an_attempt_that_is_under_way_is_not_disturbed(daemon):
    hold, held = threading.Event(), threading.Event()

    def answer(push):
        if push.seq == 1:
            held.set()
            hold.wait(20)
        return 200

    with Target(answer) as target:
        old = add(daemon, target.url)
        deliver(daemon, 2)
        assert held.wait(20)
        new = rotate(daemon)
        hold.set()
        first, second = target.wait_taken(2)
    assert (first.seq, second.seq) == (1, 2)
    assert not first.redelivered and not second.redelivered
    assert signed(first, old) and signed(second, new, old)


def test_of_three_secrets_the_newest_two_are_good(daemon):
    with Target() as target:
        add(daemon, target.url)
        second = rotate(daemon)
        third = rotate(daemon, "--secret-stdin", stdin=OWN + "\n")
        assert third == ""
        assert signed(push_next(daemon, target), OWN, second)
        # A secret that is set with the address ends all before it at once.
        another = "whsec_" + base64.b64encode(b"a" * 24).decode()
        add(daemon, target.url, "bot", "--secret-stdin", stdin=another + "\n")
        assert signed(push_next(daemon, target), another)
        assert show(daemon)["old_secret_until"] is None
        daemon.stop()
        assert secret_names(daemon) == ["push/bot"]


def test_a_change_of_the_consumer_keeps_both(daemon):
    with Target() as target:
        old = add(daemon, target.url)
        new = rotate(daemon)
        add(daemon, target.url + "/other")
        assert signed(push_next(daemon, target), new, old)
        assert daemon.call("PUT", "/consumers/bot", {"type": "chat.message.sent"}).status == 200
        assert signed(push_next(daemon, target), new, old)
        daemon.stop()
        daemon.start()
        assert signed(push_next(daemon, target), new, old)
        assert daemon.cli("consumers", "remove", "bot", "--yes").returncode == 0
        daemon.stop()
        assert secret_names(daemon) == []


def test_a_secret_that_is_lost_is_replaced_without_an_overlap(daemon):
    with Target() as target:
        add(daemon, target.url)
        daemon.stop()
        daemon.sql("DELETE FROM secrets")
        daemon.start()
        done = rotate(daemon, status=1)
        assert "its secret is gone" in done.stderr
        new = rotate(daemon, "--overlap", "0")
        assert signed(push_next(daemon, target), new)


def test_rotations_at_the_same_time(daemon):
    made, lock = [], threading.Lock()

    def one():
        done = daemon.cli("consumers", "rotate-secret", "bot")
        with lock:
            made.append((done.returncode, done.stdout.strip(), done.stderr))

    with Target() as target:
        old = add(daemon, target.url)
        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        push = push_next(daemon, target)
    good = [secret for status, secret, _ in made if status == 0]
    assert good and all("at the same time" in said for status, _, said in made if status)
    # The one that signs is one that somebody was told, and so is the one before it.
    known = {signature(secret, push.id, push.headers["webhook-timestamp"], push.body)
             for secret in [*good, old]}
    carried = push.headers["webhook-signature"].split()
    assert len(carried) == 2 and set(carried) <= known


# -- refusals, and the API ----------------------------------------------------------------


def test_what_the_command_refuses_and_says(daemon):
    daemon.call("PUT", "/consumers/asker", {})
    assert "nothing is signed for it" in rotate(daemon, name="asker", status=1).stderr
    assert "streamhold consumers list" in rotate(daemon, name="nobody", status=5).stderr
    with Target() as target:
        old = add(daemon, target.url)
        done = rotate(daemon, "--secret-stdin", stdin="short\n", status=2)
        assert "whsec_ and base64 of 24 to 64 bytes" in done.stderr
        done = rotate(daemon, "--secret-stdin", stdin=old + "\n", status=1)
        assert "in use already" in done.stderr and old not in done.stderr
        assert signed(push_next(daemon, target), old)
        done = daemon.cli("consumers", "rotate-secret", "bot", "--json")
        said = json.loads(done.stdout)
        assert said["secret"].startswith("whsec_") and said["old_secret_until"].endswith("Z")
        done = daemon.cli("consumers", "rotate-secret", "bot", "--json", "--secret-stdin",
                          "--overlap", "0", stdin=OWN)
        said = json.loads(done.stdout)
        assert said["secret"] is None and said["old_secret_until"] is None
        assert OWN not in done.stdout + done.stderr


def put_secret(daemon, current, secret, name="bot", **more):
    return daemon.call("PUT", f"/consumers/{name}/secret",
                       {"current": current, "secret": secret, **more})


def test_the_api_changes_the_secret_for_who_knows_the_one_in_use(daemon):
    with Target() as target:
        old = add(daemon, target.url)
        answer = put_secret(daemon, OWN, OWN)
        assert answer.status == 403 and answer.headers["Streamhold-Error"] == "secret_wrong"
        assert signed(push_next(daemon, target), old)
        answer = put_secret(daemon, old, OWN, overlap_s=3600)
        assert answer.status == 200, answer.text
        assert list(answer.json()) == ["message", "name", "old_secret_until"]
        assert OWN not in answer.text and old not in answer.text
        assert signed(push_next(daemon, target), OWN, old)
        # The one before is good for receivers, not for setting another.
        assert put_secret(daemon, old, "whsec_" + "A" * 43 + "=").status == 403
        assert put_secret(daemon, OWN, OWN).status == 409
        assert put_secret(daemon, OWN, old, overlap_s=0).json()["old_secret_until"] is None
        assert signed(push_next(daemon, target), old)


@pytest.mark.parametrize("body, status, sentence", [
    ({}, 400, "current and secret are required"),
    ({"current": OWN}, 400, "current and secret are required"),
    ({"secret": OWN}, 400, "current and secret are required"),
    ({"current": "", "secret": OWN}, 400, "current and secret are required"),
    ({"current": 7, "secret": OWN}, 400, "current and secret are required"),
    ({"current": OWN, "secret": "x" * 257}, 400, "at most 256 bytes"),
    ({"current": OWN, "secret": "short"}, 400, "whsec_ and base64"),
    ({"current": OWN, "secret": OWN, "overlap_s": -1}, 400, "0 to 604800"),
    ({"current": OWN, "secret": OWN, "overlap_s": 604801}, 400, "0 to 604800"),
    ({"current": OWN, "secret": OWN, "overlap_s": "1h"}, 400, "0 to 604800"),
], ids=str)
def test_bodies_that_the_api_refuses(daemon, body, status, sentence):
    add(daemon, "http://127.0.0.1:1/hook")
    answer = daemon.call("PUT", "/consumers/bot/secret", body)
    assert answer.status == status and sentence in answer.json()["error"]
    assert OWN not in answer.text


def test_the_api_refuses_consumers_that_have_none(daemon):
    daemon.call("PUT", "/consumers/asker", {})
    assert put_secret(daemon, OWN, OWN, name="asker").status == 409
    assert put_secret(daemon, OWN, OWN, name="nobody").status == 404
    assert put_secret(daemon, OWN, OWN, name="n" * 65).status == 404


def test_neither_secret_is_in_clear_anywhere(daemon, folder):
    with Target() as target:
        old = add(daemon, target.url)
        new = rotate(daemon)
        assert put_secret(daemon, new, OWN).status == 200
        push_next(daemon, target)
        said = [daemon.cli("consumers", "show", "bot", "--json").stdout,
                daemon.cli("inspect").stdout, daemon.get("/consumers/bot").text,
                daemon.get("/metrics").text, daemon.text_log()]
    daemon.stop()
    for secret in (old, new, OWN):
        key = secret.removeprefix("whsec_")
        assert not any(key in text for text in said)
        for file in (folder / "state").iterdir():
            assert key.encode() not in file.read_bytes(), file
            assert base64.b64decode(key) not in file.read_bytes(), file


def test_help_names_it(daemon):
    done = subprocess.run([daemon.program("streamhold"), "help", "consumers", "rotate-secret"],
                          capture_output=True, text=True, check=True)
    assert "--overlap" in done.stdout and "--secret-stdin" in done.stdout
