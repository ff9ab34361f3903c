"""Fake Google: accounts, oauth2 and YouTube hosts (C.1-C.12)."""
from html import escape
from urllib.parse import urlsplit

from .base import FakePlatform
from .device import DeviceFlow
from .http import FORM, html_response, json_response
from .store import Refused, random_text
from .youtube import YouTube

MIXED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEVICE_SCOPES = ("https://www.googleapis.com/auth/youtube",
                 "https://www.googleapis.com/auth/youtube.readonly")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
WEEK_S = 7 * 86400
TOKEN_LIMIT = 100
# reason of store.Refused: description of invalid_grant (C.8)
CODE_TEXTS = {"unknown": "Malformed auth code.", "no_verifier": "Missing code verifier."}


class FakeGoogle(DeviceFlow, YouTube, FakePlatform):
    """Hosts: ``accounts``, ``oauth2``, ``api`` (www.googleapis.com).

    App.kind: ``desktop`` (any loopback redirect), ``web`` (exact list; refresh token only
    with access_type=offline and a first or forced consent), ``tv`` (device flow).
    """

    name = "google"
    hosts = ("accounts", "oauth2", "api")
    token_type = "Bearer"
    denied = ""
    device_form = {"alphabet": MIXED, "length": 60, "user_code": 8, "dash": True}
    settings = {
        **DeviceFlow.settings,
        **YouTube.settings,
        "access_life_s": (3599, [int, float]),
        "refresh_life_s": (182 * 86400, [int, float]),
        "rotation": ("never", ("never", "relaxed", "grace", "strict", "family")),
        "old_access": ("kept", ("kept", "killed")),
        "callback_extras": (["authuser", "prompt"], [list, tuple]),  # and iss, hd (C.3)
        "testing": (False, (True, False)),             # refresh tokens die after 7 days
        "invalid_rapt": (False, (True, False)),
        "desktop_secret_optional": (False, (True, False)),
        "tokeninfo_error": ("new", ("new", "old")),
    }
    CONTROL = FakePlatform.CONTROL + DeviceFlow.CONTROL

    def make_routes(self):
        return {
            ("accounts", "GET", "/o/oauth2/v2/auth"): ("authorize", self.authorize),
            ("accounts", "POST", "/o/oauth2/v2/auth"): ("consent", self.decide),
            ("accounts", "GET", "/device"): ("activate", self.activate),
            ("accounts", "POST", "/device"): ("activate", self.activated),
            ("oauth2", "POST", "/token"): ("token", self.token),
            ("oauth2", "POST", "/revoke"): ("revoke", self.revoke),
            ("oauth2", "GET", "/tokeninfo"): ("tokeninfo", self.tokeninfo),
            ("oauth2", "POST", "/tokeninfo"): ("tokeninfo", self.tokeninfo),
            ("oauth2", "POST", "/device/code"): ("device", self.device),
            **self.api_routes(),
        }

    def mint(self, use):
        form = self.script["token_form"]
        prefix, plain, most = {"code": ("4/0A", 70, 250), "access": ("ya29.", 180, 2043),
                               "refresh": ("1//0g", 98, 507)}[use]
        alphabet = MIXED if form == "plain" else MIXED + "/%+=&|"
        return prefix + random_text(alphabet, most if form == "long" else plain)

    @staticmethod
    def error(status, error, text=None, **more):
        body = {"error": error}
        if text is not None:
            body["error_description"] = text
        return json_response(status, {**body, **more}, content_type=(
            "application/json; charset=utf-8"))

    # -- authorize (C.3) -----------------------------------------------------------

    @staticmethod
    def _error_page(status, error):
        """Most errors are a page that never reaches the application."""
        return html_response(status, "<html><head><title>Error</title></head><body>"
                             "<h1>Access blocked</h1>"
                             f"<p>Error {status}: {error}</p></body></html>")

    @staticmethod
    def _redirect_fits(app, uri):
        if app.kind == "desktop":
            try:
                parts = urlsplit(uri)
                return (parts.scheme == "http" and parts.hostname in LOOPBACK
                        and not parts.fragment and not parts.username
                        and (parts.port is None or parts.port > 0))
            except ValueError:
                return False
        return app.kind == "web" and uri in app.redirect_uris

    def authorize(self, request):
        query = request.query
        app = self.store.apps.get(query.get("client_id"))
        if app is None:
            return self._error_page(401, "invalid_client")
        if not self._redirect_fits(app, query.get("redirect_uri") or ""):
            return self._error_page(400, "redirect_uri_mismatch")
        scopes = (query.get("scope") or "").split()
        method = query.get("code_challenge_method", "plain")
        if query.get("response_type") != "code" or not scopes \
                or method not in ("S256", "plain"):
            return self._error_page(400, "invalid_request")
        user = self.store.user(self.script["identity"])
        first = not any(token.grant.app is app and token.grant.user is user
                        for token in self.store.tokens.values())
        offline = app.kind == "desktop" or (
            query.get("access_type") == "offline"
            and (first or "consent" in query.get("prompt", "").split()))
        return self.consent(app, query["redirect_uri"], scopes, query.get("state"),
                            self.url("accounts") + "/o/oauth2/v2/auth", offline=offline,
                            challenge=query.get("code_challenge"), method=method)

    def success_pairs(self, code, state, grant):
        extras = {"iss": "https://accounts.google.com", "authuser": "0",
                  "hd": "example.com", "prompt": "consent"}
        pairs = [("state", state)] if state is not None else []
        pairs += [(name, extras[name]) for name in self.script["callback_extras"]
                  if name == "iss"]
        pairs += [("code", code), ("scope", " ".join(sorted(grant.scopes)))]
        return pairs + [(name, extras[name]) for name in self.script["callback_extras"]
                        if name != "iss"]

    # -- token (C.4, C.5, C.8, C.9) ------------------------------------------------

    def token(self, request):
        form = request.form
        if request.media_type != FORM or request.form_repeats:
            return self.error(400, "invalid_request", "Bad Request")
        app = self.store.apps.get(form.get("client_id"))
        if app is None:
            return self.error(401, "invalid_client", "The OAuth client was not found.")
        secret = form.get("client_secret")
        optional = app.kind == "desktop" and self.script["desktop_secret_optional"]
        if not secret and not optional:
            return self.error(400, "invalid_request", "client_secret is missing.")
        if secret and secret != app.client_secret:
            return self.error(401, "invalid_client", "Unauthorized")
        grants = {"authorization_code": self._code, "refresh_token": self._refresh,
                  DEVICE_GRANT: self._device}
        if form.get("grant_type") not in grants:
            return self.error(400, "unsupported_grant_type",
                              f"Invalid grant_type: {form.get('grant_type', '')}")
        return grants[form["grant_type"]](app, form)

    def _code(self, app, form):
        try:
            code = self.store.take_code(form.get("code"), app, form.get("redirect_uri"),
                                        form.get("code_verifier"))
        except Refused as err:
            if err.reason == "redirect":
                return self.error(400, "redirect_uri_mismatch", "Bad Request")
            if err.reason == "client":
                return self.error(401, "unauthorized_client", "Unauthorized")
            return self.error(400, "invalid_grant", CODE_TEXTS.get(err.reason, "Bad Request"))
        return self._tokens(code.grant, code.offline)

    def _tokens(self, grant, offline):
        body = self.token_body(grant, refresh=offline)
        if offline and self.script["testing"]:
            body["refresh_token_expires_in"] = WEEK_S - 1
        live = [token for token in self.store.tokens.values()
                if token.use == "refresh" and token.grant.app is grant.app
                and token.grant.user is grant.user and token.live(self.now())]
        if len(live) > TOKEN_LIMIT:
            live[0].dead = "limit"
        return json_response(200, body)

    def _refresh(self, app, form):
        if self.script["invalid_rapt"]:
            return self.error(400, "invalid_grant", "reauth related error (invalid_rapt)",
                              error_subtype="invalid_rapt")
        value = form.get("refresh_token")
        if not value:
            return self.error(400, "invalid_request",
                              "Missing required parameter: refresh_token")
        try:
            body = self.refreshed(value, app)
        except Refused as err:
            if err.reason == "client":
                return self.error(401, "unauthorized_client", "Unauthorized")
            return self.error(400, "invalid_grant", "Bad Request" if err.reason == "unknown"
                              else "Token has been expired or revoked.")
        if self.script["rotation"] == "never" and self.script["refresh_form"] == "normal":
            body.pop("refresh_token", None)
        return json_response(200, body)

    def refresh_life(self, app):
        return WEEK_S if self.script["testing"] else self.script["refresh_life_s"]

    # -- device (C.10) -------------------------------------------------------------

    def device(self, request):
        app = self.store.apps.get(request.form.get("client_id"))
        if app is None:
            return self.error(401, "invalid_client", "The OAuth client was not found.")
        if app.kind != "tv":
            return self.error(401, "invalid_client", "Invalid client type.")
        scopes = (request.form.get("scope") or "").split()
        if not scopes or not set(scopes) <= set(DEVICE_SCOPES):
            return self.error(400, "invalid_scope", "Bad Request")
        flow = self.start_device(app, scopes)
        return json_response(200, {
            "device_code": flow.device_code, "user_code": flow.user_code,
            "expires_in": self.script["device_life_s"],
            "interval": self.script["device_interval_s"],
            "verification_url": self.url("accounts") + "/device"})

    def _device(self, app, form):
        state, grant = self.poll_device(form.get("device_code"), app)
        answers = {"pending": (428, "authorization_pending", "Precondition Required"),
                   "slow_down": (403, "slow_down", "Forbidden"),
                   "denied": (403, "access_denied", "Forbidden"),
                   "expired": (400, "expired_token", "Bad Request"),
                   "unknown": (400, "invalid_grant", "Bad Request")}
        if state != "granted":
            return self.error(*answers[state])
        return self._tokens(grant, True)

    def activate(self, request):
        code = escape(request.query.get("user_code", ""))
        return html_response(200, self.device_page("/device", code))

    # -- revoke and tokeninfo (C.6, C.7) -------------------------------------------

    def revoke(self, request):
        """Ends every token of that user for every client of the project."""
        token = self.store.find(request.form.get("token") or request.query.get("token"))
        if token is None:
            return self.error(400, "invalid_token", "Token expired or revoked")
        owner, project = token.grant.user, token.grant.app.project
        for one in self.store.tokens.values():
            if one.grant.user is owner and one.grant.app.project == project and not one.dead:
                one.dead = "revoked"
        return json_response(200, {})

    def tokeninfo(self, request):
        value = request.form.get("access_token") or request.query.get("access_token")
        token = self.store.find(value, "access")
        if token is None:
            if self.script["tokeninfo_error"] == "old":
                return json_response(400, {"error_description": "Invalid Value"})
            return self.error(400, "invalid_token", "Invalid Value")
        grant = token.grant
        body = {"azp": grant.app.client_id, "aud": grant.app.client_id,
                "sub": "109" + grant.user.login.encode().hex()[:18],
                "scope": " ".join(sorted(grant.scopes)), "exp": str(int(token.expires)),
                "expires_in": str(int(token.expires - self.now())), "access_type": "offline"}
        if "email" in grant.scopes:
            body.update(email=grant.user.email, email_verified="true")
        return json_response(200, body)
