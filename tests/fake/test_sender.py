"""Deliveries: documented bodies, true signatures, and each mode wrong in its own way only."""
import base64
import json
import re
import subprocess
import sys
from datetime import datetime, timezone

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from tests.lib.stopwatch import Stopwatch

from . import delivery, events, load, sender
from .flow import SIGNER
from .keys import Signer, ulid
from .receiver import Receiver

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")
# mode: is the signature right
SIGNED = {mode: not mode.startswith(("flip_", "missing_", "duplicate_"))
          and mode not in ("body_only_signature", "other_key", "drops_claim")
          for mode in delivery.MODES}


def values(one, name):
    return [value for key, value in one.headers if key == delivery.SHORT[name]]


def verifies(one, signer=SIGNER):
    """The rule of Kick 2.2, on what is sent."""
    key = serialization.load_pem_public_key(signer.public_pem.encode())
    parts = (values(one, "id")[0].encode(), values(one, "timestamp")[0].encode(), one.body)
    text = b".".join(parts)
    try:
        key.verify(base64.b64decode(values(one, "signature")[0], validate=True), text,
                   padding.PKCS1v15(), hashes.SHA256())
        return True
    except InvalidSignature:
        return False


def test_ulid():
    assert all(ULID.match(ulid()) for _ in range(100))
    assert ulid(1469918176.385)[:10] == "01ARYZ6S41"
    assert ulid(1000) < ulid(1001)


@pytest.mark.parametrize("kind", events.TYPES)
def test_documented_bodies(kind):
    own = {"chat.message.sent": "message_id", "channel.followed": "follower",
           "channel.subscription.new": "subscriber",
           "channel.subscription.renewal": "subscriber",
           "channel.subscription.gifts": "giftees",
           "channel.reward.redemption.updated": "redeemer",
           "livestream.status.updated": "is_live",
           "livestream.metadata.updated": "metadata", "moderation.banned": "banned_user",
           "kicks.gifted": "gift"}
    one = sender.build(kind, SIGNER)
    body = json.loads(one.body)
    assert own[kind] in body and body["broadcaster"]["user_id"] == events.BROADCASTER_ID
    short = kind in ("channel.reward.redemption.updated", "kicks.gifted")
    assert len(body["broadcaster"]) == (5 if short else 7)
    assert verifies(one) and ULID.match(one.message_id)
    assert len(values(one, "signature")[0]) == 344
    at = datetime.strptime(values(one, "timestamp")[0], "%Y-%m-%dT%H:%M:%SZ")
    assert abs((datetime.now(timezone.utc).replace(tzinfo=None) - at).seconds) < 5


def test_emote_position():
    body = events.event("chat.message.sent", number=12)
    at = body["emotes"][0]["positions"][0]
    assert body["content"][at["s"]: at["e"] + 1] == "[emote:4148074:HYPERCLAP]"


@pytest.mark.parametrize("mode", [mode for mode in delivery.MODES
                                  if not mode.startswith(("missing_", "duplicate_"))
                                  and mode != "drops_claim"])
def test_signature_of_each_mode(mode):
    one = sender.build("channel.followed", SIGNER, mode)
    assert verifies(one) == SIGNED[mode]
    assert ULID.match(values(one, "id")[0])
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", values(one, "timestamp")[0])
    assert len(base64.b64decode(values(one, "signature")[0])) == 256


def test_flips_are_one_bit():
    signer = SIGNER
    draft = delivery.Draft("channel.followed", b'{"user_id":12}', ulid(), events.stamp(),
                           ulid(), signer=signer)
    draft.sign()
    before = (draft.body, draft.message_id.encode(), draft.timestamp.encode(),
              base64.b64decode(draft.signature))
    for name in ("flip_body", "flip_id", "flip_timestamp", "flip_signature"):
        delivery.MODES[name][1](draft)
    after = (draft.body, draft.message_id.encode(), draft.timestamp.encode(),
             base64.b64decode(draft.signature))
    for old, new in zip(before, after):
        assert sum(bin(a ^ b).count("1") for a, b in zip(old, new)) == 1
    json.loads(draft.body)


@pytest.mark.parametrize("name", delivery.SHORT)
def test_missing_and_doubled_headers(name):
    assert values(sender.build("kicks.gifted", SIGNER, "missing_" + name), name) == []
    doubled = values(sender.build("kicks.gifted", SIGNER, "duplicate_" + name), name)
    assert len(doubled) == 2 and doubled[0] == doubled[1]


