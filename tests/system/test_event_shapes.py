"""One shape of events on every way to a consumer, and the same event under another id."""
import json
import time

import pytest

from tests.fake import delivery as making
from tests.fake import events as kinds
from tests.fake.keys import Signer
from tests.fake.sender import send
from tests.lib import shape
from tests.lib.sse import Stream
from tests.lib.target import Target

SIGNER = Signer()
INCLUDED = "foreign,synthetic,quarantined"
EVERYTHING = f"?include={INCLUDED}"


@pytest.fixture
def daemon(streamhold, folder):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    return streamhold({"platforms": {"kick": {"public_key_file": str(key)}},
                       "consumers": {"push_attempts": 1}, "logging": {"level": "debug"}})


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


def pushed(daemon, events):
    """What an address is sent that takes nothing: {way: raw}, dead letters included."""
    with Target(lambda push: 400) as target:
        done = daemon.cli("consumers", "add", "pushed", "--forward", target.url, "--start", "beginning",
                          "--allow-private", "127.0.0.1", "--include", INCLUDED)
        assert done.returncode == 0, done.stderr
        target.wait(len(events))
        bodies = [push.body for push in target.pushes]
        end = time.monotonic() + 20
        while (dead := daemon.cli("consumers", "dead", "pushed", "--json").stdout).count(
                '"reason"') < len(events):
            assert time.monotonic() < end, dead
            time.sleep(0.05)
    inner = [json.loads(body)["data"] for body in bodies]
    assert [one["id"] for one in inner] == [one["id"] for one in events]
    shape.check(inner)
    return {"push": b"".join(bodies), "dead": dead.encode(),
            "dead text": daemon.cli("consumers", "dead", "pushed").stdout.encode()}


def asked(daemon, events):
    """What a named consumer is given, and given again: {way: raw}."""
    assert daemon.call("PUT", "/consumers/bot", {"start": "beginning", "include": INCLUDED.split(",")}).status == 200
    first, again = (daemon.get("/consumers/bot/events") for _ in range(2))
    assert shape.check(first.json()["events"]) == events
    assert all("redelivered" in one["flags"] for one in shape.check(again.json()["events"]))
    return {"consumer": first.body, "redelivered": again.body}


def more_ways(daemon, events):
    """{way: raw} by consumer, by push and by all of the command that shows events."""
    found = pushed(daemon, events) | asked(daemon, events)
    for verb in (("list",), ("tail",)):
        found[f"{verb} text"] = daemon.cli("events", *verb, "--include", INCLUDED).stdout.encode()
        found[f"{verb} json"] = daemon.cli("events", *verb, "--include", INCLUDED,
                                           "--json").stdout.encode()
    for one in events:
        for json_too in ((), ("--json",)):
            done = daemon.cli("events", "show", str(one["seq"]), *json_too)
            assert done.returncode == 0, done.stderr
            found[f"show {one['seq']} {json_too}"] = done.stdout.encode()
    return found


@pytest.mark.parametrize("number", [2 ** 53 + 1, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1])
def test_ids_of_64_bits_are_whole_on_every_way(daemon, number):
    """Of people and channels, in our fields and in the payload, and as what is asked for."""
    body = kinds.event("channel.followed")
    body["follower"]["user_id"], body["broadcaster"]["user_id"] = number, number - 1
    put(daemon, making.build("channel.followed", SIGNER, body=body))
    raw, events, streamed = ways(daemon)
    event, = events
    assert (event["actor"]["id"], event["broadcaster"]["id"]) == (str(number), str(number - 1))
    assert event["payload"] == body
    for way, text in (raw | more_ways(daemon, events)).items():
        if not way.endswith("text") and not way.startswith(("dead", "show")) or "json" in way:
            assert b'"%d"' % number in text and b":%d" % number in text.replace(b": ", b":"), way
    for query in (f"broadcaster={number - 1}", f"broadcaster={number - 1},7"):
        assert len(daemon.events(**dict([query.split("=")]))) == 1, query
    assert daemon.events(broadcaster=str(number)) == []


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
    raw |= more_ways(daemon, events)
    raw["log"] = daemon.text_log().encode()
    raw["text"] = daemon.cli("events", "list").stdout.encode()
    raw["metrics"], raw["report"] = daemon.get("/metrics").body, daemon.cli("inspect").stdout.encode()
    for way, text in raw.items():
        for trace in (b"Secret", b"secret-giver", b"987123987"):
            assert trace not in text, (way, trace)


# -- what is handed on to who asks for it only ----------------------------------------------


def put_each(daemon):
    """One of each that is left out unless it is asked for, and a genuine one behind them; gives
    {flag: seq}, "" for the genuine one."""
    put(daemon, making.build("channel.followed", SIGNER, "other_broadcaster"), "foreign")
    put(daemon, making.build("channel.followed", SIGNER, "swapped_type"), "quarantined")
    assert daemon.cli("trigger", "channel.followed").returncode == 0
    put(daemon, making.build("channel.followed", SIGNER))
    return {"foreign": 1, "quarantined": 2, "synthetic": 3, "": 4}


@pytest.mark.parametrize("include", ["", "foreign", "quarantined", "synthetic"])
def test_what_is_not_asked_for_reaches_nobody(streamhold, folder, include):
    """By page, stream, named consumer, push and command: the genuine one, and what is included."""
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    ours = kinds.event("channel.followed")["broadcaster"]["username"]
    daemon = streamhold({"platforms": {"kick": {"public_key_file": str(key)}}, "subscriptions": {
        "kick": [{"username": ours, "events": ["channel.followed"]}]}})
    query = f"?after=0&include={include}" if include else "?after=0"
    words = ("--include", include) if include else ()
    filters = {"include": include} if include else {}
    assert daemon.call("PUT", "/consumers/bot", filters).status == 200
    with Target() as target, Stream(daemon.api_port, query) as live:
        done = daemon.cli("consumers", "add", "pushed", "--forward", target.url,
                          "--allow-private", "127.0.0.1", *words)
        assert done.returncode == 0, done.stderr
        seqs = put_each(daemon)
        wanted = sorted({seqs[include], seqs[""]})
        count = len(wanted)
        assert [push.seq for push in target.wait_taken(count)] == wanted
        assert [int(one.id) for one in live.take(count)] == wanted
        with Stream(daemon.api_port, query) as stored:
            assert [int(one.id) for one in stored.take(count)] == wanted
        assert live.silent() and [push.seq for push in target.pushes] == wanted
    pages = (daemon.get(f"/events{query}"), daemon.get("/consumers/bot/events"))
    assert [[one["seq"] for one in page.json()["events"]] for page in pages] == [wanted] * 2
    listed = json.loads(daemon.cli("events", "list", "--json", *words).stdout)["events"]
    tail = daemon.cli("events", "tail", "--json", *words).stdout.splitlines()
    assert [one["seq"] for one in listed] == wanted
    assert [json.loads(line)["event"]["seq"] for line in tail] == wanted
