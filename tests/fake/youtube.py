"""Fake YouTube Data API: the channel behind a token (C.11) and the error form (C.12)."""
from .http import json_response

READ_SCOPES = {"https://www.googleapis.com/auth/youtube" + end
               for end in ("", ".readonly", ".force-ssl")}
STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
          429: "RESOURCE_EXHAUSTED"}
CHALLENGE = ("WWW-Authenticate",
             'Bearer realm="https://accounts.google.com/", error="invalid_token"')


class YouTube:
    """Mixed into FakeGoogle. A User's id is the channel id, login the handle without @."""

    settings = {
        "channel_items": ("normal", ("normal", "empty", "missing")),
        "quota_left": (10000, [int]),
    }

    def api_routes(self):
        return {("api", "GET", "/youtube/v3/channels"): ("channels", self.channels)}

    @staticmethod
    def api_error(code, reason, message, domain="youtube.common"):
        body = {"error": {"code": code, "message": message,
                          "errors": [{"message": message, "domain": domain,
                                      "reason": reason}],
                          "status": STATUS[code]}}
        return json_response(code, body, [CHALLENGE] if code == 401 else [])

    def channels(self, request):
        token = self.store.find(request.bearer(), "access")
        if not request.header("authorization"):
            return self.api_error(401, "required", "Login Required.", "global")
        if token is None:
            return self.api_error(401, "authError", "Invalid Credentials", "global")
        if not READ_SCOPES & set(token.grant.scopes):
            return self.api_error(403, "insufficientPermissions",
                                  "Insufficient Permission", "global")
        if self.script["quota_left"] <= 0:
            return self.api_error(403, "quotaExceeded", "The request cannot be completed "
                                  "because you have exceeded your quota.", "youtube.quota")
        self.script.values["quota_left"] -= 1
        if not token.grant.user.channel:
            return self.api_error(401, "youtubeSignupRequired", "Unauthorized")
        parts = request.query.get("part", "").split(",")
        if parts == [""] or request.query.get("mine") != "true":
            return self.api_error(400, "missingRequiredParameter", "No filter selected.")
        return json_response(200, self._list(token.grant.user, parts))

    def _list(self, user, parts):
        item = {"kind": "youtube#channel", "etag": "etag", "id": user.id}
        if "snippet" in parts:
            item["snippet"] = {"title": user.display_name, "description": "",
                               "customUrl": "@" + user.login,
                               "publishedAt": "2010-01-01T00:00:00Z", "thumbnails": {}}
        form = self.script["channel_items"]
        items = [item] if form == "normal" else []
        body = {"kind": "youtube#channelListResponse", "etag": "etag",
                "pageInfo": {"totalResults": len(items), "resultsPerPage": 5},
                "items": items}
        if form == "missing":
            del body["items"]
        return body
