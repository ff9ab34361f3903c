"""Fake Kick's API host: users, channels, event subscriptions, chat (Kick 0, 4, 5, 8)."""
import uuid
from datetime import datetime, timezone

from . import events
from .delivery import build
from .http import Response, json_response
from .keys import ulid
from .sender import send

MESSAGES = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
MAX_CHAT, MAX_CHANNELS, MAX_SLUG = 500, 50, 25
ZERO_TIME = "0001-01-01T00:00:00Z"


def as_number(text):
    """A user id as the API shows it: a JSON integer."""
    return int(text) if str(text).isdigit() else text


class KickApi:
    """Mixed into FakeKick; keeps the subscriptions and the chat."""

    settings = {
        "webhooks_enabled": (True, (True, False)),
        "subscription_errors": ({}, [dict]),     # event: text of its error under a 200
        "subscription_limit": (None, [int, type(None)]),
        "omit_fresh_s": (0, [int, float]),       # lists lack an id that is younger (#419)
        "drop_after_failures": (0, [int]),       # failed deliveries until auto-drop; 0 never
        "chat_sent": (True, (True, False)),      # False: 200 with is_sent false
    }
    CONTROL = ("subscribe", "subscriptions_now", "drop_subscriptions", "deliver",
               "delivery_failed", "chat_log")

    def reset_api(self):
        self.subscriptions = []
        self.deleted = []
        self.failures = {}
        self.chat_messages = []

    def api_routes(self):
        subscriptions = "/public/v1/events/subscriptions"
        return {
            ("api", "GET", "/public/v1/public-key"): ("public_key", self.public_key),
            ("api", "GET", "/public/v1/users"): ("users", self.users),
            ("api", "GET", "/public/v1/channels"): ("channels", self.channels),
            ("api", "GET", subscriptions): ("subscriptions_list", self.list_subscriptions),
            ("api", "POST", subscriptions): ("subscriptions_create", self.create),
            ("api", "DELETE", subscriptions): ("subscriptions_delete", self.delete),
            ("api", "POST", "/public/v1/chat"): ("chat", self.chat),
            ("api", "DELETE", "/public/v1/chat/"): ("chat_delete", self.chat_delete),
        }

    # -- envelope and authorization (0, 1.9) ---------------------------------------

    @staticmethod
    def success(data):
        return json_response(200, {"data": data, "message": "OK"})

    @staticmethod
    def failure(status, reason=None):
        if status == 400:
            return json_response(400, {"data": reason or "", "message": "Bad request"})
        return json_response(status, {"data": {}, "message": MESSAGES[status]})

    def authorized(self, request, scope=None, user_only=False):
        """(grant, None), or (None, the refusal)."""
        token = self.store.find(request.bearer(), "access")
        if token is None or (user_only and token.grant.user is None):
            return None, self.failure(401)
        grant = token.grant
        if scope and grant.user and scope not in grant.scopes:
            return None, self.failure(403)
        return grant, None

    # -- users and channels (5.1, 5.2) ---------------------------------------------

    def users(self, request):
        ids = request.query_all("id")
        grant, refusal = self.authorized(request, "user:read", user_only=not ids)
        if refusal:
            return refusal
        users = [self.store.users[i] for i in ids if i in self.store.users]
        if not ids:
            users = [grant.user]
        return self.success([
            {"email": user.email if user is grant.user else "", "name": user.display_name,
             "profile_picture": "", "user_id": as_number(user.id)} for user in users])

    def channels(self, request):
        ids = request.query_all("broadcaster_user_id")
        slugs = request.query_all("slug")
        grant, refusal = self.authorized(request, "channel:read",
                                         user_only=not ids and not slugs)
        if refusal:
            return refusal
        if (ids and slugs) or max(len(ids), len(slugs)) > MAX_CHANNELS \
                or any(len(slug) > MAX_SLUG for slug in slugs):
            return self.failure(400, "invalid parameters")
        users = [user for user in self.store.users.values()
                 if user.id in ids or user.slug in slugs]
        return self.success([self._channel(user) for user in users or
                             ([] if ids or slugs else [grant.user])])

    @staticmethod
    def _channel(user):
        stream = {"url": "", "key": "", "is_live": False, "is_mature": False, "language": "",
                  "start_time": ZERO_TIME, "thumbnail": "", "viewer_count": 0,
                  "custom_tags": []}
        return {"broadcaster_user_id": as_number(user.id), "slug": user.slug,
                "channel_description": "", "banner_picture": "", "stream_title": "",
                "active_subscribers_count": 0, "canceled_subscribers_count": 0,
                "category": {"id": 1, "name": "", "thumbnail": ""}, "stream": stream}

    # -- event subscriptions (4) ---------------------------------------------------

    def list_subscriptions(self, request):
        grant, refusal = self.authorized(request, "events:subscribe")
        if refusal:
            return refusal
        wanted = request.query.get("broadcaster_user_id")
        fresh = self.now() - self.script["omit_fresh_s"]
        out = []
        for sub in self.subscriptions:
            hidden = self.script["omit_fresh_s"] and sub["born"] > fresh
            mine = grant.user is None or sub["user"] == grant.user.id
            if sub["app_id"] == grant.app.client_id and mine and not hidden \
                    and wanted in (None, sub["user"]):
                out.append({key: value for key, value in sub.items()
                            if key not in ("user", "born")})
        return self.success(out)

    def create(self, request):
        grant, refusal = self.authorized(request, "events:subscribe")
        if refusal:
            return refusal
        body = request.json()
        if not isinstance(body, dict) or body.get("method") != "webhook" \
                or not isinstance(body.get("events"), list) or not body["events"]:
            return self.failure(400, "invalid body")
        owner = grant.user.id if grant.user else body.get("broadcaster_user_id")
        if owner is None:
            return self.failure(400, "broadcaster_user_id is required for app tokens")
        limit = self.script["subscription_limit"]
        if limit is not None and len(self.subscriptions) + len(body["events"]) > limit:
            return self.failure(400, "event subscription limit reached")
        return self.success([self._create_one(grant.app, str(owner), event)
                             for event in body["events"]])

    def _create_one(self, app, user, event):
        name, version = event.get("name"), event.get("version")
        error = self.script["subscription_errors"].get(name, "")
        if not self.script["webhooks_enabled"]:
            error = "webhooks are not enabled for this app"
        elif name not in events.TYPES or version != 1:
            error = error or "unknown event"
        number = "" if error else self.subscribe(name, user, app.client_id)
        return {"name": name, "version": version, "subscription_id": number, "error": error}

    def subscribe(self, event, user=None, client_id=None):
        """Adds a subscription (a second one for the same event too); answers its id."""
        now = self.now()
        text = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        owner = str(user or self.store.user().id)
        client_id = client_id or next(iter(self.store.apps))
        sub = {"app_id": client_id, "broadcaster_user_id": as_number(owner),
               "created_at": text, "event": event, "id": ulid(now), "method": "webhook",
               "updated_at": text, "version": 1, "user": owner, "born": now}
        with self.lock:
            self.subscriptions.append(sub)
        return sub["id"]

    def delete(self, request):
        grant, refusal = self.authorized(request, "events:subscribe")
        if refusal:
            return refusal
        ids = request.query_all("id")
        for sub in list(self.subscriptions):
            if sub["id"] in ids and sub["app_id"] == grant.app.client_id:
                self.subscriptions.remove(sub)
                self.deleted.append(sub)
        return Response(204)

    def subscriptions_now(self):
        """What exists and what was removed (for ghost deliveries, 4.3)."""
        with self.lock:
            return {"live": list(self.subscriptions), "deleted": list(self.deleted)}

    def drop_subscriptions(self, id=None, event=None):
        """Kick's silent removals (3.3): one, one event's, or all of them."""
        with self.lock:
            gone = [sub for sub in self.subscriptions
                    if id in (None, sub["id"]) and event in (None, sub["event"])]
            self.subscriptions = [sub for sub in self.subscriptions if sub not in gone]
            self.deleted += gone
            return len(gone)

    def deliver(self, event, url=None, user=None, count=1, mode="valid", ghost=False,
                attempts=1):
        """Something happened on a channel: one delivery for each subscription to it.

        Doubled subscriptions get the same body under different ids (#246). ghost: to the
        removed subscriptions (#234). url: instead of the app's webhook_url.
        """
        owner = self.store.user(user)
        with self.lock:
            subs = [sub for sub in (self.deleted if ghost else self.subscriptions)
                    if sub["event"] == event and sub["user"] == owner.id]
        streamer = events.person(as_number(owner.id), owner.display_name)
        out = []
        for number in range(count):
            body = events.encode(events.event(event, streamer, number=number))
            for sub in subs:
                one = build(event, self.signer, mode, body=body, subscription=sub["id"])
                to = url or self.store.apps[sub["app_id"]].webhook_url
                reply = send(to, one, attempts=attempts)
                out.append({"id": one.message_id, "subscription_id": sub["id"],
                            "status": reply.status})
                if reply.status != 200:
                    self.delivery_failed(event)
        return out

    def delivery_failed(self, event):
        """Counts a failure; the set number of them removes the event's subscriptions."""
        with self.lock:
            self.failures[event] = self.failures.get(event, 0) + 1
            if self.script["drop_after_failures"] \
                    and self.failures[event] >= self.script["drop_after_failures"]:
                return self.drop_subscriptions(event=event)
            return 0

    # -- chat (5.3) ----------------------------------------------------------------

    def chat(self, request):
        grant, refusal = self.authorized(request, "chat:write", user_only=True)
        if refusal:
            return refusal
        body = request.json()
        content = body.get("content") if isinstance(body, dict) else None
        if not isinstance(content, str) or not 0 < len(content) <= MAX_CHAT \
                or body.get("type") not in ("user", "bot"):
            return self.failure(400, "invalid body")
        target = grant.user.id
        if body["type"] == "bot" and not grant.app.bot:
            return self.failure(400, "Channel not found")
        if body["type"] == "user":
            if body.get("broadcaster_user_id") is None:
                return self.failure(400, "invalid body")
            target = str(body["broadcaster_user_id"])
            if target not in self.store.users:
                return self.failure(404)
        if not self.script["chat_sent"]:
            return self.success({"is_sent": False, "message_id": ""})
        number = str(uuid.uuid4())
        self.chat_messages.append({"message_id": number, "channel": target, **body})
        return self.success({"is_sent": True, "message_id": number})

    def chat_delete(self, request):
        _, refusal = self.authorized(request, "moderation:chat_message:manage", True)
        if refusal:
            return refusal
        number = request.path.rpartition("/")[2]
        kept = [one for one in self.chat_messages if one["message_id"] != number]
        if len(kept) == len(self.chat_messages):
            return self.failure(404)
        self.chat_messages = kept
        return Response(204)

    def chat_log(self):
        with self.lock:
            return list(self.chat_messages)
