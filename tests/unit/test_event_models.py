"""The models of Kick's ten event types, and the one shape in which consumers get events.

event_driver.c composes; everything it gives is validated against docs/event.schema.json. What
the bodies hold is written down here once more, by hand from Kick 3.4 and 3.5, so that the tables
in C are compared with something.
"""
import base64
import copy
import datetime
import json
import random
import subprocess

import jsonschema
import pytest

from tests.conftest import ROOT
from tests.fake import events as kinds
from tests.lib import shape

SCHEMA = json.loads((ROOT / "docs/event.schema.json").read_text())
CHECK = jsonschema.Draft202012Validator(SCHEMA)
MUTATIONS = 10_000

KIND = {"chat.message.sent": "chat", "channel.followed": "follow",
        "channel.subscription.new": "subscription",
        "channel.subscription.renewal": "subscription",
        "channel.subscription.gifts": "gift", "channel.reward.redemption.updated": "reward",
        "livestream.status.updated": "stream", "livestream.metadata.updated": "stream",
        "moderation.banned": "moderation", "kicks.gifted": "tip"}

# Members without which a body is none of its type (Kick 2.2).
MARKS = {"chat.message.sent": [("message_id",), ("content",)],
         "channel.followed": [("follower",)], "channel.subscription.new": [("subscriber",)],
         "channel.subscription.renewal": [("subscriber",)],
         "channel.subscription.gifts": [("giftees",)],
         "channel.reward.redemption.updated": [("redeemer",)],
         "livestream.status.updated": [("is_live",)],
         "livestream.metadata.updated": [("metadata", "title")],
         "moderation.banned": [("banned_user",)], "kicks.gifted": [("gift",)]}


