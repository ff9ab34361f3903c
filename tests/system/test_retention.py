"""Old events go while the daemon runs: by rows, changed by HUP, over a restart."""
import os
import signal
import time

import pytest

from tests.fake import delivery as making
from tests.fake.sender import send
from tests.lib.platforms import Platforms


@pytest.fixture
def daemon(streamhold, fakes, folder):
    return streamhold(fakes.config(folder, events={"max_rows": 1000}))


def deliver(daemon, one=None):
    one = one or making.build("chat.message.sent", Platforms.signer)
    reply = send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one)
    assert reply.status == 200
    return one, reply.body


def seqs(daemon):
    return [event["seq"] for event in daemon.get("/events?limit=500").json()["events"]]


def read(daemon, name, wanted):
    """Has a consumer read and acknowledge what it is given."""
    page = daemon.get(f"/consumers/{name}/events?limit=500").json()["events"]
    assert [one["seq"] for one in page] == list(wanted)
    assert daemon.post(f"/consumers/{name}/ack", {"seq": page[-1]["seq"]}).status == 200


def component(daemon):
    return daemon.get("/status").json()["components"]["events"]


def wait_for(daemon, wanted):
    end = time.monotonic() + 15
    while (last := seqs(daemon)) != wanted:
        assert time.monotonic() < end, last
        time.sleep(0.05)


def test_the_newest_rows_are_kept_and_ids_remembered(daemon):
    first, _ = deliver(daemon)
    for _ in range(59):
        deliver(daemon)
    assert seqs(daemon) == list(range(1, 61))
    daemon.config["events"]["max_rows"] = 20
    daemon.write_config()
    os.kill(daemon.process.pid, signal.SIGHUP)
    daemon.wait_log("'events.max_rows' changed, in force now")
    wait_for(daemon, list(range(41, 61)))
    assert b"duplicate" in deliver(daemon, first)[1]
    deliver(daemon)
    wait_for(daemon, list(range(42, 62)))
    assert daemon.get("/events/1").status == 404
    assert daemon.get(f"/events/{first.message_id}").status == 404
    text = daemon.get("/metrics").text
    assert "streamhold_events_deleted_total 41" in text
    assert "streamhold_events_stored 20" in text
    daemon.stop()
    daemon.start()
    assert b"duplicate" in deliver(daemon, first)[1]
    deliver(daemon)
    wait_for(daemon, list(range(43, 63)))


def test_what_a_consumer_needs_is_kept_up_to_a_limit_and_passing_it_is_announced(
        streamhold, fakes, folder):
    """Twice events.max_rows. Ingest does not wait for it, and it goes when it is acknowledged."""
    daemon = streamhold(fakes.config(folder, events={"max_rows": 20}))
    assert daemon.call("PUT", "/consumers/bot", {}).status == 200
    assert daemon.call("PUT", "/consumers/quick", {}).status == 200
    for _ in range(30):
        deliver(daemon)
    daemon.wait_log("events are kept longer, since a consumer has not acknowledged them")
    read(daemon, "quick", range(1, 31))
    for _ in range(8):
        deliver(daemon)
    time.sleep(0.5)
    assert seqs(daemon) == list(range(1, 39))
    assert component(daemon)["status"] == "healthy"
    for _ in range(12):
        deliver(daemon)
    line = daemon.wait_log("events that a consumer has not acknowledged were deleted").string
    assert "remove it, or raise events.max_rows" in line
    wait_for(daemon, list(range(12, 52)))       # 50 events, and one that tells of it
    notice, = daemon.get("/events?type=retention.unread_deleted").json()["events"]
    assert notice["kind"] == "notice" and notice["flags"] == ["own"]
    assert notice["data"]["needed_from"] == 1 and notice["data"]["last_seq"] <= 11
    assert component(daemon)["status"] == "degraded"
    assert "has not acknowledged events up to 11, which are deleted" in component(daemon)["detail"]
    assert "streamhold_events_unread_deleted_total 11" in daemon.get("/metrics").text
    read(daemon, "bot", range(12, 52))
    read(daemon, "quick", range(31, 52))
    deliver(daemon)
    wait_for(daemon, list(range(33, 53)))
    assert component(daemon)["status"] == "healthy"
    # Who begins with what is there has lost nothing.
    assert daemon.call("PUT", "/consumers/new", {"start": "beginning"}).status == 200
    deliver(daemon)
    time.sleep(0.5)
    assert component(daemon)["status"] == "healthy", component(daemon)
    read(daemon, "new", range(33, 54))
