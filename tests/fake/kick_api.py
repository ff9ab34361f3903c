"""Fake Kick's API host: users, channels, chat (Kick 0, 5, 8); kick_subs.py has the rest."""
import uuid

from .http import Response, json_response
from .kick_subs import KickSubscriptions, as_number

MESSAGES = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
MAX_CHAT, MAX_CHANNELS, MAX_SLUG = 500, 50, 25
ZERO_TIME = "0001-01-01T00:00:00Z"


class KickApi(KickSubscriptions):
    """Mixed into FakeKick; keeps the chat."""

    settings = {
        **KickSubscriptions.settings,
        "chat_sent": (True, (True, False)),      # False: 200 with is_sent false
    }
    CONTROL = (*KickSubscriptions.CONTROL, "chat_log")

    def reset_api(self):
        self.reset_subscriptions()
        self.chat_messages = []

    def api_routes(self):
        return {
            **self.subscription_routes(),
            ("api", "GET", "/public/v1/public-key"): ("public_key", self.public_key),
            ("api", "GET", "/public/v1/users"): ("users", self.users),
            ("api", "GET", "/public/v1/channels"): ("channels", self.channels),
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