class Driver:
    def __init__(self, build):
        self.program = build / "tests" / "event_driver"

    def ask(self, deliveries):
        """[(type, version, body)] -> [(flags, raw JSON)]"""
        stream = b"".join(b"%s %d %d\n%s" % (kind.encode(), version, len(body), body)
                          for kind, version, body in deliveries)
        done = subprocess.run([self.program], input=stream, capture_output=True, timeout=300,
                              check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        found, at = [], 0
        while at < len(done.stdout):
            end = done.stdout.index(b"\n", at)
            *flags, length = done.stdout[at:end].decode().split()
            found.append((set(flags) - {"-"}, done.stdout[end + 1:end + 1 + int(length)]))
            at = end + 2 + int(length)
        assert len(found) == len(deliveries)
        return found

    def events(self, bodies, kind, version=1):
        """Composes values as bodies; every event is checked."""
        raw = [body if isinstance(body, bytes) else kinds.encode(body) for body in bodies]
        found = self.ask([(kind, version, body) for body in raw])
        return [checked(composed, body, flags) for body, (flags, composed) in zip(raw, found)]

    def event(self, body, kind, version=1):
        return self.events([body], kind, version)[0]


def checked(composed, body, flags):
    """The document: valid, its payload the original text."""
    document = json.loads(composed)
    problem = next(CHECK.iter_errors(document), None)
    assert problem is None, f"{problem.message} at {list(problem.path)} in {composed[:2000]!r}"
    assert set(document["flags"]) == flags
    if "payload_base64" in document:
        shown = b"" if "masked" in flags else body
        assert base64.b64decode(document["payload_base64"]) == shown
    elif "masked" not in flags:
        assert composed.endswith(b',"payload":' + body + b"}")
    return document


@pytest.fixture(scope="module")
def driver(build):
    return Driver(build)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


# -- documented bodies ----------------------------------------------------------------------

BROADCASTER = kinds.person(123456789, "Streamer123")
WHO = kinds.person(987654321, "viewer_one")
PERSON = {"id": "987654321", "name": "viewer_one", "slug": "viewer-one", "anonymous": False,
          "verified": True, "picture": "https://example.com/p.webp"}
NOBODY = {"id": None, "name": None, "slug": None, "anonymous": True, "verified": None,
          "picture": None}
AT, LATER = "2025-01-14T16:08:06Z", "2025-02-14T16:08:06Z"
AT_OUT, LATER_OUT = "2025-01-14T16:08:06.000Z", "2025-02-14T16:08:06.000Z"

DOCUMENTED = [
    ("chat.message.sent",
     {"message_id": "6efb5bd0-7c2f-4f2f-9f9f-000000000001",
      "replies_to": {"message_id": "6efb5bd0-7c2f-4f2f-9f9f-000000000000",
                     "content": "parent \"text\"", "sender": BROADCASTER},
      "broadcaster": BROADCASTER, "sender": {**WHO, "identity": kinds.identity()},
      "content": "Hello [emote:4148074:HYPERCLAP] é\u0007",
      "emotes": [{"emote_id": "4148074", "positions": [{"s": 6, "e": 30}]},
                 {"emote_id": 17, "positions": []}], "created_at": AT},
     PERSON,
     {"message_id": "6efb5bd0-7c2f-4f2f-9f9f-000000000001",
      "text": "Hello [emote:4148074:HYPERCLAP] é\u0007",
      "emotes": [{"id": "4148074", "positions": [{"start": 6, "end": 30}]},
                 {"id": "17", "positions": []}],
      "color": "#FF5733",
      "badges": [{"type": "moderator", "text": "Moderator", "count": None},
                 {"type": "subscriber", "text": "Subscriber", "count": 3}],
      "reply_to": {"message_id": "6efb5bd0-7c2f-4f2f-9f9f-000000000000",
                   "text": "parent \"text\"",
                   "sender": {**PERSON, "id": "123456789", "name": "Streamer123",
                              "slug": "streamer123"}},
      "created_at": AT_OUT}),
    ("chat.message.sent",
     {"message_id": "m", "broadcaster": BROADCASTER, "sender": WHO, "content": "",
      "emotes": None},
     PERSON,
     {"message_id": "m", "text": "", "emotes": [], "color": None, "badges": [],
      "reply_to": None, "created_at": None}),
    ("channel.followed", {"broadcaster": BROADCASTER, "follower": WHO}, PERSON, {}),
    ("channel.subscription.new",
     {"broadcaster": BROADCASTER, "subscriber": WHO, "duration": 1, "created_at": AT,
      "expires_at": LATER},
     PERSON, {"renewal": False, "months": 1, "created_at": AT_OUT, "expires_at": LATER_OUT}),
    ("channel.subscription.renewal",
     {"broadcaster": BROADCASTER, "subscriber": WHO, "duration": 3, "created_at": AT,
      "expires_at": LATER},
     PERSON, {"renewal": True, "months": 3, "created_at": AT_OUT, "expires_at": LATER_OUT}),
    ("channel.subscription.gifts",
     {"broadcaster": BROADCASTER, "gifter": WHO, "giftees": [WHO, BROADCASTER],
      "created_at": "2026-02-20T15:03:20.191347293Z", "expires_at": LATER},
     PERSON,
     {"recipients": [PERSON, {**PERSON, "id": "123456789", "name": "Streamer123",
                              "slug": "streamer123"}],
      "count": 2, "created_at": "2026-02-20T15:03:20.191Z", "expires_at": LATER_OUT}),
    ("channel.subscription.gifts",
     {"broadcaster": BROADCASTER, "gifter": kinds.anonymous(), "giftees": [WHO],
      "created_at": AT, "expires_at": LATER},
     NOBODY,
     {"recipients": [PERSON], "count": 1, "created_at": AT_OUT, "expires_at": LATER_OUT}),
    ("channel.reward.redemption.updated",
     {"id": "01KBHE78QE4HZY1617DK5FC7YD", "user_input": "text", "status": "pending",
      "redeemed_at": "2025-12-02T22:54:19.323Z",
      "reward": {"id": "01KBHE7RZNHB0SKDV1H86CD4F3", "title": "Hydrate", "cost": 1000,
                 "description": "drink"},
      "redeemer": kinds.short(WHO), "broadcaster": kinds.short(BROADCASTER)},
     PERSON,
     {"redemption_id": "01KBHE78QE4HZY1617DK5FC7YD", "status": "pending", "input": "text",
      "reward": {"id": "01KBHE7RZNHB0SKDV1H86CD4F3", "title": "Hydrate", "cost": 1000,
                 "description": "drink"},
      "redeemed_at": "2025-12-02T22:54:19.323Z"}),
    ("livestream.status.updated",
     {"broadcaster": BROADCASTER, "is_live": True, "title": "t",
      "started_at": "2025-01-01T11:00:00+11:00", "ended_at": None},
     None,
     {"change": "online", "live": True, "title": "t", "language": None, "mature": None,
      "category": None, "started_at": "2025-01-01T00:00:00.000Z", "ended_at": None}),
    ("livestream.status.updated",
     {"broadcaster": BROADCASTER, "is_live": False, "title": "t",
      "started_at": "0001-01-01T00:00:00Z", "ended_at": "2025-01-01T15:00:00.5+11:00"},
     None,
     {"change": "offline", "live": False, "title": "t", "language": None, "mature": None,
      "category": None, "started_at": None, "ended_at": "2025-01-01T04:00:00.500Z"}),
    ("livestream.metadata.updated",
     {"broadcaster": BROADCASTER,
      "metadata": {"title": "t", "language": "en", "has_mature_content": True,
                   "category": {"id": 123, "name": "n", "thumbnail": "http://x"}}},
     None,
     {"change": "metadata", "live": None, "title": "t", "language": "en", "mature": True,
      "category": {"id": "123", "name": "n", "thumbnail": "http://x"}, "started_at": None,
      "ended_at": None}),
    ("livestream.metadata.updated",
     {"broadcaster": BROADCASTER,
      "metadata": {"title": "t", "language": "en", "has_mature_content": False,
                   "category": None, "Category": {"id": 5, "name": "n", "thumbnail": ""}}},
     None,
     {"change": "metadata", "live": None, "title": "t", "language": "en", "mature": False,
      "category": {"id": "5", "name": "n", "thumbnail": None}, "started_at": None,
      "ended_at": None}),
    ("moderation.banned",
     {"broadcaster": BROADCASTER, "moderator": BROADCASTER, "banned_user": WHO,
      "metadata": {"reason": "spam", "created_at": AT, "expires_at": None}},
     {**PERSON, "id": "123456789", "name": "Streamer123", "slug": "streamer123"},
     {"action": "ban", "target": PERSON, "reason": "spam", "created_at": AT_OUT,
      "expires_at": None}),
    ("moderation.banned",
     {"broadcaster": BROADCASTER, "moderator": BROADCASTER, "banned_user": WHO,
      "metadata": {"reason": "", "created_at": AT, "expires_at": LATER}},
     {**PERSON, "id": "123456789", "name": "Streamer123", "slug": "streamer123"},
     {"action": "timeout", "target": PERSON, "reason": "", "created_at": AT_OUT,
      "expires_at": LATER_OUT}),
    ("kicks.gifted",
     {"broadcaster": kinds.short(BROADCASTER), "sender": kinds.short(WHO),
      "gift": {"amount": 500, "name": "Rage Quit", "type": "LEVEL_UP", "tier": "MID",
               "message": "w", "pinned_time_seconds": 600},
      "created_at": "2025-10-20T04:00:08.634Z"},
     PERSON,
     {"amount": 500, "unit": "kicks", "name": "Rage Quit", "type": "LEVEL_UP", "tier": "MID",
      "message": "w", "pinned_s": 600, "created_at": "2025-10-20T04:00:08.634Z"}),
]
NAMES = [f"{kind}-{number}" for number, (kind, *_) in enumerate(DOCUMENTED)]


@pytest.mark.parametrize("kind, body, actor, data", DOCUMENTED, ids=NAMES)
def test_documented_bodies_become_events(driver, kind, body, actor, data):
    event = driver.event(body, kind)
    assert event == {
        "seq": 1, "id": "01ID", "platform": "kick", "type": kind, "version": 1, "shape": 1,
        "kind": KIND[kind], "received_at": "2026-01-18T10:00:00.250Z",
        "occurred_at": "2026-01-18T10:00:00.000Z", "latency_ms": 250,
        "broadcaster": {"id": "123456789", "name": "Streamer123"}, "actor": actor,
        "data": data, "flags": [], "duplicate_of": None, "payload": body}


@pytest.mark.parametrize("version", [0, 2, 4294967295])
def test_other_versions_are_unknown(driver, version):
    for kind, body, *_ in DOCUMENTED:
        event = driver.event(body, kind, version)
        assert (event["kind"], event["flags"]) == ("unknown", ["unknown"])
        assert event["data"] is None and event["actor"] is None
        assert event["broadcaster"]["id"] == "123456789"


def test_a_body_under_another_type_is_quarantined(driver):
    """Only new and renewal cannot be told apart by their bodies (Kick 2.2)."""
    alike = {"channel.subscription.new", "channel.subscription.renewal"}
    for kind, body, *_ in DOCUMENTED:
        for other in KIND:
            if other != kind and not {kind, other} <= alike:
                nulled = [changed(body, (name,), None) for name, value in body.items()
                          if isinstance(value, dict)]
                for event in driver.events([body, *nulled], other):
                    assert event["flags"] == ["quarantined"], (kind, other, event["payload"])
                    assert event["kind"] == KIND[other] and event["data"] is None


# -- each member changed --------------------------------------------------------------------

def type_of(path):
    """What Kick documents for a member, by its name."""
    name, around = path[-1], path[-2] if len(path) > 1 else None
    if name in ("broadcaster", "sender", "follower", "subscriber", "gifter", "redeemer",
                "moderator", "banned_user", "replies_to", "reward", "metadata", "category",
                "Category", "gift", "identity") or isinstance(name, int):
        return "object"
    if name in ("emotes", "positions", "badges", "giftees"):
        return "array"
    if name == "user_id" or (name == "id" and around in ("category", "Category")):
        return "id"
    if name in ("duration", "count", "amount", "cost", "pinned_time_seconds", "s", "e"):
        return "integer"
    if name.startswith(("is_", "has_")):
        return "flag"
    if name.endswith("_at"):
        return "time"
    return "label" if name == "emote_id" else "text"


def fits(what, value):
    """Whether a value is of a documented type."""
    number = isinstance(value, int) and not isinstance(value, bool)
    unsigned = number and 0 <= value < 2 ** 64
    return value is None or {
        "object": isinstance(value, dict),
        "array": isinstance(value, list) and all(one is None or isinstance(one, dict)
                                                 for one in value),
        "id": unsigned, "integer": number and -2 ** 63 <= value < 2 ** 63,
        "flag": isinstance(value, bool), "text": isinstance(value, str),
        "label": unsigned or isinstance(value, str),
        "time": isinstance(value, str) and value in ("", AT)}[what]


def paths(value, path=()):
    """Every member and element of a body, at any depth."""
    items = value.items() if isinstance(value, dict) else \
        enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield path + (key,)
        yield from paths(inner, path + (key,))


def changed(body, path, value):
    body = copy.deepcopy(body)
    at = body
    for key in path[:-1]:
        at = at[key]
    if value is Ellipsis:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return body


OTHERS = [True, 0, 7, -1, 1.5, 1e300, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1, 2 ** 64, -2 ** 63,
          -2 ** 63 - 1, 10 ** 30, "", "text", "\u0000", AT, [], [None], ["a"], [[]], {}]


@pytest.mark.parametrize("kind, body", [row[:2] for row in DOCUMENTED], ids=NAMES)
def test_what_is_absent_or_null_is_fine_and_extra_members_too(driver, kind, body):
    every = list(paths(body))
    nulled = driver.events([changed(body, path, None) for path in every], kind)
    assert {str(event["flags"]) for event in nulled} == {"[]"}
    removed = driver.events([changed(body, path, ...) for path in every], kind)
    for path, event in zip(every, removed):
        lost = any(mark[:len(path)] == path for mark in MARKS[kind])
        assert event["flags"] == (["quarantined"] if lost else []), path
    objects = [()] + [path for path in every if type_of(path) == "object"]
    more = [changed(body, path + ("is_new",), [{"x": 1}]) for path in objects
            if path == () or isinstance(value_at(body, path), dict)]
    plain = driver.event(body, kind)
    for event in driver.events(more, kind):
        assert {**event, "payload": 0} == {**plain, "payload": 0}


def value_at(body, path):
    for key in path:
        body = body[key]
    return body


@pytest.mark.parametrize("kind, body", [row[:2] for row in DOCUMENTED], ids=NAMES)
def test_wrong_types_are_quarantined_and_right_ones_not(driver, kind, body):
    cases = [(path, value) for path in paths(body) for value in OTHERS]
    found = driver.events([changed(body, path, value) for path, value in cases], kind)
    for (path, value), event in zip(cases, found):
        good = fits(type_of(path), value)
        if good and any(mark[:len(path)] == path and mark != path for mark in MARKS[kind]):
            continue    # the mark went with what it was in
        assert set(event["flags"]) - {"masked"} == (set() if good else {"quarantined"}), \
            (path, value)


@pytest.mark.parametrize("text, out", [
    ("2025-01-14T16:08:06Z", "2025-01-14T16:08:06.000Z"),
    ("2025-01-14T16:08:06.1Z", "2025-01-14T16:08:06.100Z"),
    ("2025-01-14T16:08:06.123456789Z", "2025-01-14T16:08:06.123Z"),
    ("2025-01-14T16:08:06.123456789+11:00", "2025-01-14T05:08:06.123Z"),
    ("2025-01-14T16:08:06-00:30", "2025-01-14T16:38:06.000Z"),
    ("0001-01-01T00:00:00Z", None), ("", None)])
def test_times_in_every_documented_form(driver, text, out):
    event = driver.event({**DOCUMENTED[3][1], "created_at": text}, "channel.subscription.new")
    assert event["data"]["created_at"] == out and event["flags"] == []


@pytest.mark.parametrize("offset, hours", [("Z", 0), ("+00:00", 0), ("+11:00", -11),
                                           ("-03:30", 3.5), ("+14:00", -14), ("-12:00", 12)])
@pytest.mark.parametrize("kind, body", [row[:2] for row in DOCUMENTED], ids=NAMES)
def test_every_time_takes_up_to_nine_digits_and_offsets(driver, kind, body, offset, hours):
    """In each member that is a time, in each type."""
    members = [path for path in paths(body) if type_of(path) == "time"]
    digits = ["", *("." + "987654321"[:count] for count in range(1, 10))]
    cases = [(path, more) for path in members for more in digits]
    texts = [f"2025-06-15T12:30:45{more}{offset}" for _, more in cases]
    bodies = [changed(body, path, text) for (path, _), text in zip(cases, texts)]
    at = datetime.datetime(2025, 6, 15, 12, 30, 45) + datetime.timedelta(hours=hours)
    for (path, more), event in zip(cases, driver.events(bodies, kind) if bodies else []):
        wanted = at.strftime("%Y-%m-%dT%H:%M:%S.") + (more[1:] + "000")[:3] + "Z"
        assert event["flags"] == [], (path, more)
        assert event["data"][path[-1]] == wanted, (path, more)


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01T00:00:00Z", "2025-01-14", "1736870886",
                                  "2025-01-14T16:08:06", "2025-01-14T16:08:06.1234567890Z"])
