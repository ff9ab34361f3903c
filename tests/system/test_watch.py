"""What a person sees of events that come and go: /status, the command, the silence alarm."""
import datetime
import json
import re
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fake import delivery as making
from tests.fake import events as kinds
from tests.fake.sender import send
from tests.lib.platforms import Platforms, put_credentials
from tests.lib.sse import Stream
from tests.lib.target import Target


@pytest.fixture
def daemon(streamhold, fakes, folder):
    ours = kinds.event("chat.message.sent")["broadcaster"]["username"]
    return streamhold(fakes.config(
        folder, events={"silence_alarm_s": 1},
        subscriptions={"kick": [{"username": ours, "events": ["chat.message.sent"]}]}))


def deliver(daemon, kind="chat.message.sent", **change):
    body = {**kinds.event(kind), **change}
    one = making.build(kind, Platforms.signer, body=body)
    reply = send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one)
    assert reply.status == 200, reply.body


def status(daemon):
    return daemon.get("/status").json()


def command(daemon, *arguments):
    return subprocess.run(
        [daemon.program("streamhold"), "--config", str(daemon.config_file), "status", *arguments],
        capture_output=True, text=True, timeout=20)


def wait_state(daemon, wanted, component="events"):
    end = time.monotonic() + 20
    while (last := status(daemon))["components"][component]["status"] != wanted:
        assert time.monotonic() < end, last
        time.sleep(0.05)
    return last


def test_counts_and_latencies_are_shown(daemon):
    for _ in range(3):
        deliver(daemon)
    found = status(daemon)
    assert found["deliveries"]["stored"] == 3 and found["deliveries"]["duplicate"] == 0
    event, = found["events"]
    assert event["type"] == "chat.message.sent" and event["count"] == 3
    assert event["last_at"].endswith("Z") and event["handout_ms"] is None
    delivery = event["delivery_ms"]
    assert 0 <= delivery["p50"] <= delivery["p95"] <= delivery["max"] < 20000
    document = json.loads(command(daemon, "--json").stdout)
    assert document["deliveries"]["stored"] == 3
    assert document["events"][0]["type"] == "chat.message.sent"
    assert document["events"][0]["delivery_ms"] == delivery
    text = command(daemon).stdout
    assert re.search(r"^  deliveries +stored 3$", text, re.M) and "chat.message.sent" in text


def post(daemon, mode="valid", kind="chat.message.sent", **options):
    one = making.build(kind, Platforms.signer, mode, **options)
    return one, send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one).status


def test_each_verdict_is_counted_and_told_the_same_everywhere(daemon):
    one, _ = post(daemon)
    send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one)
    for mode in ("other_broadcaster", "unknown_type"):
        assert post(daemon, mode)[1] == 200
    assert post(daemon, "swapped_type")[1] == 200
    for mode in ("flip_body", "old", "future"):
        assert post(daemon, mode)[1] == 401
    wanted = {"stored": 1, "duplicate": 1, "foreign": 1, "quarantined": 1, "unknown": 1,
              "refused_signature": 1, "refused_stale": 2, "failed": 0}
    assert status(daemon)["deliveries"] == wanted
    assert json.loads(command(daemon, "--json").stdout)["deliveries"] == wanted
    assert {verdict: int(count) for verdict, count in re.findall(
        r'^streamhold_deliveries_total\{verdict="(\w+)"\} (\d+)$',
        daemon.get("/metrics").text, re.M)} == wanted
    line, = [line for line in command(daemon).stdout.splitlines()
             if line.startswith("  deliveries ")]
    assert dict(part.rsplit(" ", 1) for part in line.removeprefix("  deliveries").strip().split(
        ", ")) == {verdict: str(count) for verdict, count in wanted.items() if count}


def test_latencies_are_those_of_their_type_everywhere(daemon):
    """Of twenty chat messages two come ten minutes late; so does the one gift."""
    for number in range(20):
        timestamp = kinds.stamp(-600 / 86400 if number < 2 else 0)
        assert post(daemon, timestamp=timestamp, number=number)[1] == 200
    assert post(daemon, kind="kicks.gifted", timestamp=kinds.stamp(-600 / 86400))[1] == 200
    found = {one["type"]: one for one in status(daemon)["events"]}
    assert set(found) == {"chat.message.sent", "kicks.gifted"}
    chat, gift = (found[kind]["delivery_ms"] for kind in ("chat.message.sent", "kicks.gifted"))
    assert chat["p50"] < 60_000 and 500_000 < chat["p95"] <= chat["max"] < 700_000
    assert 500_000 < gift["p50"] <= gift["p95"] <= gift["max"] < 700_000
    text = command(daemon).stdout
    for kind, one in found.items():
        times = "{p50}/{p95}/{max} ms".format(**one["delivery_ms"])
        line, = [line for line in text.splitlines() if line.strip().startswith(kind)]
        assert times in line, (times, line)
        name = f'streamhold_delivery_latency_seconds_count{{type="{kind}"}} '
        counted, = [line for line in daemon.get("/metrics").text.splitlines()
                    if line.startswith(name)]
        assert int(float(counted.removeprefix(name))) == one["count"]


