"""Events that are pushed: signed, in order, again after failures, given up in the end."""
import base64
import json
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import time

import pytest

from tests.lib import ports
from tests.lib.daemon import Streamhold
from tests.lib.target import Target, signature
from tests.system.consumer_stage import FAST, deliver, start

HOST = "127.0.0.1"


@pytest.fixture
def daemon(streamhold, folder):
    return start(streamhold, folder)


def add(daemon, url, name="bot", *more, stdin=None, good=True):
    """`consumers add --forward`; gives the secret that was made."""
    done = daemon.cli("consumers", "add", name, "--forward", url, "--allow-private", HOST,
                      *more, stdin=stdin)
    assert (done.returncode == 0) == good, done.stderr
    return done.stdout.strip() if good else done


def show(daemon, name="bot"):
    done = daemon.cli("consumers", "show", name, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["consumer"]


def dead(daemon, name="bot"):
    done = daemon.cli("consumers", "dead", name, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["dead_letters"]


def until(what, timeout=20):
    """Waits until a question has a good answer; gives it."""
    end = time.monotonic() + timeout
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


# -- the form -----------------------------------------------------------------------------


def test_a_push_is_a_standard_webhook(daemon):
    with Target() as target:
        secret = add(daemon, target.url)
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
        deliver(daemon)
        push, = target.wait_taken(1)
    headers = push.headers
    assert push.path == "/hook" and headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("streamhold/")
    assert "." not in push.id and len(push.id) < 64
    assert abs(int(headers["webhook-timestamp"]) - push.at) < 5
    assert headers["webhook-signature"] == signature(
        secret, push.id, headers["webhook-timestamp"], push.body)
    assert headers["streamhold-consumer"] == "bot"
    assert not push.redelivered
    whole = json.loads(push.body)
    assert list(whole) == ["type", "timestamp", "data"]
    assert whole["type"] == "chat.message.sent"
    assert whole["timestamp"] == push.event["occurred_at"]
    assert whole["data"] == daemon.get("/events/1").json()


def test_a_secret_of_ones_own(daemon):
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    with Target() as target:
        assert add(daemon, target.url, "bot", "--secret-stdin", stdin=secret + "\n") == ""
        deliver(daemon)
        push, = target.wait_taken(1)
    assert push.headers["webhook-signature"] == signature(
        secret, push.id, push.headers["webhook-timestamp"], push.body)


@pytest.mark.parametrize("secret", ["short", "whsec_", "whsec_c2hvcnQ=", "whsk_" + "A" * 44])
def test_secrets_that_are_none(daemon, secret):
    done = add(daemon, "http://127.0.0.1:1/", "bot", "--secret-stdin", stdin=secret, good=False)
    assert "whsec_ and base64 of 24 to 64 bytes" in done.stderr
    assert secret not in done.stderr or len(secret) < 8
    assert daemon.get("/consumers").json() == {"consumers": []}


def test_the_secret_is_shown_once_and_is_nowhere_in_clear(daemon, folder):
    with Target() as target:
        secret = add(daemon, target.url)
        add(daemon, target.url)     # a change keeps it
        deliver(daemon)
        push, = target.wait_taken(1)
    assert push.headers["webhook-signature"] == signature(
        secret, push.id, push.headers["webhook-timestamp"], push.body)
    key = secret.removeprefix("whsec_")
    for answer in (daemon.cli("consumers", "show", "bot", "--json").stdout,
                   daemon.cli("inspect").stdout, daemon.get("/consumers/bot").text,
                   daemon.get("/metrics").text, daemon.text_log()):
        assert key not in answer
    daemon.stop()
    for file in (folder / "state").iterdir():
        assert key.encode() not in file.read_bytes(), file
        assert base64.b64decode(key) not in file.read_bytes(), file


def test_a_front_is_told_only_where_to(daemon):
    with Target() as target:
        add(daemon, target.url + "/T0KEN/in-the-path?key=K3Y")
        told = daemon.get("/consumers/bot").json()
        assert told["forward"] == f"http://127.0.0.1:{target.port}"
        assert "T0KEN" not in daemon.text_log() and "K3Y" not in daemon.text_log()
        assert show(daemon)["forward"] == target.url + "/T0KEN/in-the-path?key=K3Y"


def test_the_api_cannot_set_where_to(daemon):
    answer = daemon.call("PUT", "/consumers/bot", {"forward": "http://127.0.0.1:1/"})
    assert answer.status == 400


def test_a_pushed_consumer_does_not_ask(daemon):
    with Target() as target:
        add(daemon, target.url)
        for answer in (daemon.get("/consumers/bot/events"),
                       daemon.post("/consumers/bot/ack", {"seq": 0})):
            assert answer.status == 409
    daemon.call("PUT", "/consumers/asker", {})
    done = add(daemon, target.url, "asker", good=False)
    assert "asks for its events by itself" in done.stderr


# -- order, filters, where to begin -------------------------------------------------------


def test_events_come_in_order_one_at_a_time(daemon):
    running, most = [0], [0]
    lock = threading.Lock()

    def answer(push):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.002)
        with lock:
            running[0] -= 1
        return 200

    with Target(answer) as target:
        add(daemon, target.url)
        deliver(daemon, 120)
        pushes = target.wait_taken(120)
    assert [push.seq for push in pushes] == list(range(1, 121))
    assert not any(push.redelivered for push in pushes)
    assert len({push.id for push in pushes}) == 120
    assert most[0] == 1


def test_filters_and_start(daemon):
    deliver(daemon, 1, "channel.followed")
    deliver(daemon, 2)
    with Target() as target:
        add(daemon, target.url, "bot", "--type", "channel.followed", "--start", "beginning")
        deliver(daemon, 2)
        deliver(daemon, 1, "channel.followed")
        pushes = target.wait_taken(2)
        until(lambda: show(daemon)["lag"] == 0)
    assert [push.seq for push in pushes] == [1, 6]


def test_cursor_survives_a_restart_in_order(daemon):
    with Target() as target:
        add(daemon, target.url)
        deliver(daemon, 5)
        target.wait_taken(5)
        # The broker has read the last answer too.
        until(lambda: show(daemon)["lag"] == 0)
        daemon.stop()
        daemon.start()
        deliver(daemon, 1)
        target.wait_taken(6)
        time.sleep(0.1)
    assert [push.seq for push in target.taken()] == [1, 2, 3, 4, 5, 6]
    assert not any(push.redelivered for push in target.taken())


def test_events_that_came_while_the_target_was_away_are_pushed(daemon):
    port = ports.steady()
    with Target(port=port) as target:
        add(daemon, target.url)
    deliver(daemon, 5)
    # Between two tries there is a time for the next one.
    trouble = until(lambda: next((it for it in [show(daemon)]
                                  if it["state"] == "failing" and it["retry_at"]), None))
    assert trouble["trouble"] == "the connection was refused"
    with Target(port=port) as target:
        pushes = target.wait_taken(5)
        assert [push.seq for push in pushes] == [1, 2, 3, 4, 5]
        # The first one was tried before.
        assert [push.redelivered for push in pushes] == [True, False, False, False, False]
        until(lambda: show(daemon)["state"] == "ready")
    assert dead(daemon) == []


def test_a_change_of_the_address_takes_effect(daemon):
    with Target(lambda push: 503) as wrong, Target() as right:
        add(daemon, wrong.url)
        deliver(daemon, 2)
        wrong.wait(1)
        add(daemon, right.url)
        pushes = right.wait_taken(2)
    assert [push.seq for push in pushes] == [1, 2] and pushes[0].redelivered


# -- every answer -------------------------------------------------------------------------

AGAIN_AND_AGAIN = [408, 425, 429, 502, 503, 504]
A_FEW_TIMES = [400, 411, 413, 414, 415, 422, 431, 451]
TEN_TIMES = [301, 302, 303, 307, 308, 401, 403, 404, 405, 409, 500, 501, 599]


@pytest.fixture(scope="module")
def table(build, tmp_path_factory):
    """One daemon with four attempts for an event, for the table of answers."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sh-"))

    def make(config, **options):
        return Streamhold(folder, config, build=build, **options).start()

    daemon = start(make, folder, {"consumers": {**FAST["consumers"], "push_attempts": 4}})
    yield daemon
    daemon.stop()
    assert not daemon.sanitizer_reports()
    shutil.rmtree(folder, ignore_errors=True)


def run_table(daemon, answer, count):
    """Two events to a target that answers the first one as told; gives its attempts, those of
    the second one, and the dead letters."""
    first = daemon.events()[-1]["seq"] + 1 if daemon.get("/events").json()["events"] else 1
    with Target(lambda push: answer(len(target.pushes)) if push.seq == first else 200) as target:
        add(daemon, target.url)
        deliver(daemon, 2)
        target.wait(1, what=lambda push: push.seq == first + 1)
        letters = dead(daemon)
        assert daemon.cli("consumers", "remove", "bot", "--yes").returncode == 0
    assert [push.seq for push in target.pushes] == [first] * count + [first + 1]
    assert [push.redelivered for push in target.pushes] == \
        [False] + [True] * (count - 1) + [False]
    assert len({push.id for push in target.pushes}) == 2
    return letters


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_answers_that_take_an_event(table, status):
    assert run_table(table, lambda attempt: status, 1) == []


@pytest.mark.parametrize("status", AGAIN_AND_AGAIN)
def test_answers_that_are_not_the_events_fault_never_kill_it(table, status):
    """More attempts than any event gets that keeps failing."""
    assert run_table(table, lambda attempt: status if attempt < 6 else 200, 7) == []


@pytest.mark.parametrize("status, attempts",
                         [(one, 3) for one in A_FEW_TIMES] + [(one, 4) for one in TEN_TIMES])
def test_answers_that_kill_an_event(table, status, attempts):
    location = {"Location": f"http://127.0.0.1:{table.api_port}/readyz"}
    letter, = run_table(table, lambda attempt: (status, location), attempts)
    assert letter["attempts"] == attempts and letter["type"] == "chat.message.sent"
    assert str(status) in letter["reason"]
    assert ("redirects are not followed" in letter["reason"]) == (status // 100 == 3)


@pytest.fixture
def quick(streamhold, folder):
    """Four attempts, so that a test sees their end soon."""
    return start(streamhold, folder,
                 {"consumers": {**FAST["consumers"], "push_attempts": 4}})


def test_a_target_that_closes_kills_an_event_in_the_end(quick):
    with Target(lambda push: None if push.seq == 1 else 200) as target:
        add(quick, target.url)
        deliver(quick, 2)
        target.wait_taken(1)
    assert "connection ended without an answer" in dead(quick)[0]["reason"]


def test_a_target_that_does_not_answer_in_time(streamhold, folder):
    daemon = start(streamhold, folder, {"consumers": {
        **FAST["consumers"], "push_attempts": 2, "push_timeout_ms": 200}})
    gate = threading.Event()
    with Target(lambda push: gate.wait(20) and 200 if push.seq == 1 else 200) as target:
        add(daemon, target.url)
        deliver(daemon, 2)
        target.wait(1, what=lambda push: push.seq == 2)
        gate.set()
    letter, = dead(daemon)
    assert letter["attempts"] == 2 and letter["reason"] == "the answer took too long"


def test_gone_switches_off_until_it_is_enabled(daemon):
    answers = iter([200, 410])
    with Target(lambda push: next(answers, 200)) as target:
        add(daemon, target.url)
        deliver(daemon, 3)
        target.wait(2)
        off = until(lambda: show(daemon)["state"] == "disabled" and show(daemon))
        assert off["trouble"] == "the target answered 410: it wants no more events"
        assert off["since"] and off["cursor"] == 1
        daemon.wait_log(r"'bot' is switched off.*consumers enable bot")
        deliver(daemon, 1)
        daemon.stop()
        daemon.start()
        assert show(daemon)["state"] == "disabled"
        told = daemon.get("/consumers/bot").json()
        assert told["state"] == "disabled" and "410" in told["trouble"]
        assert 'streamhold_consumer_disabled{consumer="bot"} 1' in daemon.get("/metrics").text
        done = daemon.cli("consumers", "retry", "bot", "--all")
        assert done.returncode == 1 and "switched off" in done.stderr
        time.sleep(0.2)
        assert len(target.pushes) == 2
        done = daemon.cli("consumers", "enable", "bot")
        assert done.returncode == 0 and "from 2 on" in done.stderr
        pushes = target.wait_taken(4)
    assert [push.seq for push in pushes] == [1, 2, 3, 4]
    assert pushes[1].redelivered and pushes[1].id == target.pushes[1].id


def test_retry_after_is_honoured(daemon):
    answers = iter([(429, {"Retry-After": "2"}), (503, {"Retry-After": "1"})])
    with Target(lambda push: next(answers, 200)) as target:
        add(daemon, target.url)
        deliver(daemon)
        target.wait(1)
        retry_at = until(lambda: show(daemon)["retry_at"])
        assert retry_at.endswith("Z")
        target.wait_taken(1)
        first, second, third = target.pushes
    assert 1.8 < second.at - first.at < 6 and 0.8 < third.at - second.at < 6


def test_back_off_grows(streamhold, folder):
    daemon = start(streamhold, folder, {"consumers": {"push_retry_ms": 100}})
    with Target(lambda push: 503) as target:
        add(daemon, target.url)
        deliver(daemon)
        target.wait(5)
        gaps = [after.at - before.at
                for before, after in zip(target.pushes, target.pushes[1:])]
    for number, gap in enumerate(gaps[:4]):
        assert gap >= 0.1 * 2 ** number / 2 * 0.95, gaps


# -- dead letters -------------------------------------------------------------------------


def test_dead_letters_are_tried_again(quick):
    good = threading.Event()

    def answer(push):
        return 200 if good.is_set() or push.seq > 3 else 400

    with Target(answer) as target:
        add(quick, target.url)
        deliver(quick, 4)
        target.wait_taken(1)
        until(lambda: len(dead(quick)) == 3)
        first = {push.seq: push.id for push in target.pushes}
        # One answer is what is asked for.
        attempts = len(target.pushes)
        assert quick.cli("consumers", "retry", "bot", "2").returncode == 0
        target.wait(attempts + 1)
        until(lambda: [letter["attempts"] for letter in dead(quick)] == [3, 4, 3])
        quick.stop()        # letters outlive the daemon
        quick.start()
        good.set()
        assert quick.cli("consumers", "retry", "bot", "1").returncode == 0
        until(lambda: [letter["seq"] for letter in dead(quick)] == [2, 3])
        done = quick.cli("consumers", "retry", "bot", "--all", "--json")
        assert json.loads(done.stdout)["count"] == 2
        until(lambda: dead(quick) == [])
        again = target.taken()[1:]
        assert [push.seq for push in again] == [1, 2, 3]
        assert all(push.redelivered for push in again)
        assert [push.id for push in again] == [first[1], first[2], first[3]]
        until(lambda: show(quick)["dead_letters"] == 0)
        deliver(quick)      # and it goes on
        assert target.wait_taken(5)[-1].seq == 5


def test_retries_that_are_refused(quick):
    with Target() as target:
        add(quick, target.url)
        for words, status in ((("bot", "7"), 5), (("bot",), 2), (("bot", "1", "--all"), 2),
                              (("nobody", "--all"), 5), (("bot", "x"), 2)):
            done = quick.cli("consumers", "retry", *words)
            assert done.returncode == status and "streamhold " in done.stderr, done


def test_removing_ends_the_pushing(quick):
    with Target(lambda push: 400) as target:
        secret = add(quick, target.url)
        deliver(quick)
        until(lambda: dead(quick))
        assert quick.cli("consumers", "remove", "bot", "--yes").returncode == 0
        attempts = len(target.pushes)
        deliver(quick, 2)
        time.sleep(0.3)
        assert len(target.pushes) == attempts
    quick.stop()
    for table in ("consumers", "dead_letters", "secrets"):
        assert quick.sql(f"SELECT count(*) FROM {table}") == [(0,)]
    quick.start()
    with Target() as target:
        assert add(quick, target.url) not in ("", secret)       # a new secret
        assert dead(quick) == []


# -- addresses ----------------------------------------------------------------------------

REFUSED = [
    ("http://127.0.0.1:9/", "--allow-private 127.0.0.1"),
    ("https://127.0.0.1/", "--allow-private 127.0.0.1"),
    ("https://localhost/", "--allow-private localhost"),
    ("https://bot.localhost/", "--allow-private bot.localhost"),
    ("https://10.1.2.3/", "--allow-private 10.1.2.3"),
    ("https://172.31.0.1/", "--allow-private"),
    ("https://192.168.1.1/", "--allow-private"),
    ("https://100.64.0.1/", "--allow-private"),
    ("https://[::1]/", "--allow-private [::1]"),
    ("https://[fd00::1]/", "--allow-private"),
    ("https://[::ffff:127.0.0.1]/", "--allow-private"),
    ("https://[64:ff9b::7f00:1]/", "--allow-private"),
    ("https://2130706433/", "--allow-private"),
    ("https://0x7f.1/", "--allow-private"),
    ("https://017700000001/", "--allow-private"),
    ("https://169.254.169.254/latest/meta-data", "nothing is ever pushed there"),
    ("https://0.0.0.0/", "nothing is ever pushed there"),
    ("https://224.0.0.1/", "nothing is ever pushed there"),
    ("https://255.255.255.255/", "nothing is ever pushed there"),
    ("https://[fe80::1]/", "nothing is ever pushed there"),
    ("https://[ff02::1]/", "nothing is ever pushed there"),
    ("https://[::]/", "nothing is ever pushed there"),
    ("https://[2002:7f00:1::]/", "nothing is ever pushed there"),
    ("http://example.org/", "http:// sends events unencrypted"),
    ("ftp://example.org/", "must begin with https:// or http://"),
    ("file:///etc/passwd", "must begin with https:// or http://"),
    ("example.org", "must begin with https:// or http://"),
    ("https://", "no host that can be understood"),
    ("https://user:pw@example.org/", "must not hold a user name"),
    ("https://example.org@127.0.0.1/", "must not hold a user name"),
    ("https://exa mple.org/", "visible ASCII"),
    ("https://example.org/\n", "visible ASCII"),
    ("https://exämple.org/", "visible ASCII"),
    ("https://example.org:0/", "port"),
    ("https://example.org:65536/", "port"),
    ("https://example.org:http/", "port"),
    ("https://example.org/#part", "fragment"),
    ("https://exa%6dple.org/", "no host that can be understood"),
    ("https://" + "a" * 256 + "/", "no host that can be understood"),
    ("https://example.org/" + "a" * 1024, "longer than 1024 bytes"),
]


@pytest.mark.parametrize("url, sentence", REFUSED, ids=[url[:40] for url, _ in REFUSED])
def test_addresses_that_are_refused(table, url, sentence):
    done = table.cli("consumers", "add", "bot", "--forward", url)
    assert done.returncode == 2 and sentence in done.stderr, done.stderr
    assert table.get("/consumers").json() == {"consumers": []}


def test_another_host_cannot_be_allowed(table):
    done = table.cli("consumers", "add", "bot", "--forward", "https://127.0.0.1/",
                      "--allow-private", "localhost")
    assert done.returncode == 2 and "must name the host of the address" in done.stderr
    done = table.cli("consumers", "add", "bot", "--forward", "https://169.254.169.254/",
                      "--allow-private", "169.254.169.254")
    assert done.returncode == 2 and "nothing is ever pushed there" in done.stderr
    done = table.cli("consumers", "add", "bot", "--allow-private", "localhost")
    assert done.returncode == 2 and "--forward URL" in done.stderr


def test_a_name_that_comes_to_lead_inside_is_refused_when_connecting(daemon):
    """DNS rebinding: the address was public when it was entered. Its row is changed behind the
    daemon's back to a name that leads to loopback, without the permission."""
    with Target() as target:
        add(daemon, target.url.replace(HOST, "localhost"), "named", "--allow-private",
            "localhost")
        daemon.stop()
        daemon.sql("UPDATE consumers SET private_too = 0")
        daemon.start()
        deliver(daemon, 1)
        trouble = until(lambda: show(daemon, "named")["trouble"])
        assert trouble == "the name leads to an address that is not allowed"
        assert target.pushes == []
    assert dead(daemon, "named") == []


# -- side by side -------------------------------------------------------------------------


def test_a_slow_target_delays_nobody(daemon):
    gate = threading.Event()
    with Target(lambda push: gate.wait(30) and 200) as slow, Target(lambda push: 503) as bad, \
            Target() as good:
        for number in range(5):
            add(daemon, slow.url, f"slow{number}")
            add(daemon, bad.url, f"bad{number}")
        add(daemon, good.url, "good")
        began = time.monotonic()
        deliver(daemon, 50)
        good.wait_taken(50)
        took = time.monotonic() - began
        gate.set()
    assert [push.seq for push in good.taken()] == list(range(1, 51))
    assert took < 10


def test_there_are_bounds(table):
    for number in range(32):
        done = table.cli("consumers", "add", f"bot{number}", "--forward",
                          f"https://bot{number}.invalid/")
        assert done.returncode == 0, done.stderr
    done = table.cli("consumers", "add", "more", "--forward", "https://bot.invalid/")
    assert done.returncode == 1 and "32 consumers already" in done.stderr
    for number in range(32):
        assert table.cli("consumers", "remove", f"bot{number}", "--yes").returncode == 0


def test_a_crash_leads_to_redelivery_and_says_so(daemon):
    hold, held = threading.Event(), threading.Event()

    def answer(push):
        if push.seq == 2 and not held.is_set():
            held.set()
            hold.wait(20)
        return 200

    with Target(answer) as target:
        add(daemon, target.url)
        deliver(daemon, 3)
        assert held.wait(20)
        os.kill(daemon.broker_pid(), signal.SIGKILL)
        hold.set()
        until(lambda: {push.seq for push in target.taken()} == {1, 2, 3})
        until(lambda: show(daemon)["lag"] == 0)
    times = {}
    for push in target.pushes:
        times.setdefault(push.seq, []).append(push.redelivered)
    for seq in (1, 2, 3):
        assert all(times[seq][1:]), times
    assert len(times[2]) == 2


# -- the command --------------------------------------------------------------------------


def test_a_test_event(daemon):
    answers = iter([204, 500])
    with Target(lambda push: next(answers)) as target:
        secret = add(daemon, target.url)
        done = daemon.cli("consumers", "test", "bot")
        assert done.returncode == 0 and "took the test event" in done.stderr
        push, = target.wait(1)
        assert push.event["type"] == "streamhold.test" and push.event["seq"] == 0
        assert "synthetic" in push.event["flags"]
        assert push.headers["webhook-signature"] == signature(
            secret, push.id, push.headers["webhook-timestamp"], push.body)
        done = daemon.cli("consumers", "test", "bot", "--json")
        assert done.returncode == 6
        said = json.loads(done.stdout)
        assert said["taken"] is False and said["status"] == 500
        assert said["problem"] == "the answer was 500"
    done = daemon.cli("consumers", "test", "bot")
    assert done.returncode == 6 and "the connection was refused" in done.stderr
    assert daemon.cli("consumers", "test", "nobody").returncode == 5
    assert show(daemon)["cursor"] == 0


def test_what_the_command_says(daemon):
    done = daemon.cli("consumers", "list")
    assert done.returncode == 0 and "no named consumer yet" in done.stderr
    done = daemon.cli("consumers", "add", "asker", "--type", "channel.followed")
    assert done.returncode == 0 and "GET /consumers/asker/events" in done.stderr
    with Target() as target:
        add(daemon, target.url)
        done = daemon.cli("consumers", "list")
        assert done.returncode == 0
        lines = done.stdout.splitlines()
        assert lines[0].split()[:3] == ["NAME", "PUSHED", "TO"]
        assert lines[1].startswith("asker") and "(asks by itself)" in lines[1]
        assert lines[2].startswith("bot") and target.url in lines[2]
        shown = daemon.cli("consumers", "show", "asker").stdout
        assert "channel.followed" in shown and "done up to    0" in shown
        listed = json.loads(daemon.cli("consumers", "list", "--json").stdout)
        assert [one["name"] for one in listed["consumers"]] == ["asker", "bot"]
        assert listed["format_version"] == 1
    for words in (("show", "x"), ("remove", "x", "--yes"), ("dead", "x"), ("enable", "x")):
        done = daemon.cli("consumers", *words)
        assert done.returncode == 5 and "There is no consumer named x" in done.stderr
        assert "streamhold " in done.stderr.splitlines()[-1]
    done = daemon.cli("consumers", "remove", "bot", stdin="")
    assert done.returncode == 2 and "--yes" in done.stderr
    done = daemon.cli("consumers", "enable", "asker")
    assert done.returncode == 1 and "nothing is pushed" in done.stderr


def test_enable_does_not_wait_for_the_back_off(streamhold, folder):
    daemon = start(streamhold, folder, {"consumers": {"push_retry_ms": 60000}})
    answers = iter([503])
    with Target(lambda push: next(answers, 200)) as target:
        add(daemon, target.url)
        deliver(daemon)
        target.wait(1)
        until(lambda: show(daemon)["state"] == "failing")
        assert daemon.cli("consumers", "enable", "bot").returncode == 0
        target.wait_taken(1)


# -- replays ------------------------------------------------------------------------------


def replay(daemon, *names):
    return daemon.cli("events", "replay", *names, "--to", "bot")


def test_a_replay_is_pushed_marked_and_moves_no_cursor(daemon):
    with Target() as target:
        add(daemon, target.url)
        deliver(daemon, 3)
        target.wait_taken(3)
        until(lambda: show(daemon)["cursor"] == 3)
        assert replay(daemon, "1", "2").returncode == 0
        pushes = target.wait_taken(5)
        deliver(daemon)
        pushes = target.wait_taken(6)
        until(lambda: show(daemon)["cursor"] == 4 and not show(daemon)["dead_letters"])
    assert [push.seq for push in pushes] == [1, 2, 3, 1, 2, 4]
    assert [push.redelivered for push in pushes] == [False] * 3 + [True, True, False]
    assert [push.id for push in pushes[3:5]] == [push.id for push in pushes[:2]]
    assert dead(daemon) == []


def test_a_replay_outlives_the_broker_and_a_target_that_is_away(quick):
    port = ports.steady()
    with Target(port=port) as target:
        add(quick, target.url)
        deliver(quick)
        target.wait_taken(1)
        until(lambda: show(quick)["cursor"] == 1)
    assert replay(quick, "1").returncode == 0
    waiting, = dead(quick)
    assert waiting["seq"] == 1 and waiting["reason"] == "replayed by hand"
    os.kill(quick.broker_pid(), signal.SIGKILL)
    with Target(port=port) as target:
        push, = target.wait_taken(1)
        assert push.seq == 1 and push.redelivered
        until(lambda: dead(quick) == [])


def test_a_replay_to_one_that_is_switched_off(daemon):
    with Target(lambda push: 410 if push.seq == 2 else 200) as target:
        add(daemon, target.url)
        deliver(daemon, 2)
        until(lambda: show(daemon)["state"] == "disabled")
        done = replay(daemon, "1")
        assert done.returncode == 1 and "switched off" in done.stderr
    assert dead(daemon) == []
