"""GET /metrics, read by the parser of Prometheus' own Python client, against docs/metrics.md."""
import contextlib
import os
import re
import signal
import socket
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ROOT
from tests.fake import delivery as making
from tests.fake import events as kinds
from tests.fake.keys import Signer
from tests.fake.sender import exchange, send
from tests.lib.platforms import CLIENT_SECRET, Platforms, login, put_credentials

COUNTED = {"counter": "_total", "gauge": "", "histogram": ""}
BASE = re.compile(r"streamhold_[a-z0-9]+(_[a-z0-9]+)*")


def documented():
    """{family: (type, labels)} of the tables of docs/metrics.md."""
    text = (ROOT / "docs/metrics.md").read_text()
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in
            re.findall(r"^\| `(streamhold_\w+)` \| (\w+) \| ([^|]*)\|", text, re.M)}


def families(daemon):
    """{name as written: family}. The parser cuts `_total` off; here it stays."""
    answer = daemon.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        name = family.name + COUNTED[family.type]
        assert name not in found, f"{name} is written twice"
        found[name] = family
    assert set(re.findall(r"^# TYPE (\w+)", answer.text, re.M)) == set(found)
    return found


def wait_for(daemon, name, wanted, **labels):
    """Fronts report once a second."""
    end = time.monotonic() + 10
    while (last := value(families(daemon), name, **labels)) != wanted:
        assert time.monotonic() < end, (name, labels, last)
        time.sleep(0.05)


def deliver(daemon, mode="valid", kind="chat.message.sent"):
    one = making.build(kind, Platforms.signer, mode)
    return one, send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one)


def value(found, name, **labels):
    """The one sample of a family with these labels."""
    values = [sample.value for sample in found[name].samples if sample.labels == labels]
    assert len(values) == 1, (name, labels, found[name].samples)
    return values[0]


@pytest.fixture
def daemon(streamhold, fakes, folder):
    return streamhold(fakes.config(folder))


def test_every_family_is_documented_as_it_is(daemon):
    found = families(daemon)
    assert {name: family.type for name, family in found.items()} == \
        {name: kind for name, (kind, _) in documented().items()}
    for name, family in found.items():
        assert BASE.fullmatch(name), name
        assert family.documentation.endswith("."), name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == documented()[name][1], sample


def test_the_process(daemon):
    found = families(daemon)
    sample, = found["streamhold_build_info"].samples
    assert sample.value == 1
    assert sample.labels["version"] == daemon.get("/healthz").json()["version"]
    assert value(found, "streamhold_front_connected", role="webhook") == 1
    assert value(found, "streamhold_front_connects_total", role="api") == 1


def test_every_answer_and_refusal_of_the_fronts_is_counted(daemon):
    wait_for(daemon, "streamhold_http_answers_total", 0, role="webhook", **{"class": "2xx"})
    for mode in ("valid", "valid", "missing_signature"):
        deliver(daemon, mode)
    assert daemon.get("/nothing").status == 404
    assert daemon.get("/healthz", headers={"Host": "evil.example"}).status == 421
    exchange("127.0.0.1", daemon.webhook_port, b"BREW / HTTP/1.1\r\n\r\n")
    wait_for(daemon, "streamhold_http_answers_total", 2, role="webhook", **{"class": "2xx"})
    wait_for(daemon, "streamhold_http_refused_total", 1, role="webhook",
             reason="header_missing")
    wait_for(daemon, "streamhold_http_refused_total", 1, role="webhook", reason="malformed")
    wait_for(daemon, "streamhold_http_refused_total", 1, role="api", reason="host")
    wait_for(daemon, "streamhold_http_answers_total", 2, role="api", **{"class": "4xx"})
    wait_for(daemon, "streamhold_http_connections_total", 4, role="webhook")
    with contextlib.ExitStack() as open_ones:
        for _ in range(3):
            open_ones.enter_context(
                socket.create_connection(("127.0.0.1", daemon.webhook_port)))
        wait_for(daemon, "streamhold_http_connections", 3, role="webhook")
    wait_for(daemon, "streamhold_http_connections", 0, role="webhook")


def test_deliveries_by_verdict_and_their_commits(daemon):
    one, _ = deliver(daemon)
    send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one)
    deliver(daemon, "unknown_type")
    deliver(daemon, "flip_body")
    deliver(daemon, "old")
    found = families(daemon)
    verdicts = {sample.labels["verdict"]: sample.value
                for sample in found["streamhold_deliveries_total"].samples}
    assert verdicts == {**dict.fromkeys(verdicts, 0), "stored": 1, "duplicate": 1, "unknown": 1,
                        "refused_signature": 1, "refused_stale": 1}
    reasons = {sample.labels["reason"]: sample.value
               for sample in found["streamhold_deliveries_refused_total"].samples}
    assert reasons == {**dict.fromkeys(reasons, 0), "signature": 1, "old": 1}
    marks = {sample.labels["mark"]: sample.value
             for sample in found["streamhold_events_marked_total"].samples}
    assert marks == {**dict.fromkeys(marks, 0), "unknown": 1}
    assert abs(value(found, "streamhold_last_delivery_time_seconds") - time.time()) < 20
    assert value(found, "streamhold_store_commits_total") >= 3
    assert value(found, "streamhold_store_size_bytes") > 0
    assert value(found, "streamhold_store_healthy") == 1