def test_what_is_no_time_is_a_wrong_type(driver, text):
    event = driver.event({**DOCUMENTED[3][1], "created_at": text}, "channel.subscription.new")
    assert event["flags"] == ["quarantined"]


@pytest.mark.parametrize("number", [1, 2 ** 31, 2 ** 53 + 1, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1])
def test_ids_have_64_bits(driver, number):
    event = driver.event({"broadcaster": {**BROADCASTER, "user_id": number},
                          "follower": {**WHO, "user_id": number}}, "channel.followed")
    assert event["broadcaster"]["id"] == event["actor"]["id"] == str(number)


def test_of_two_members_of_one_name_the_last_counts(driver):
    body = (b'{"follower":{"user_id":1,"username":"a"},"broadcaster":{"user_id":3},'
            b'"follower":{"user_id":2}}')
    actor = driver.event(body, "channel.followed")["actor"]
    assert (actor["id"], actor["name"]) == ("2", None)


# -- somebody who wants to be nobody -----------------------------------------------------------

def people(body):
    return [path for path in paths(body)
            if isinstance(value_at(body, path), dict) and "user_id" in value_at(body, path)
            and path[0] != "broadcaster"]


@pytest.mark.parametrize("kind, body", [row[:2] for row in DOCUMENTED if people(row[1])])
def test_anonymous_people_have_no_name_anywhere(driver, kind, body):
    """The platform has sent names of those who gave anonymously (Kick 7, #340)."""
    for path in people(body):
        someone = {**kinds.person(42424242, "Secret_Name", kinds.identity()),
                   "is_anonymous": True, "profile_picture": "https://example.com/Secret_Name"}
        named = changed(body, path, someone)
        (flags, composed), = driver.ask([(kind, 1, kinds.encode(named))])
        event = checked(composed, kinds.encode(named), flags)
        assert flags == {"masked"}
        for trace in (b"42424242", b"ecret", b"FF5733", b"Moderator"):
            if trace not in kinds.encode(changed(body, path, None)):
                assert trace not in composed, path
        assert event["payload"] == changed(body, path, kinds.anonymous())
        if path in (("sender",), ("gifter",), ("follower",), ("moderator",)):
            assert event["actor"] == NOBODY