def test_other_modes():
    def body(mode):
        return sender.build("channel.followed", SIGNER, mode).body
    assert len(body("big_body")) == 1024 * 1024 and json.loads(body("big_body"))
    with pytest.raises(UnicodeDecodeError):
        body("invalid_utf8").decode()
    assert json.loads(body("unverified_null"))["follower"]["is_verified"] is None
    assert "identity" not in json.loads(body("no_identity"))["follower"]
    assert json.loads(body("other_broadcaster"))["broadcaster"]["user_id"] == 555000111
    swapped = sender.build("channel.followed", SIGNER, "swapped_type")
    assert values(swapped, "type") == ["chat.message.sent"] and b"follower" in swapped.body
    assert verifies(swapped)
    assert not verifies(sender.build("channel.followed", SIGNER, "other_key"))
    claim = dict(sender.build("channel.followed", SIGNER, "drops_claim").headers)
    assert set(claim) == {"Content-Type", "Kick-Event-Signature",
                          "Kick-Event-Message-ID", "Kick-Event-Timestamp"}


def test_series():
    same = sender.build_many("channel.followed", SIGNER, "same_id", 3)
    assert len({one.message_id for one in same}) == 1 and len(same) == 3
    twins = sender.build_many("chat.message.sent", SIGNER, "same_body", 3)
    assert len({one.message_id for one in twins}) == 3
    assert len({one.body for one in twins}) == 1 and all(verifies(one) for one in twins)
    plain = sender.build_many("chat.message.sent", SIGNER, "valid", 3)
    assert len({one.body for one in plain}) == 3


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_send(chunked, lower):
    one = sender.build("chat.message.sent", SIGNER, body=b'{"a":"' + b"b" * 3000 + b'"}')
    with Receiver() as hook:
        reply = sender.send(hook.url, one, chunked, lower)
        assert reply.status == 200 and reply.header("content-length") == "0"
        got = hook.requests[0]
        assert got.body == one.body and got.path == "/webhooks/kick"
        names = [name for name, _ in got.headers]
        assert ("kick-event-type" if lower else "Kick-Event-Type") in names
        assert (got.header("transfer-encoding") == "chunked") == chunked
        assert (got.header("content-length") is None) == chunked


def test_attempts():
    one = sender.build("channel.followed", SIGNER)
    with Receiver() as hook:
        hook.status = 503
        assert sender.send(hook.url, one, attempts=3, pause_s=0).status == 503
        assert len(hook.requests) == 3
        assert len({r.header("kick-event-message-id") for r in hook.requests}) == 1
        hook.wire = "drop"
        assert sender.send(hook.url, one).status == 0
    assert sender.send(hook.url, one).error


def test_command(tmp_path):
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    sender.write_private(private, SIGNER.private_pem)
    with Receiver() as hook:
        run = subprocess.run(
            [sys.executable, "-m", "tests.fake.sender", "--url", hook.url, "--key", private,
             "--public", public, "--type", "all", "--mode", "valid"],
            stdout=subprocess.PIPE, check=True)
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        assert [line["type"] for line in lines] == list(events.TYPES)
        assert public.read_text() == SIGNER.public_pem + "\n"
        assert Signer.load(private).public_pem == SIGNER.public_pem


def test_load(tmp_path):
    acked = tmp_path / "acked"
    with Receiver() as hook:
        watch = Stopwatch()
        result = load.run(hook.url, SIGNER, "channel.followed", 300, 8, 5, 200, str(acked))
        sent = {request.header("kick-event-message-id") for request in hook.requests}
        assert result["acked"] == 200 and set(acked.read_text().split()) == sent
        assert len({request.connection for request in hook.requests}) <= 8
        assert 0.5 < result["seconds"] and watch.within(3)
        hook.status = 503
        acked.unlink()
        result = load.run(hook.url, SIGNER, "channel.followed", 300, 2, 1, 20, str(acked),
                          presign=True)
        assert result["statuses"] == {"503": 20} and acked.read_text() == ""


def test_load_again_and_time_limit():
    with Receiver() as hook:
        hook.wire = "drop"
        result = load.run(hook.url, SIGNER, "channel.followed", 100, 2, 0.5, again=True)
        ids = {request.header("kick-event-message-id") for request in hook.requests}
        assert result["unanswered"] > 4 and len(ids) <= 2 and result["acked"] == 0
    result = load.run(hook.url, SIGNER, "channel.followed", 100, 2, 0.3)
    assert result["errors"] > 0 and result["sent"] == 0 and result["seconds"] < 2
