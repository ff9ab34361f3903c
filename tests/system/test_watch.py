"""What a person sees of events that come and go: /status, the command, the silence alarm."""
import json
import subprocess
import time

import pytest

from tests.fake import delivery as making
from tests.fake import events as kinds
from tests.fake.sender import send
from tests.lib.platforms import Platforms


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


def wait_state(daemon, wanted):
    end = time.monotonic() + 20
    while (last := status(daemon))["components"]["events"]["status"] != wanted:
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
    assert "deliveries stored 3" in text and "chat.message.sent" in text


def test_silence_is_degraded_and_told(daemon):
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
