"""A correct client of each fake, for the fakes' own tests; see conftest.py."""
import json
from urllib.parse import parse_qs, urlencode, urlsplit

from . import vectors
from .client import fetch
from .google import FakeGoogle
from .keys import Signer
from .kick import FakeKick
from .store import s256
from .twitch import FakeTwitch

REDIRECT = "http://localhost:3000/oauth/callback/here"
SECRET = "5" * 64
VERIFIER = vectors.PKCE_VERIFIER
JSON = {"Content-Type": "application/json"}
YT = "https://www.googleapis.com/auth/youtube"


class Flow:
    """One platform with its app and user, and the requests of a correct client."""

    def __init__(self, fake, auth, token_host, token, scope):
        self.fake, self.scope = fake, scope
        self.auth_url = fake.url() + auth
        self.token_url = fake.url(token_host) + token

    def authorize(self, drop=(), **changes):
        query = {"response_type": "code", "client_id": "cid", "redirect_uri": REDIRECT,
                 "scope": self.scope, "state": "st", "code_challenge": s256(VERIFIER),
                 "code_challenge_method": "S256", "access_type": "offline",
                 "prompt": "consent", **changes}
        query = {name: value for name, value in query.items() if name not in drop}
        return fetch("GET", self.auth_url + "?" + urlencode(query))

    def callback(self, **changes):
        location = self.authorize(**changes).headers["location"]
        return {name: value[0] for name, value in parse_qs(urlsplit(location).query).items()}

    def exchange(self, code=None, drop=(), **changes):
        form = {"grant_type": "authorization_code", "client_id": "cid",
                "client_secret": SECRET, "redirect_uri": REDIRECT,
                "code_verifier": VERIFIER, "code": code or self.callback()["code"],
                **changes}
        form = {name: value for name, value in form.items() if name not in drop}
        return fetch("POST", self.token_url, form)

    def login(self):
        answer = self.exchange()
        assert answer.status == 200, answer.body
        return answer.json()

    def refresh(self, value, **changes):
        return fetch("POST", self.token_url, {
            "grant_type": "refresh_token", "client_id": "cid", "client_secret": SECRET,
            "refresh_token": value, **changes})


SIGNER = Signer()
MAKERS = {
    "kick": lambda: Flow(FakeKick(signer=SIGNER).start(), "/oauth/authorize", "id",
                         "/oauth/token",
                         "user:read channel:read events:subscribe chat:write"),
    "twitch": lambda: Flow(FakeTwitch().start(), "/oauth2/authorize", "id", "/oauth2/token",
                           "chat:read channel:manage:broadcast"),
    "google": lambda: Flow(FakeGoogle().start(), "/o/oauth2/v2/auth", "oauth2", "/token", YT),
}


def make(name, kind=None):
    flow = MAKERS[name]()
    kind = kind or ("web" if name == "google" else "confidential")
    flow.fake.add_app("cid", SECRET, [REDIRECT], kind=kind)
    flow.fake.add_app("other", SECRET, ["http://localhost:3000/other"], kind=kind)
    flow.fake.add_user(7, "Bob_x", email="bob@example.com")
    flow.fake.add_user(8, "eve")
    flow.fake.set(authorize="auto")
    return flow


def refusal(flow, kick, twitch, google):
    """The expected refusal of this platform."""
    return {"kick": kick, "twitch": twitch, "google": google}[flow.fake.name]


def check(answer, expected):
    status, *texts = expected
    assert answer.status == status, answer.body
    for text in texts:
        assert text in answer.body.decode()


INVALID_GRANT_401 = (401, '"invalid_grant"')
INVALID_GRANT_400 = (400, '"invalid_grant"')

# How a dead refresh token is refused.
DEAD = {"kick": INVALID_GRANT_401, "twitch": (400, '"Invalid refresh token"'),
        "google": INVALID_GRANT_400}


class Api:
    """Fake Kick's API host, asked with one token."""

    def __init__(self, flow, **issue):
        self.base = flow.fake.url("api") + "/public/v1"
        issue = issue or {"scopes": ["events:subscribe", "chat:write", "user:read"]}
        token = flow.fake.issue("cid", **issue)["access_token"]
        self.headers = {"Authorization": "Bearer " + token, **JSON}

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        return fetch(method, self.base + path, data, self.headers)

    def subscribe(self, *names, **more):
        return self.call("POST", "/events/subscriptions", {
            "events": [{"name": name, "version": 1} for name in names],
            "method": "webhook", **more})

    def listed(self, query=""):
        return self.call("GET", "/events/subscriptions" + query).json()["data"]
