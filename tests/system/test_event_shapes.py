"""One shape of events on every way to a consumer, and the same event under another id."""
import json

import pytest

from tests.fake import delivery as making
from tests.fake import events as kinds
from tests.fake.keys import Signer
from tests.fake.sender import send
from tests.lib import shape
from tests.lib.sse import Stream

SIGNER = Signer()
EVERYTHING = "?include=foreign,synthetic,quarantined"


@pytest.fixture
def daemon(streamhold, folder):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    return streamhold({"platforms": {"kick": {"public_key_file": str(key)}},
                       "logging": {"level": "debug"}})


def put(daemon, one, status="stored"):
    reply = send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one)
    assert (reply.status, json.loads(reply.body)) == (200, {"status": status})
    return one


def ways(daemon):
    """{way: every event, raw} by page, one by one, by stream and by command."""
    page = daemon.get(f"/events{EVERYTHING}")
    events = page.json()["events"]
    with Stream(daemon.api_port, EVERYTHING + "&after=0") as stream:
        streamed = [one.data for one in stream.take(len(events))]
    listed = daemon.cli("events", "list", "--json", "--include-foreign")
    return {"page": page.body, "one": b"".join(daemon.get(f"/events/{one['seq']}").body
                                               for one in events),
            "stream": b"".join(streamed), "command": listed.stdout.encode()}, events, streamed


def test_every_type_has_one_shape_on_every_way(daemon):
    for kind in kinds.TYPES:
        put(daemon, making.build(kind, SIGNER))
    put(daemon, making.build("chat.message.sent", SIGNER, "unknown_type"), "unknown")
    put(daemon, making.build("chat.message.sent", SIGNER, "not_json"), "quarantined")
    raw, events, streamed = ways(daemon)
    assert len(events) == len(kinds.TYPES) + 2
    shape.check(events)
    assert [json.loads(one) for one in streamed] == events
    assert b"".join(streamed) == raw["one"]
    assert all(one in raw["page"] for one in streamed)
    assert json.loads(raw["command"])["events"] == \
        [one for one in events if "quarantined" not in one["flags"]]
    assert {one["kind"] for one in events} == {
        "chat", "follow", "subscription", "gift", "reward", "stream", "moderation", "tip",
        "unknown"}


def test_a_type_header_that_was_changed_on_the_way_is_found_out(daemon):
    """The header is not signed (Kick 2.2)."""
    put(daemon, making.build("channel.followed", SIGNER, "swapped_type"), "quarantined")
    assert daemon.events() == []
    event, = daemon.events(include="quarantined")
    assert event["flags"] == ["quarantined"] and event["data"] is None


@pytest.mark.parametrize("kind", kinds.TYPES)
def test_a_doubled_subscription_gives_a_marked_duplicate(daemon, kind):
    first, second, third = making.build_many(kind, SIGNER, "same_body", count=3)
    with Stream(daemon.api_port) as stream:
        put(daemon, first)
        put(daemon, second)
        streamed = [json.loads(one.data) for one in stream.take(2)]
    assert [one["duplicate_of"] for one in streamed] == [None, 1]
    assert [one["flags"] for one in streamed] == [[], ["duplicate"]]
    daemon.stop()
    daemon.start()
    put(daemon, third)
    assert [one["duplicate_of"] for one in daemon.events()] == [None, 1, 1]
    put(daemon, second, "duplicate")
    assert len(daemon.events()) == 3


def test_an_anonymous_gifter_is_nowhere(daemon):
    """Neither on a way to a consumer nor in the log, even if the platform sent the name (#340)."""
    gifter = {**kinds.person(987123987, "Secret_Giver", kinds.identity()), "is_anonymous": True}
    body = {**kinds.event("channel.subscription.gifts"), "gifter": gifter}
    put(daemon, making.build("channel.subscription.gifts", SIGNER, body=body))
    put(daemon, making.build("channel.subscription.gifts", SIGNER, "version2", body=body),
        "unknown")
    daemon.get("/events/2")
    raw, events, _ = ways(daemon)
    assert [one["flags"] for one in events] == [["masked"], ["unknown", "masked"]]
    assert events[0]["actor"] == {"id": None, "name": None, "slug": None, "anonymous": True,
                                  "verified": None, "picture": None}
    raw["log"] = daemon.text_log().encode()
    raw["text"] = daemon.cli("events", "list").stdout.encode()
    raw["metrics"], raw["report"] = daemon.get("/metrics").body, daemon.cli("inspect").stdout.encode()
    for way, text in raw.items():
        for trace in (b"Secret", b"secret-giver", b"987123987"):
            assert trace not in text, (way, trace)