def test_who_says_both_of_itself_is_anonymous(driver):
    """A member that comes twice: what masks the payload and what composes `actor` agree."""
    for kind, body, *_ in DOCUMENTED:
        for path in people(body):
            someone = {**kinds.person(42424242, "Secret_Name", kinds.identity()),
                       "is_anonymous": True, "again": False}
            raw = kinds.encode(changed(body, path, someone)).replace(b'"again"', b'"is_anonymous"')
            (flags, composed), = driver.ask([(kind, 1, raw)])
            checked(composed, raw, flags)
            assert flags == {"masked"}
            for trace in (b"42424242", b"ecret", b"FF5733", b"Moderator"):
                if trace not in kinds.encode(changed(body, path, None)):
                    assert trace not in composed, (kind, path)


HIDDEN = [b'"is_anonymous":true', b'"is_anonymous" :\t true', b"is_anonymous:true",
          b"'is_anonymous': True", b'"is_anonymous"', b'"is_anonymous":', b'"is_anonymous":1',
          b'"is_anonymous":false,"is_anonymous":true', b'"is_anonymous":\x00false']
SHOWN = [b'"is_anonymous":false', b'"is_anonymous" :\r\n null', b"is_anonymous: false",
         b'"anonymous":true', b""]


@pytest.mark.parametrize("kind", ["channel.followed", "no.such.type"])
def test_what_is_no_json_shows_nothing_when_it_may_name_somebody(driver, kind):
    for members in HIDDEN + SHOWN:
        body = b'{"follower":{"username":"Secret_Name",' + members + b"}"
        event = driver.event(body, kind)
        assert ("masked" in event["flags"]) == (members in HIDDEN), members
        assert "payload" not in event
        assert (b"Secret_Name" in base64.b64decode(event["payload_base64"])) == \
            (members in SHOWN), members


