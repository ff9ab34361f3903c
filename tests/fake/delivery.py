"""One Kick delivery: headers, body, signature, and every way to get them wrong (Kick 8).

build(type, mode=...) gives a Delivery; its wire() is the request as bytes. A mode is a
function in MODES that changes a Draft either before signing or, as the name says, after.
"""
import base64
from dataclasses import dataclass, field

from . import events
from .keys import CROCKFORD, Signer, ulid

ID, SUBSCRIPTION = "Kick-Event-Message-Id", "Kick-Event-Subscription-Id"
SIGNATURE, TIMESTAMP = "Kick-Event-Signature", "Kick-Event-Message-Timestamp"
TYPE, VERSION = "Kick-Event-Type", "Kick-Event-Version"
SHORT = {"id": ID, "subscription": SUBSCRIPTION, "signature": SIGNATURE,
         "timestamp": TIMESTAMP, "type": TYPE, "version": VERSION}
CHUNK = 1000
BIG = 1024 * 1024
DEEP = 100000


@dataclass
class Delivery:
    """headers: the Kick ones and Content-Type, in order; body: exactly what is sent."""

    headers: list
    body: bytes
    message_id: str
    event_type: str

    def wire(self, path, host, chunked=False, lower=False, close=False):
        """The whole HTTP/1.1 request."""
        pairs = [("Host", host), ("User-Agent", "Go-http-client/1.1"),
                 ("Accept", "application/json"), *self.headers]
        if chunked:
            pairs.append(("Transfer-Encoding", "chunked"))
        else:
            pairs.append(("Content-Length", str(len(self.body))))
        if close:
            pairs.append(("Connection", "close"))
        lines = [f"POST {path} HTTP/1.1"]
        lines += [f"{name.lower() if lower else name}: {value}" for name, value in pairs]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        return head + (chunks(self.body) if chunked else self.body)


def chunks(body):
    out = b""
    for start in range(0, len(body), CHUNK):
        piece = body[start: start + CHUNK]
        out += f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    return out + b"0\r\n\r\n"


@dataclass
class Draft:
    kind: str
    body: bytes
    message_id: str
    timestamp: str
    subscription: str
    version: str = "1"
    signer: Signer = None
    signature: str = None
    drop: list = field(default_factory=list)
    twice: list = field(default_factory=list)
    extra: list = field(default_factory=list)

    def sign(self):
        self.signature = self.signer.sign(self.message_id, self.timestamp, self.body)


