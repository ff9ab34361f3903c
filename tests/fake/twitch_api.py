"""Fake Twitch's Helix host: conventions of A.12, the two calls of B.8."""
import time
import uuid

from .http import json_response

PHRASES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
           422: "Unprocessable Entity", 429: "Too Many Requests"}
MAX_CHAT = 500
POINTS = 800


class TwitchApi:
    """Mixed into FakeTwitch."""

    settings = {
        "chat_drop_reason": (None, [dict, type(None)]),  # {"code","message"}: is_sent false
        "points_left": (POINTS - 1, [int]),              # Ratelimit-Remaining; 0 is 429
    }

    def api_routes(self):
        return {
            ("api", "GET", "/helix/users"): ("users", self.users),
            ("api", "POST", "/helix/chat/messages"): ("chat", self.chat),
        }

    @staticmethod
    def helix_error(status, message, headers=()):
        body = {"error": PHRASES[status], "status": status, "message": message}
        return json_response(status, body, headers)

    def _limits(self):
        return [("Ratelimit-Limit", str(POINTS)),
                ("Ratelimit-Remaining", str(self.script["points_left"])),
                ("Ratelimit-Reset", str(int(time.time()) + 1))]

    def helix(self, request):
        """(grant, None), or (None, the refusal)."""
        if not (request.header("authorization") or ""):
            return None, self.helix_error(401, "OAuth token is missing")
        client_id = request.header("client-id")
        if not client_id:
            return None, self.helix_error(401, "Client-Id header is missing")
        token = self.store.find(request.bearer(), "access")
        if token is None:
            return None, self.helix_error(401, "Invalid OAuth token")
        if token.grant.app.client_id != client_id:
            return None, self.helix_error(401, "Client ID and OAuth token do not match")
        if self.script["points_left"] <= 0:
            return None, self.helix_error(429, "Too Many Requests", self._limits())
        return token.grant, None

    def users(self, request):
        grant, refusal = self.helix(request)
        if refusal:
            return refusal
        ids, logins = request.query_all("id"), request.query_all("login")
        if not ids and not logins and grant.user is None:
            return self.helix_error(400, "Bad Request")
        users = [user for user in self.store.users.values()
                 if user.id in ids or user.login in logins]
        if not ids and not logins:
            users = [grant.user]
        data = [self._user(user, grant) for user in users]
        return json_response(200, {"data": data}, self._limits())

    @staticmethod
    def _user(user, grant):
        out = {"id": user.id, "login": user.login, "display_name": user.display_name,
               "type": "", "broadcaster_type": "", "description": "",
               "profile_image_url": "", "offline_image_url": "", "view_count": 0,
               "created_at": "2016-12-14T20:32:28Z"}
        if user is grant.user and "user:read:email" in grant.scopes:
            out["email"] = user.email
        return out

    def chat(self, request):
        grant, refusal = self.helix(request)
        if refusal:
            return refusal
        if grant.user and "user:write:chat" not in grant.scopes:
            return self.helix_error(401, "Missing scope: user:write:chat")
        body = request.json()
        fields = ("broadcaster_id", "sender_id", "message")
        if not isinstance(body, dict) or not all(body.get(name) for name in fields):
            return self.helix_error(400, "Bad Request")
        if len(body["message"]) > MAX_CHAT:
            return self.helix_error(422, "Unprocessable Entity")
        reason = self.script["chat_drop_reason"]
        data = {"message_id": "" if reason else str(uuid.uuid4()),
                "is_sent": reason is None, "drop_reason": reason}
        return json_response(200, {"data": [data]}, self._limits())