@pytest.mark.parametrize("kind, version", [("channel.followed", 2), ("no.such.type", 1),
                                           ("kicks.gifted", 1)])
def test_they_are_nobody_in_what_is_not_understood_too(driver, kind, version):
    body = b'{ "x":[ {"y":{"username":"Sec\\u0072et","is_\\u0061nonymous":true,"user_id":77}}]}'
    (flags, composed), = driver.ask([(kind, version, body)])
    assert "masked" in flags and b"77" not in composed and b"Sec" not in composed
    assert b'{ "x":[ {"y":{"username":null,"is_\\u0061nonymous":true,"user_id":null}}]}' in composed


def test_an_anonymous_person_without_names_is_not_touched(driver):
    body = kinds.encode(DOCUMENTED[6][1])
    (flags, composed), = driver.ask([("channel.subscription.gifts", 1, body)])
    assert flags == set() and composed.endswith(body + b"}")


# -- anything ---------------------------------------------------------------------------------

def mutate(dice, body):
    """A body with one or a few things wrong with it, as value or as bytes."""
    for _ in range(dice.choice((1, 1, 2, 5))):
        every = list(paths(body))
        if not every:
            break
        body = changed(body, dice.choice(every),
                       dice.choice([..., None, *OTHERS, "\U0001f3ae", {"user_id": 5}, [{}] * 3]))
    text = bytearray(kinds.encode(body))
    for _ in range(dice.choice((0, 0, 1, 3))):
        at = dice.randrange(len(text) + 1)
        how = dice.randrange(4)
        if how == 0:
            del text[at:at + dice.randrange(1, 8)]
        elif how == 1:
            text[at:at] = dice.randbytes(dice.randrange(1, 5))
        elif how == 2:
            text[at:at + 1] = dice.choice(b'{}[]",:\\0123456789truefalsn').to_bytes(1, "big")
        else:
            other = dice.randrange(len(text) + 1)
            text[at:at] = text[min(at, other):max(at, other)]
    return bytes(text)