def samples(daemon, name):
    """{labels: value} of a gauge."""
    family, = [one for one in text_string_to_metric_families(daemon.get("/metrics").text)
               if one.name == name]
    return {frozenset(one.labels.items()): one.value for one in family.samples}


def test_recent_latencies_and_last_times_are_those_of_the_status_and_of_the_events(daemon):
    assert daemon.call("PUT", "/consumers/bot", {}).status == 200
    for number in range(20):
        timestamp = kinds.stamp(-600 / 86400 if number < 2 else 0)
        assert post(daemon, timestamp=timestamp, number=number)[1] == 200
    time.sleep(0.05)
    assert len(daemon.get("/consumers/bot/events").json()["events"]) == 20
    assert post(daemon, kind="kicks.gifted")[1] == 200
    told = {one["type"]: one for one in status(daemon)["events"]}
    documented = json.loads(command(daemon, "--json").stdout)["events"]
    assert {one["type"]: one for one in documented} == told
    # And so does the table: TYPE, COUNT, LAST, DELIVERY, HAND-OUT.
    rows = dict(re.findall(r"^ *(chat\.message\.sent|kicks\.gifted) +(.*?) *$",
                           command(daemon).stdout, re.M))
    for kind, one in told.items():
        figures = [re.escape("{p50}/{p95}/{max} ms".format(**one[f"{way}_ms"]))
                   if one[f"{way}_ms"] else "-" for way in ("delivery", "handout")]
        assert re.fullmatch(rf"{one['count']} +\d+ s ago.*? +{figures[0]} +{figures[1]}",
                            rows[kind]), (rows, one)
    wanted = {}
    for one in told.values():
        for way in ("delivery", "handout"):
            times = one[f"{way}_ms"] or {}
            assert set(times) <= {"p50", "p95", "max"}
            for word, quantile in {"p50": "0.5", "p95": "0.95", "max": "1"}.items():
                if times:
                    wanted[frozenset({"type": one["type"], "way": way,
                                      "quantile": quantile}.items())] = times[word]
    found = samples(daemon, "streamhold_recent_latency_seconds")
    assert set(found) == set(wanted) and len(found) == 9    # the gift was not handed out
    for labels, seconds in found.items():
        assert abs(seconds * 1000 - wanted[labels]) <= 1, (dict(labels), seconds)
    assert len({round(one, 3) for one in found.values()}) > 3     # and they are not all one

    last = {}
    for event in daemon.events():
        at = datetime.datetime.fromisoformat(event["received_at"].replace("Z", "+00:00"))
        last[frozenset({("type", event["type"])})] = at.timestamp()
    assert len(last) == 2
    assert samples(daemon, "streamhold_event_last_time_seconds") == pytest.approx(last, abs=1e-3)
    daemon.stop()
    daemon.start()
    assert samples(daemon, "streamhold_event_last_time_seconds") == pytest.approx(last, abs=1e-3)
    assert not samples(daemon, "streamhold_recent_latency_seconds")


def handout(daemon):
    event, = status(daemon)["events"]
    return event["handout_ms"]


def wait_counted(daemon, count, kind="chat.message.sent"):
    end = time.monotonic() + 20
    while (last := handed_count(daemon, kind)) != count:
        assert time.monotonic() < end, last
        time.sleep(0.05)


def handed_count(daemon, kind="chat.message.sent"):
    name = f'streamhold_handout_latency_seconds_count{{type="{kind}"}} '
    for line in daemon.get("/metrics").text.splitlines():
        if line.startswith(name):
            return int(float(line.removeprefix(name)))
    return 0


def test_a_hand_out_to_a_stream_is_measured(daemon):
    deliver(daemon)
    assert handout(daemon) is None
    with Stream(daemon.api_port, "?after=now") as stream, \
            Stream(daemon.api_port, "?after=now") as other:
        deliver(daemon)
        deliver(daemon)
        assert len(stream.take(2)) == 2 and len(other.take(2)) == 2
        wait_counted(daemon, 2)
    measured = handout(daemon)
    assert 0 <= measured["p50"] <= measured["p95"] <= measured["max"] < 20000


