"""Fake Twitch: id.twitch.tv (A.3-A.11, A.13) and the few Helix calls needed (A.12, B.8)."""
from html import escape

from .base import FakePlatform, with_query
from .device import DeviceFlow
from .http import FORM, Response, html_response, json_response, redirect_response
from .store import Grant, Refused, random_text
from .twitch_api import TwitchApi

LOWER = "abcdefghijklmnopqrstuvwxyz0123456789"
SPECIAL = LOWER + "/%+=&|"
MISMATCH = "Parameter redirect_uri does not match registered URI"
PUBLIC_REFRESH_LIFE_S = 30 * 86400


class FakeTwitch(DeviceFlow, TwitchApi, FakePlatform):
    """Hosts: ``id`` (id.twitch.tv) and ``api`` (api.twitch.tv).

    App.kind: ``confidential``, or ``public`` (no secret: device flow only, refresh tokens
    single use, A.2 and A.5).
    """

    name = "twitch"
    hosts = ("id", "api")
    token_type = "bearer"
    denied = "The user denied you access"
    device_form = {"alphabet": LOWER, "length": 40, "user_code": 8}
    settings = {
        **DeviceFlow.settings,
        **TwitchApi.settings,
        "access_life_s": (14124, [int, float]),
        "app_life_s": (5011271, [int, float]),
        "code_life_s": (60, [int, float]),
        "refresh_life_s": (10 * 365 * 86400, [int, float]),
        "rotation": ("never", ("never", "relaxed", "grace", "strict", "family")),
        "old_access": ("kept", ("kept", "killed")),
        "scope_form": ("array", ("array", "string", "missing", "null")),
        "mismatch_double_encoded": (False, (True, False)),
        "revoke_variant": ("docs", ("docs", "recorded")),       # the two columns of A.9
        "validate_scopes": ("array", ("array", "null")),
        "validate_expires": ("real", ("real", "zero")),
        "token_limit": ("off", ("off", "refuse", "kill_oldest")),  # the 50-token rule
    }
    CONTROL = FakePlatform.CONTROL + DeviceFlow.CONTROL
    TOKEN_LIMIT = 50

    def make_routes(self):
        return {
            ("id", "GET", "/oauth2/authorize"): ("authorize", self.authorize),
            ("id", "POST", "/oauth2/authorize"): ("consent", self.decide),
            ("id", "POST", "/oauth2/token"): ("token", self.token),
            ("id", "POST", "/oauth2/device"): ("device", self.device),
            ("id", "GET", "/activate"): ("activate", self.activate),
            ("id", "POST", "/activate"): ("activate", self.activated),
            ("id", "GET", "/oauth2/validate"): ("validate", self.validate),
            ("id", "POST", "/oauth2/revoke"): ("revoke", self.revoke),
            **self.api_routes(),
        }

    def mint(self, use):
        form = self.script["token_form"]
        if form == "long":
            return random_text(SPECIAL, 2048 if use == "access" else 512)
        length = 50 if use == "refresh" else 30
        return random_text(LOWER if form == "plain" else SPECIAL, length)

    @staticmethod
    def error(status, message):
        return json_response(status, {"status": status, "message": message})

    # -- authorize (A.3) -----------------------------------------------------------

    def authorize(self, request):
        query = request.query
        app = self.store.apps.get(query.get("client_id"))
        if app is None or not app.redirect_uris:
            return self.error(400, "invalid client" if query.get("client_id")
                              else "missing client id")
        state = query.get("state")
        redirect_uri = query.get("redirect_uri")
        if redirect_uri not in app.redirect_uris:
            return self._mismatch(app, state)
        if query.get("response_type") != "code":
            return self.error(400, "missing response type")
        scopes = (query.get("scope") or "").split()
        action = self.url("id") + "/oauth2/authorize"
        if self.script["authorize"] == "page" and query.get("force_verify") != "true" \
                and self._granted_before(app, scopes):
            grant = Grant(app, self.store.user(self.script["identity"]), tuple(scopes))
            return self._decide((grant, redirect_uri, state, {}), True, False)
        return self.consent(app, redirect_uri, scopes, state, action)

    def _mismatch(self, app, state):
        text = MISMATCH.replace(" ", "+") if self.script["mismatch_double_encoded"] \
            else MISMATCH
        pairs = [("error", "redirect_mismatch"), ("error_description", text)]
        pairs += [("state", state)] if state is not None else []
        return redirect_response(with_query(app.redirect_uris[0], pairs))

    def _granted_before(self, app, scopes):
        user = self.store.user(self.script["identity"])
        return any(token.grant.app is app and token.grant.user is user
                   and set(scopes) <= set(token.grant.scopes) and not token.dead
                   for token in self.store.tokens.values())

    def success_pairs(self, code, state, grant):
        pairs = [("code", code), ("scope", " ".join(grant.scopes))]
        return pairs + ([("state", state)] if state is not None else [])

    # -- token (A.4-A.7, A.11) -----------------------------------------------------

    def token(self, request):
        form = request.form
        if not form.get("client_id"):
            return self.error(400, "missing client id")
        app = self.store.apps.get(form["client_id"])
        if app is None:
            return self.error(400, "invalid client")
        secret = form.get("client_secret")
        if secret and secret != app.client_secret:
            return self.error(403, "invalid client secret")
        known = {"authorization_code": (self._code, True),
                 "refresh_token": (self._refresh, app.kind != "public"),
                 "client_credentials": (self._app_token, True),
                 "urn:ietf:params:oauth:grant-type:device_code": (self._device, False)}
        grant, needs_secret = known.get(form.get("grant_type"), (None, False))
        if grant is None:
            return self.error(400, "Invalid grant")
        if needs_secret and (not secret or app.kind == "public"):
            return self.error(400, "missing client secret")
        return grant(app, form)

    def _code(self, app, form):
        try:
            code = self.store.take_code(form.get("code"), app, form.get("redirect_uri"), None)
        except Refused as err:
            return self.error(400, MISMATCH if err.reason == "redirect"
                              else "Invalid authorization code")
        return json_response(200, self.token_body(code.grant))

    def _refresh(self, app, form):
        if not form.get("refresh_token"):
            return self.error(400, "missing refresh token")
        token = self.store.find(form["refresh_token"], "refresh")
        if token and not self._make_room(token.grant):
            return self.error(400, "Invalid refresh token")
        try:
            rotation = "strict" if app.kind == "public" else None
            return json_response(200, self.refreshed(form["refresh_token"], app, rotation))
        except Refused:
            return self.error(400, "Invalid refresh token")

    def _make_room(self, grant):
        """The rule of 50 access tokens: documented as a refusal, seen as a silent kill."""
        live = self.store.family(grant, "access")
        if self.script["token_limit"] == "off" or len(live) < self.TOKEN_LIMIT:
            return True
        if self.script["token_limit"] == "refuse":
            return False
        live[0].dead = "limit"
        return True

    def _app_token(self, app, form):
        return json_response(200, self.issue(app.client_id, app=True))

    def add_scope(self, body, grant):
        """No scope member at all when none was asked for (A.4)."""
        if grant.scopes:
            super().add_scope(body, grant)

    def refresh_life(self, app):
        return PUBLIC_REFRESH_LIFE_S if app.kind == "public" \
            else self.script["refresh_life_s"]

    # -- device (A.7) --------------------------------------------------------------

    def device(self, request):
        """The field is ``scopes``, plural."""
        app = self.store.apps.get(request.form.get("client_id"))
        if app is None:
            return self.error(400, "invalid client" if request.form.get("client_id")
                              else "missing client id")
        flow = self.start_device(app, (request.form.get("scopes") or "").split())
        return json_response(200, {
            "device_code": flow.device_code, "expires_in": self.script["device_life_s"],
            "interval": self.script["device_interval_s"], "user_code": flow.user_code,
            "verification_uri": f"{self.url('id')}/activate?device-code={flow.user_code}"})

    def _device(self, app, form):
        if not form.get("device_code"):
            return self.error(400, "missing device_code")
        state, grant = self.poll_device(form["device_code"], app)
        if state in ("pending", "slow_down"):
            return self.error(400, "authorization_pending")
        if state == "denied":
            return self.error(400, "authorization_denied")
        if state != "granted":
            return self.error(400, "invalid device code")
        return json_response(200, self.token_body(grant))

    def activate(self, request):
        code = request.query.get("device-code", "")
        return html_response(200, self.device_page("/activate", escape(code)))

    # -- validate and revoke (A.8, A.9) --------------------------------------------

    def validate(self, request):
        value = request.bearer("OAuth", "Bearer")
        if value is None:
            return self.error(401, "missing authorization token")
        token = self.store.find(value, "access")
        if token is None:
            return self.error(401, "invalid access token")
        grant, zero = token.grant, self.script["validate_expires"] == "zero"
        body = {"client_id": grant.app.client_id}
        if grant.user:
            body["login"] = grant.user.login
        empty = not grant.scopes or self.script["validate_scopes"] == "null"
        body["scopes"] = None if empty else sorted(grant.scopes)
        if grant.user:
            body["user_id"] = grant.user.id
        body["expires_in"] = 0 if zero else int(token.expires - self.now())
        return json_response(200, body)

    def revoke(self, request):
        """Ends the access token only: its refresh token goes on working."""
        form = request.form if request.media_type == FORM else {}
        recorded = self.script["revoke_variant"] == "recorded"
        app = self.store.apps.get(form.get("client_id"))
        if app is None:
            name = form.get("client_id", "")
            return self.error(400, f"Invalid client_id: {name}") if recorded \
                else self.error(404, "client does not exist")
        if not form.get("token"):
            return self.error(400, "missing oauth token")
        token = self.store.find(form["token"], "access")
        if token is None or token.grant.app is not app:
            return Response(200) if recorded else self.error(400, "Invalid token")
        token.dead = "revoked"
        return Response(200)
