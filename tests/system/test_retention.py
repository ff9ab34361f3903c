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
