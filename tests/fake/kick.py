"""Fake Kick: OAuth on the id host (Kick 1), and the API host by way of kick_api.py."""
from .base import FakePlatform
from .http import FORM, html_response, json_response, redirect_response, text_response
from .keys import Signer, odd_key
from .kick_api import KickApi
from .store import CHALLENGE, VERIFIER, Refused, random_text

SCOPES = ("user:read", "channel:read", "channel:write", "channel:rewards:read",
          "channel:rewards:write", "chat:write", "streamkey:read", "events:subscribe",
          "moderation:ban", "moderation:chat_message:manage", "kicks:read")
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SPECIAL = UPPER + "abcdefghijklmnopqrstuvwxyz.-_~+/="
TOKEN_TYPE = "application/json;charset=UTF-8"
NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))

# error: (status, description), Kick 1.5
ERRORS = {
    "invalid_request": (400, "The request is missing a required parameter, includes an "
                             "invalid parameter value, includes a parameter more than once, "
                             "or is otherwise malformed"),
    "invalid_client": (401, "Client authentication failed"),
    "invalid_grant": (401, "The provided authorization grant (e.g., authorization code, "
                           "resource owner credentials) or refresh token is invalid, "
                           "expired, revoked, does not match the redirection URI used in "
                           "the authorization request, or was issued to another client"),
    "unsupported_grant_type": (401, "The authorization grant type is not supported by the "
                                    "authorization server"),
}
# grant: fields that must be there beside grant_type, client_id and client_secret (Kick 1.3)
GRANT_FIELDS = {
    "authorization_code": ("redirect_uri", "code_verifier", "code"),
    "refresh_token": ("refresh_token",),
    "client_credentials": (),
}


