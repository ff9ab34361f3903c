"""Bodies of Kick's ten event types, exactly as documented (Kick 3.4, 3.5).

Each builder takes (broadcaster, person, number): two people as made by person(), and a
number that makes the inner ids and texts of one delivery differ from the next.
"""
import json
import uuid
from datetime import datetime, timedelta, timezone

from .keys import ulid

BROADCASTER_ID, PERSON_ID = 123456789, 987654321


def stamp(days=0.0, now=None):
    at = (now or datetime.now(timezone.utc)) + timedelta(days=days)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def aged(body, seconds):
    """The same body as of so many seconds ago: each member `..._at` that is a time."""
    if isinstance(body, list):
        return [aged(one, seconds) for one in body]
    if not isinstance(body, dict) or not seconds:
        return body
    return {name: _earlier(value, seconds) if name.endswith("_at") and value
            else aged(value, seconds) for name, value in body.items()}


def _earlier(text, seconds):
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    form = "milliseconds" if "." in text else "seconds"
    return (at - timedelta(seconds=seconds)).isoformat(timespec=form).replace("+00:00", "Z")


def person(user_id=PERSON_ID, name="viewer_one", identity=None):
    """The seven fields written U in 3.4."""
    return {"is_anonymous": False, "user_id": user_id, "username": name,
            "is_verified": True, "profile_picture": "https://example.com/p.webp",
            "channel_slug": name.lower().replace("_", "-"), "identity": identity}


def short(who):
    """The five fields written V in 3.4."""
    return {key: who[key] for key in ("user_id", "username", "is_verified",
                                      "profile_picture", "channel_slug")}


def anonymous():
    return {"is_anonymous": True, "user_id": None, "username": None, "is_verified": None,
            "profile_picture": None, "channel_slug": None, "identity": None}


def identity():
    return {"username_color": "#FF5733",
            "badges": [{"text": "Moderator", "type": "moderator"},
                       {"text": "Subscriber", "type": "subscriber", "count": 3}]}


def chat(broadcaster, who, number):
    return {"message_id": str(uuid.uuid4()), "replies_to": None, "broadcaster": broadcaster,
            "sender": {**who, "identity": identity()},
            "content": f"Hello {number} [emote:4148074:HYPERCLAP]",
            "emotes": [{"emote_id": "4148074",
                        "positions": [{"s": 7 + len(str(number)),
                                       "e": 31 + len(str(number))}]}],
            "created_at": stamp()}


def followed(broadcaster, who, number):
    return {"broadcaster": broadcaster, "follower": who}


def subscription(months):
    def build(broadcaster, who, number):
        return {"broadcaster": broadcaster, "subscriber": who, "duration": months,
                "created_at": stamp(), "expires_at": stamp(30)}
    return build


def gifts(broadcaster, who, number):
    giftees = [person(PERSON_ID + 1 + i, f"giftee_{i}") for i in range(2)]
    return {"broadcaster": broadcaster, "gifter": who, "giftees": giftees,
            "created_at": stamp(), "expires_at": stamp(30)}


def redemption(broadcaster, who, number):
    return {"id": ulid(), "user_input": f"input {number}", "status": "pending",
            "redeemed_at": stamp()[:-1] + ".323Z",
            "reward": {"id": "01KBHE78QE4HZY1617DK5FC7YD", "title": "Say hello",
                       "cost": 1000, "description": "The streamer says hello"},
            "redeemer": short(who), "broadcaster": short(broadcaster)}


def stream_status(broadcaster, who, number):
    return {"broadcaster": broadcaster, "is_live": True, "title": f"Stream {number}",
            "started_at": stamp(), "ended_at": None}


def stream_metadata(broadcaster, who, number):
    return {"broadcaster": broadcaster,
            "metadata": {"title": f"Stream {number}", "language": "en",
                         "has_mature_content": True,
                         "category": {"id": 123, "name": "Just Chatting",
                                      "thumbnail": "http://example.com/c.webp"}}}


def banned(broadcaster, who, number):
    return {"broadcaster": broadcaster, "moderator": person(PERSON_ID + 9, "moderator_one"),
            "banned_user": who,
            "metadata": {"reason": "spam", "created_at": stamp(), "expires_at": None}}


def kicks(broadcaster, who, number):
    return {"broadcaster": short(broadcaster), "sender": short(who),
            "gift": {"amount": 500, "name": "Rage Quit", "type": "LEVEL_UP", "tier": "MID",
                     "message": "w", "pinned_time_seconds": 600},
            "created_at": stamp()[:-1] + ".634Z"}


BUILDERS = {
    "chat.message.sent": chat,
    "channel.followed": followed,
    "channel.subscription.new": subscription(1),
    "channel.subscription.renewal": subscription(3),
    "channel.subscription.gifts": gifts,
    "channel.reward.redemption.updated": redemption,
    "livestream.status.updated": stream_status,
    "livestream.metadata.updated": stream_metadata,
    "moderation.banned": banned,
    "kicks.gifted": kicks,
}
TYPES = tuple(BUILDERS)


def event(kind, broadcaster=None, who=None, number=1):
    """The documented body of an event type, as a dict."""
    broadcaster = broadcaster or person(BROADCASTER_ID, "Streamer123")
    return BUILDERS[kind](broadcaster, who or person(), number)


def encode(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