def test_ten_thousand_mutated_bodies(driver):
    dice = random.Random(20250114)
    cases = []
    for _ in range(MUTATIONS):
        kind, body, *_ = dice.choice(DOCUMENTED)
        cases.append((dice.choice((kind, kind, kind, dice.choice(list(KIND)))), 1,
                      mutate(dice, body)))
    count = {"good": 0, "quarantined": 0, "no json": 0}
    for (_, _, body), (flags, composed) in zip(cases, driver.ask(cases)):
        document = checked(composed, body, flags)
        count["no json" if "payload_base64" in document else
              "quarantined" if "quarantined" in flags else "good"] += 1
    assert min(count.values()) > MUTATIONS / 20, count


# -- the page for authors of bots --------------------------------------------------------------

def test_the_examples_are_what_is_composed(driver):
    """docs/events.md has one of each kind; those of a platform are made of their payloads."""
    page = (ROOT / "docs/events.md").read_text()
    examples = [json.loads(part.split("```")[0]) for part in page.split("```json")[1:]]
    assert sorted(one["kind"] for one in examples) == sorted(SCHEMA["properties"]["kind"]["enum"])
    for example in examples:
        problem = next(CHECK.iter_errors(example), None)
        assert problem is None, (example["kind"], problem)
        if "own" in example["flags"]:
            shape.check([example])
            continue
        made = driver.event(example["payload"], example["type"])
        assert {**made, "seq": 0, "id": 0} == {**example, "seq": 0, "id": 0}


def test_the_page_names_every_flag_with_its_bit():
    page = (ROOT / "docs/events.md").read_text()
    header = (ROOT / "common/event.h").read_text()
    for word in SCHEMA["properties"]["flags"]["items"]["enum"]:
        bit = header.split(f"EVENT_{word.upper()} = ")[1].split(",")[0]
        assert f"| `{word}` | {bit} |" in page