class FakeKick(KickApi, FakePlatform):
    """Hosts: ``id`` (id.kick.com) and ``api`` (api.kick.com)."""

    name = "kick"
    hosts = ("id", "api")
    token_type = "Bearer"
    settings = {
        **KickApi.settings,
        "revoke_kills": ("one", ("one", "pair")),       # unknown of the real one (1.6)
        "revoke_body": ("OK", ("OK", "")),
        "introspect_inactive": ("bare", ("bare", "nulls", "401")),
        "public_key": ("current", ("current", "next", "garbage", "rsa1024", "ec")),
    }
    CONTROL = FakePlatform.CONTROL + KickApi.CONTROL

    def __init__(self, port=0, signer=None, **more):
        self.signer = signer or Signer()
        self.next_signer = None
        super().__init__(port, **more)
        self.reset_api()

    def reset(self):
        with self.lock:
            super().reset()
            self.reset_api()

    def set(self, **changes):
        """Switching webhooks off removes all subscriptions (3.3)."""
        with self.lock:
            values = super().set(**changes)
            if not values["webhooks_enabled"]:
                self.drop_subscriptions()
            return values

    def make_routes(self):
        return {
            ("id", "GET", "/oauth/authorize"): ("authorize", self.authorize),
            ("api", "POST", "/oauth/authorize"): ("consent", self.decide),
            ("id", "POST", "/oauth/token"): ("token", self.token),
            ("id", "POST", "/oauth/revoke"): ("revoke", self.revoke),
            ("id", "POST", "/oauth/token/introspect"): ("introspect", self.introspect),
            **self.api_routes(),
        }

    def mint(self, use):
        form = self.script["token_form"]
        if form == "plain":
            return random_text(UPPER, 48)
        return random_text(SPECIAL, 64 if form == "special" else 2048)

    # -- authorize (1.1, 1.2) ------------------------------------------------------

    def authorize(self, request):
        """All seven parameters must be right, else the browser lands on a 404 page."""
        target = request.target.replace("127.0.0.1", "localhost", 1)
        request.target = target
        query = request.query
        app = self.store.apps.get(query.get("client_id"))
        scopes = (query.get("scope") or "").split()
        right = (app is not None
                 and query.get("response_type") == "code"
                 and query.get("redirect_uri") in app.redirect_uris
                 and scopes and query.get("state")
                 and CHALLENGE.match(query.get("code_challenge") or "")
                 and query.get("code_challenge_method") == "S256")
        if not right:
            return redirect_response("/")
        ticked = SCOPES if app.scopes is None else app.scopes
        return self.consent(app, query["redirect_uri"],
                            [scope for scope in scopes if scope in ticked], query["state"],
                            self.url("api") + "/oauth/authorize",
                            challenge=query["code_challenge"], method="S256")

    # -- token (1.3, 1.4, 1.5) -----------------------------------------------------

    @staticmethod
    def oauth_error(error):
        status, text = ERRORS[error]
        return json_response(status, {"error": error, "error_description": text},
                             NO_STORE, TOKEN_TYPE)

    def token(self, request):
        if request.media_type != FORM or request.header("authorization"):
            return json_response(400, {"error": "Invalid request"}, NO_STORE, TOKEN_TYPE)
        form = request.form
        grant_type = form.get("grant_type")
        if not grant_type or request.form_repeats:
            return self.oauth_error("invalid_request")
        if grant_type not in GRANT_FIELDS:
            return self.oauth_error("unsupported_grant_type")
        needed = ("client_id", "client_secret") + GRANT_FIELDS[grant_type]
        if not all(form.get(name) for name in needed):
            return self.oauth_error("invalid_request")
        app = self.store.apps.get(form["client_id"])
        if app is None or app.client_secret != form["client_secret"]:
            return self.oauth_error("invalid_client")
        try:
            body = getattr(self, "_grant_" + grant_type)(app, form)
        except Refused:
            return self.oauth_error("invalid_grant")
        return body or self.oauth_error("invalid_request")

    def _grant_authorization_code(self, app, form):
        if not VERIFIER.match(form["code_verifier"]):
            return None
        code = self.store.take_code(form["code"], app, form["redirect_uri"],
                                    form["code_verifier"])
        return self._tokens(self.token_body(code.grant))

    def _grant_refresh_token(self, app, form):
        return self._tokens(self.refreshed(form["refresh_token"], app))

    def _grant_client_credentials(self, app, form):
        return self._tokens(self.issue(app.client_id, app=True))

    @staticmethod
    def _tokens(body):
        return json_response(200, body, NO_STORE, TOKEN_TYPE)

    # -- revoke, introspect (1.6, 1.7) ---------------------------------------------

    def revoke(self, request):
        """token in the query or the body; 200 whatever it was."""
        value = request.form.get("token") or request.query.get("token")
        token = self.store.find(value)
        if token and self.script["revoke_kills"] == "pair":
            self.store.kill(token.grant, "revoked")
        elif token:
            token.dead = "revoked"
        return text_response(200, self.script["revoke_body"])

    def introspect(self, request):
        value = request.bearer()
        if value is None:
            return self.failure(401)
        token = self.store.find(value, "access")
        form = self.script["introspect_inactive"]
        if token is None and form == "401":
            return self.failure(401)
        data = {"active": token is not None}
        if token is not None:
            data.update(client_id=token.grant.app.client_id,
                        token_type="user" if token.grant.user else "app",
                        scope=" ".join(sorted(token.grant.scopes)), exp=int(token.expires))
        elif form == "nulls":
            data.update(client_id=None, token_type=None, scope=None, exp=None)
        return self.success(data)

    # -- public key (2.1) ----------------------------------------------------------

    def public_pem(self):
        """What the endpoint serves by the setting ``public_key``."""
        kind = self.script["public_key"]
        if kind == "current":
            return self.signer.public_pem
        if kind == "next":
            if self.next_signer is None:
                self.next_signer = Signer()
            return self.next_signer.public_pem
        return odd_key(kind)

    def public_key(self, request):
        return self.success({"public_key": self.public_pem()})

    def not_found(self, request):
        return html_response(404, "<html><head><title>404: This page could not be found."
                                  "</title></head><body><h1>404</h1></body></html>")