def labelled(found, name, label):
    return {sample.labels[label]: sample.value for sample in found[name].samples}


def test_each_reason_of_a_refusal_and_each_mark_has_a_figure_of_its_own(
        streamhold, fakes, folder):
    ours = kinds.event("channel.followed")["broadcaster"]["username"]
    daemon = streamhold(fakes.config(folder, subscriptions={
        "kick": [{"username": ours, "events": ["channel.followed"]}]}))

    def put(kind="channel.followed", mode="valid", signer=Platforms.signer, **options):
        one = making.build(kind, signer, mode, **options)
        return send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one).status

    refused = {
        "signature": {"mode": "flip_body"}, "malformed": {"signer": Signer(bits=1024)},
        "old": {"mode": "old"}, "future": {"mode": "future"},
    }
    name = "streamhold_deliveries_refused_total"
    for reason, options in refused.items():
        before = labelled(families(daemon), name, "reason")
        # What is no time is refused by the front already.
        assert set(before) == {*refused, "time"}
        assert put(**options) == 401
        assert labelled(families(daemon), name, "reason") == \
            {**before, reason: before[reason] + 1}, reason
    for reason, options in {
            "header_form": {"timestamp": "2025-13-01T00:00:00Z"},
            "header_missing": {"mode": "missing_signature"},
            "header_doubled": {"mode": "duplicate_signature"},
            "header_empty": {"timestamp": " "}}.items():
        assert put(**options) == 401
        wait_for(daemon, "streamhold_http_refused_total", 1, role="webhook", reason=reason)
    hidden = {**kinds.person(7, "Somebody"), "is_anonymous": True}
    follow = kinds.event("channel.followed")
    marked = {
        "unknown": {"mode": "unknown_type"}, "foreign": {"mode": "other_broadcaster"},
        "wrong_body": {"mode": "swapped_type"},
        "wrong_types": {"body": {**follow, "follower": {**follow["follower"], "username": 7}}},
        "late": {"timestamp": kinds.stamp(-1 / 24), "body": {**follow, "n": 1}},
        "masked": {"body": {**follow, "follower": hidden}},
        "repeated": {"body": {**follow, "n": 2}}, "synthetic": None,
    }
    name = "streamhold_events_marked_total"
    assert put(**marked["repeated"]) == 200         # the first of the two
    for mark, options in marked.items():
        before = labelled(families(daemon), name, "mark")
        assert set(before) == set(marked)
        if options is None:
            assert daemon.cli("trigger", "channel.followed").returncode == 0
        else:
            assert put(**options) == 200
        assert labelled(families(daemon), name, "mark") == \
            {**before, mark: before[mark] + 1}, mark


def test_histograms_are_whole(daemon):
    deliver(daemon)
    family = families(daemon)["streamhold_store_commit_seconds"]
    buckets = [(float(sample.labels["le"]), sample.value) for sample in family.samples
               if sample.name.endswith("_bucket")]
    total, = (sample.value for sample in family.samples if sample.name.endswith("_count"))
    spent, = (sample.value for sample in family.samples if sample.name.endswith("_sum"))
    assert buckets == sorted(buckets) and buckets[-1] == (float("inf"), total)
    assert [count for _, count in buckets] == sorted(count for _, count in buckets)
    assert total >= 1 and 0 < spent < 60


def test_logins_and_keystore(daemon, fakes):
    fakes.register(daemon, ["kick", "twitch"])
    put_credentials(daemon, "kick")
    assert login(daemon, "kick").status == 200
    found = families(daemon)
    assert value(found, "streamhold_accounts", platform="kick", status="valid") == 1
    assert value(found, "streamhold_accounts", platform="twitch", status="valid") == 0
    assert value(found, "streamhold_account_status", platform="kick", account="streamer123",
                 status="valid", reason="") == 1
    expiry = value(found, "streamhold_account_expiry_time_seconds", platform="kick",
                   account="streamer123")
    assert 0 < expiry - time.time() < 100000
    assert value(found, "streamhold_logins_total", outcome="finished") == 1
    assert value(found, "streamhold_keystore_state", backend="file", state="healthy") == 1
    assert value(found, "streamhold_keystore_state", backend="file",
                 state="keystore_locked") == 0
    assert CLIENT_SECRET not in daemon.get("/metrics").text


def test_it_waits_for_a_broker_and_says_when_there_is_none(daemon):
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    assert daemon.get("/metrics").status == 200     # held until the next one is there
    wait_for(daemon, "streamhold_front_connects_total", 1, role="api")