def flip_bit(data, index=0):
    """The bytes with one bit changed; index counts bits from the start."""
    out = bytearray(data)
    out[index // 8] ^= 1 << (index % 8)
    return bytes(out)


def _flip_id(draft):
    """The lowest bit of the last character that stays a legal ULID character by it."""
    for at in range(len(draft.message_id) - 1, -1, -1):
        other = chr(ord(draft.message_id[at]) ^ 1)
        if other in CROCKFORD:
            draft.message_id = draft.message_id[:at] + other + draft.message_id[at + 1:]
            return


def _flip_timestamp(draft):
    digit = draft.timestamp[-2]
    draft.timestamp = draft.timestamp[:-2] + chr(ord(digit) ^ 1) + draft.timestamp[-1]


def _flip_signature(draft):
    raw = base64.b64decode(draft.signature)
    draft.signature = base64.b64encode(flip_bit(raw, 8 * 100)).decode()


def _flip_body(draft):
    """The second digit of the first user id, so that the JSON stays well formed."""
    at = draft.body.index(b'"user_id":') + 11
    draft.body = flip_bit(draft.body, 8 * at)


def _body_only(draft):
    draft.signature = base64.b64encode(draft.signer.sign_raw(draft.body)).decode()


def _change(draft, change):
    """Edits the body as JSON, before signing."""
    value = events.event(draft.kind)
    change(value)
    draft.body = events.encode(value)


def _other_broadcaster(draft):
    stranger = events.person(555000111, "somebody_else")
    draft.body = events.encode(events.event(draft.kind, stranger))


def _people(value):
    return [one for one in value.values() if isinstance(one, dict) and "user_id" in one]


def _unverified(value):
    for one in _people(value):
        one["is_verified"] = None


def _no_identity(value):
    for one in _people(value):
        one.pop("identity", None)


def _big(draft):
    """Exactly 1 MiB of well-formed JSON."""
    value = events.event(draft.kind)
    value["padding"] = ""
    value["padding"] = "x" * (BIG - len(events.encode(value)))
    draft.body = events.encode(value)


def _set(**fields):
    def change(draft):
        for name, value in fields.items():
            setattr(draft, name, value() if callable(value) else value)
    return change


def _drops_claim(draft):
    """Another product's webhook (3.2): no type header, other header names."""
    draft.body = events.encode({"claim_id": ulid(), "user_id": 1, "campaign_id": ulid(),
                                "reward_id": ulid(), "external_id": "x"})
    draft.drop = ["type", "version", "subscription", "id", "timestamp"]
    draft.extra = [("Kick-Event-Message-ID", draft.message_id),
                   ("Kick-Event-Timestamp", draft.timestamp)]


# mode: (change before signing or None, change after signing or None)
MODES = {
    "valid": (None, None),
    "flip_body": (None, _flip_body),
    "flip_id": (None, _flip_id),
    "flip_timestamp": (None, _flip_timestamp),
    "flip_signature": (None, _flip_signature),
    "body_only_signature": (None, _body_only),
    "other_key": (_set(signer=Signer), None),
    "old": (_set(timestamp=lambda: events.stamp(-2)), None),
    "future": (_set(timestamp=lambda: events.stamp(2)), None),
    "swapped_type": (None, lambda draft: _set(
        kind="channel.followed" if draft.kind != "channel.followed"
        else "chat.message.sent")(draft)),
    "other_broadcaster": (_other_broadcaster, None),
    "unknown_type": (None, _set(kind="channel.unheard.of")),
    "version2": (None, _set(version="2")),
    "unverified_null": (lambda draft: _change(draft, _unverified), None),
    "no_identity": (lambda draft: _change(draft, _no_identity), None),
    "big_body": (_big, None),
    "invalid_utf8": (_set(body=b'{"broadcaster":{"user_id":1,"username":"\xff\xc0\xaf"}}'),
                     None),
    "deep_json": (_set(body=b"[" * DEEP + b"]" * DEEP), None),
    "not_json": (_set(body=b"this is not JSON"), None),
    "empty_body": (_set(body=b""), None),
    "drops_claim": (_drops_claim, None),
}
MODES.update({f"missing_{name}": (None, _set(drop=lambda name=name: [name]))
              for name in SHORT})
MODES.update({f"duplicate_{name}": (None, _set(twice=lambda name=name: [name]))
              for name in SHORT})
# What only makes sense for several deliveries in a row; sender.build_many knows them.
SERIES = ("same_id", "same_body")


def finish(draft):
    values = {"id": draft.message_id, "subscription": draft.subscription,
              "signature": draft.signature, "timestamp": draft.timestamp,
              "type": draft.kind, "version": draft.version}
    headers = [("Content-Type", "application/json")]
    for name, value in values.items():
        if name not in draft.drop:
            headers += [(SHORT[name], value)] * (2 if name in draft.twice else 1)
    headers += draft.extra
    return Delivery(headers, draft.body, draft.message_id, draft.kind)


def build(kind, signer, mode="valid", body=None, message_id=None, timestamp=None,
          subscription=None, number=1, broadcaster=None):
    """One delivery. body: bytes or a dict instead of the documented example."""
    if body is None:
        known = kind if kind in events.BUILDERS else "channel.followed"
        body = events.event(known, broadcaster, number=number)
    if not isinstance(body, bytes):
        body = events.encode(body)
    draft = Draft(kind, body, message_id or ulid(), timestamp or events.stamp(),
                  subscription or ulid(), signer=signer)
    before, after = MODES[mode]
    if before:
        before(draft)
    draft.sign()
    if after:
        after(draft)
    return finish(draft)


def build_many(kind, signer, mode="valid", count=1, **more):
    """count deliveries; ``same_id`` repeats one, ``same_body`` gives one body new ids."""
    if mode == "same_id":
        return [build(kind, signer, **more)] * count
    if mode == "same_body":
        body = more.pop("body", None) or events.encode(
            events.event(kind, more.pop("broadcaster", None)))
        return [build(kind, signer, body=body, **more) for _ in range(count)]
    return [build(kind, signer, mode, number=number + 1, **more) for number in range(count)]