def test_what_no_reader_of_the_stream_wants_is_not_handed_out(daemon):
    """The front follows everything for its readers; what counts is what one of them was given."""
    assert daemon.call("PUT", "/consumers/bot", {}).status == 200
    with Stream(daemon.api_port, "?after=now&kind=follow") as stream, \
            Stream(daemon.api_port, "?after=now&type=channel.followed") as other:
        deliver(daemon)
        deliver(daemon, "channel.followed")
        deliver(daemon)
        assert [one[1] for one in stream.take(1) + other.take(1)] == 2 * ["channel.followed"]
        wait_counted(daemon, 1, "channel.followed")
        time.sleep(0.3)
        assert handed_count(daemon) == 0
        # The first who gets it is the consumer, later.
        assert len(daemon.get("/consumers/bot/events").json()["events"]) == 3
        assert handed_count(daemon) == 2 and handed_count(daemon, "channel.followed") == 1
    chat, = (one for one in status(daemon)["events"] if one["type"] == "chat.message.sent")
    assert chat["handout_ms"]["p50"] >= 300


def test_a_hand_out_to_a_consumer_that_asks_is_measured_once(daemon):
    assert daemon.call("PUT", "/consumers/bot", {}).status == 200
    deliver(daemon)
    assert handout(daemon) is None
    time.sleep(0.3)
    for _ in range(2):
        assert len(daemon.get("/consumers/bot/events").json()["events"]) == 1
    assert handed_count(daemon) == 1
    assert handout(daemon)["max"] >= 300


def test_a_push_is_measured_when_it_was_taken(daemon):
    answers = iter([503])
    with Target(lambda push: next(answers, 200)) as target:
        done = daemon.cli("consumers", "add", "bot", "--forward", target.url,
                          "--allow-private", "127.0.0.1")
        assert done.returncode == 0, done.stderr
        deliver(daemon)
        target.wait(1)
        assert handed_count(daemon) == 0
        target.wait_taken(1)
        wait_counted(daemon, 1)
        assert handout(daemon)["max"] >= 1000 * (target.pushes[1].at - target.pushes[0].at) - 100


def test_silence_is_degraded_and_told(daemon, fakes):
    fakes.register(daemon, ["kick"])
    put_credentials(daemon, "kick")
    # Chat is subscribed to now: nothing else is wrong.
    wait_state(daemon, "healthy", "subscriptions")
    assert status(daemon)["status"] == "healthy"
    deliver(daemon, "livestream.status.updated", is_live=True)
    found = wait_state(daemon, "degraded")
    assert found["status"] == "degraded"
    assert "without chat messages" in found["components"]["events"]["detail"]
    assert daemon.get("/readyz").status == 200
    assert command(daemon, "--check").returncode == 7
    daemon.wait_log("is live, and no chat message came")
    event, = daemon.get("/events?type=stream.silent").json()["events"]
    assert event["kind"] == "notice" and event["flags"] == ["own"]
    assert "streamhold_streams_silent 1" in daemon.get("/metrics").text
    deliver(daemon, "livestream.status.updated", is_live=False)
    assert wait_state(daemon, "healthy")["status"] == "healthy"


def test_chat_that_is_not_wanted_any_more_is_not_missed(daemon):
    """It came before; what is wanted, be it nothing, decides alone."""
    ours = kinds.event("chat.message.sent")["broadcaster"]["username"]
    deliver(daemon)
    deliver(daemon, "livestream.status.updated", is_live=True)
    wait_state(daemon, "degraded")
    for change in (("PUT", {"events": ["livestream.status.updated"]}), ("DELETE", None)):
        assert daemon.call(change[0], f"/subscriptions/kick/{ours}", change[1]).status == 200
        wait_state(daemon, "healthy")
        silent = len(daemon.get("/events?type=stream.silent").json()["events"])
        daemon.stop()
        daemon.start()
        time.sleep(6.5)     # it looks every five seconds, and the alarm is at one
        assert status(daemon)["components"]["events"]["status"] == "healthy"
        assert len(daemon.get("/events?type=stream.silent").json()["events"]) == silent == 1


def test_chat_is_expected_where_the_api_was_told_so_and_nowhere_else(daemon):
    """The configuration wants chat of one channel; the API was told of it for another instead."""
    ours = kinds.event("chat.message.sent")["broadcaster"]
    other = {**ours, "user_id": 4711, "username": "other_one", "channel_slug": "other-one"}
    for name, event in ((ours["username"], "livestream.status.updated"),
                        ("other_one", "chat.message.sent")):
        answer = daemon.call("PUT", f"/subscriptions/kick/{name}", {"events": [event]})
        assert answer.status == 200, answer.text
    deliver(daemon, "livestream.status.updated", is_live=True)
    deliver(daemon, "livestream.status.updated", is_live=True, broadcaster=other)
    detail = wait_state(daemon, "degraded")["components"]["events"]["detail"]
    assert "'other_one'" in detail
    figures = daemon.get("/metrics").text
    assert "streamhold_streams_live 2" in figures and "streamhold_streams_silent 1" in figures
