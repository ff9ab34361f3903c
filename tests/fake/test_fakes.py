"""The fakes themselves: they must be as strict as the real platforms, and misbehave on
order. A client that is wrong must not pass against them."""
import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from . import vectors
from .client import Control, ControlError, approve, fetch
from .google import FakeGoogle
from .keys import Signer
from .kick import FakeKick
from .store import s256
from .twitch import FakeTwitch

REDIRECT = "http://localhost:3000/oauth/callback/here"
SECRET = "5" * 64
VERIFIER = vectors.PKCE_VERIFIER
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
                 "code_challenge_method": "S256", "access_type": "offline", "prompt": "consent", **changes}
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
    "kick": lambda: Flow(FakeKick(signer=SIGNER).start(), "/oauth/authorize", "id", "/oauth/token",
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


@pytest.fixture(params=MAKERS)
def flow(request):
    flow = make(request.param)
    yield flow
    flow.fake.stop()


@pytest.fixture
def kick():
    flow = make("kick")
    yield flow
    flow.fake.stop()


@pytest.fixture
def twitch():
    flow = make("twitch")
    yield flow
    flow.fake.stop()


@pytest.fixture
def google():
    flow = make("google")
    yield flow
    flow.fake.stop()


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

# -- vectors ---------------------------------------------------------------------------------


def test_pkce_vector():
    octets = base64.urlsafe_b64encode(vectors.PKCE_OCTETS).rstrip(b"=").decode()
    assert octets == vectors.PKCE_VERIFIER
    assert s256(vectors.PKCE_VERIFIER) == vectors.PKCE_CHALLENGE


def test_signature_vectors():
    for body, expected in vectors.EVENTSUB:
        text = (vectors.EVENTSUB_ID + vectors.EVENTSUB_TIMESTAMP).encode() + body
        mac = hmac.new(vectors.EVENTSUB_SECRET, text, "sha256").hexdigest()
        assert "sha256=" + mac == expected
    key = base64.b64decode(vectors.STANDARD_WEBHOOKS_SECRET.partition("_")[2])
    text = (f"{vectors.STANDARD_WEBHOOKS_ID}.{vectors.STANDARD_WEBHOOKS_TIMESTAMP}.".encode()
            + vectors.STANDARD_WEBHOOKS_BODY)
    mac = base64.b64encode(hmac.new(key, text, "sha256").digest()).decode()
    assert "v1," + mac == vectors.STANDARD_WEBHOOKS_SIGNATURE
    for name, expected in vectors.WEBSUB.items():
        assert hmac.new(vectors.WEBSUB_KEY, vectors.WEBSUB_BODY, name).hexdigest() == expected


# -- authorize ---------------------------------------------------------------------------------


def test_happy_path(flow):
    back = flow.callback()
    assert back["state"] == "st"
    tokens = flow.exchange(back["code"]).json()
    assert tokens["token_type"].lower() == "bearer" and tokens["refresh_token"]
    assert isinstance(tokens["expires_in"], int)
    expected = flow.scope.split()
    scope = tokens["scope"]
    assert sorted(scope if isinstance(scope, list) else scope.split()) == sorted(expected)


@pytest.mark.parametrize("uri", [
    REDIRECT + "/", REDIRECT[:-1], REDIRECT.replace("here", "Here"), REDIRECT + "?a=b",
    REDIRECT.replace("3000", "3001"), REDIRECT.replace("localhost", "127.0.0.1"),
    REDIRECT.replace("http:", "https:"), REDIRECT + "/state-in-the-path"])
def test_redirect_differs(flow, uri):
    answer = flow.authorize(redirect_uri=uri)
    location = answer.headers.get("location", "")
    if flow.fake.name == "kick" and "127.0.0.1" in uri:
        assert location.startswith(REDIRECT)    # the front end's rewrite made it match
        code = parse_qs(urlsplit(location).query)["code"][0]
        check(flow.exchange(code, redirect_uri=uri), INVALID_GRANT_401)
        return
    assert "code=" not in location
    if flow.fake.name == "kick":
        assert (answer.status, location) == (302, "/")
    if flow.fake.name == "twitch":
        assert location.startswith(REDIRECT + "?error=redirect_mismatch&error_description="
                                   "Parameter+redirect_uri+does+not+match")
        assert location.endswith("&state=st")
    if flow.fake.name == "google":
        check(answer, (400, "redirect_uri_mismatch"))


@pytest.mark.parametrize("missing", ["response_type", "client_id", "redirect_uri", "scope",
                                     "state", "code_challenge", "code_challenge_method"])
def test_kick_wants_all_seven(kick, missing):
    answer = kick.authorize(drop=[missing])
    assert (answer.status, answer.headers["location"]) == (302, "/")
    assert fetch("GET", kick.fake.url() + "/").status == 404


def test_kick_plain_challenge_refused(kick):
    assert kick.authorize(code_challenge_method="plain").headers["location"] == "/"


def test_kick_rewrites_the_first_loopback_address(kick):
    uri = "http://127.0.0.1:3000/cb"
    kick.fake.add_app("lo", SECRET, [uri])
    assert kick.authorize(client_id="lo", redirect_uri=uri).headers["location"] == "/"
    query = urlencode({"redirect": "127.0.0.1", "response_type": "code", "client_id": "lo",
                       "redirect_uri": uri, "scope": "user:read", "state": "s",
                       "code_challenge": s256(VERIFIER), "code_challenge_method": "S256"})
    answer = fetch("GET", kick.auth_url + "?" + query)
    assert answer.headers["location"].startswith(uri + "?code=")


def test_unknown_client(flow):
    answer = flow.authorize(client_id="nobody")
    check(answer, refusal(flow, (302,), (400, '"invalid client"'), (401, "invalid_client")))
    assert "code=" not in answer.headers.get("location", "")


@pytest.mark.parametrize("decision,found", [("allow", "code"), ("deny", "error")])
def test_consent_page(flow, decision, found):
    flow.fake.set(authorize="page")
    query = {"response_type": "code", "client_id": "cid", "redirect_uri": REDIRECT,
             "scope": flow.scope, "state": "st", "code_challenge": s256(VERIFIER),
             "code_challenge_method": "S256"}
    location = approve(flow.auth_url + "?" + urlencode(query), decision)
    back = parse_qs(urlsplit(location).query)
    assert location.startswith(REDIRECT + "?") and back["state"] == ["st"] and found in back
    if decision == "deny":
        assert back["error"] == ["access_denied"]
    endpoints = [entry["endpoint"] for entry in flow.fake.asked()]
    assert endpoints == ["authorize", "consent"]


def test_authorize_modes(flow):
    flow.fake.set(authorize="wrong_state")
    assert flow.callback()["state"] != "st"
    flow.fake.set(authorize="error500")
    assert flow.authorize().status == 500
    flow.fake.set(authorize="auto", grant_scopes=[flow.scope.split()[0]])
    scope = flow.login()["scope"]
    assert scope in (flow.scope.split()[0], [flow.scope.split()[0]])


def test_identity_granted(kick):
    kick.fake.set(identity="eve")
    bearer = {"Authorization": "Bearer " + kick.login()["access_token"]}
    answer = fetch("GET", kick.fake.url("api") + "/public/v1/users", headers=bearer)
    assert answer.json()["data"][0]["user_id"] == 8


def test_twitch_silent_consent(twitch):
    twitch.login()
    twitch.fake.set(authorize="page")
    assert twitch.authorize().status == 302
    assert twitch.authorize(force_verify="true").status == 200
    assert twitch.authorize(scope="bits:read").status == 200


def test_google_callback_extras(google):
    google.fake.set(callback_extras=["iss", "authuser", "hd", "prompt"])
    back = google.callback()
    assert back["iss"] == "https://accounts.google.com" and {"authuser", "hd"} <= set(back)
    google.fake.set(callback_extras=[])
    assert set(google.callback()) == {"code", "scope", "state"}


def test_google_desktop_takes_any_loopback():
    flow = make("google", "desktop")
    try:
        for uri in ("http://127.0.0.1:5/x", "http://[::1]:9/", "http://localhost:1/a/b"):
            assert flow.exchange(flow.callback(redirect_uri=uri)["code"],
                                 redirect_uri=uri).status == 200
        for uri in ("https://localhost:1/", "http://example.com:1/", "http://127.0.0.2/"):
            assert flow.authorize(redirect_uri=uri).status == 400
    finally:
        flow.fake.stop()


# -- token endpoint ----------------------------------------------------------------------------


def test_json_body_refused(flow):
    form = {"grant_type": "authorization_code", "client_id": "cid", "client_secret": SECRET,
            "redirect_uri": REDIRECT, "code_verifier": VERIFIER,
            "code": flow.callback()["code"]}
    answer = fetch("POST", flow.token_url, json.dumps(form),
                   {"Content-Type": "application/json"})
    check(answer, refusal(flow, (400, '{"error":"Invalid request"}'),
                          (400, '"missing client id"'), (400, '"invalid_request"')))


def test_fields_in_the_query_refused(flow):
    form = {"grant_type": "authorization_code", "client_id": "cid", "client_secret": SECRET,
            "redirect_uri": REDIRECT, "code_verifier": VERIFIER,
            "code": flow.callback()["code"]}
    assert fetch("POST", flow.token_url + "?" + urlencode(form), {}).status >= 400


def test_kick_basic_refused(kick):
    basic = base64.b64encode(f"cid:{SECRET}".encode()).decode()
    code = kick.callback()["code"]
    answer = fetch("POST", kick.token_url, {
        "grant_type": "authorization_code", "redirect_uri": REDIRECT, "code": code,
        "code_verifier": VERIFIER, "client_id": "cid", "client_secret": SECRET},
        {"Authorization": "Basic " + basic})
    check(answer, (400, "Invalid request"))


def test_code_works_once(flow):
    code = flow.callback()["code"]
    assert flow.exchange(code).status == 200
    check(flow.exchange(code), refusal(
        flow, INVALID_GRANT_401, (400, '"Invalid authorization code"'), INVALID_GRANT_400))


def test_code_expires(flow):
    code = flow.callback()["code"]
    flow.fake.set(now_offset_s=601)
    check(flow.exchange(code), refusal(
        flow, INVALID_GRANT_401, (400, '"Invalid authorization code"'), INVALID_GRANT_400))


def test_code_of_another_client(flow):
    answer = flow.exchange(client_id="other")
    check(answer, refusal(flow, INVALID_GRANT_401, (400, '"Invalid authorization code"'),
                          (401, '"unauthorized_client"')))


def test_exchange_redirect_differs(flow):
    check(flow.exchange(redirect_uri=REDIRECT + "/"), refusal(
        flow, INVALID_GRANT_401, (400, "does not match registered URI"),
        (400, '"redirect_uri_mismatch"')))


def test_wrong_verifier(flow):
    answer = flow.exchange(code_verifier=VERIFIER[:-1] + "l")
    if flow.fake.name == "twitch":
        assert answer.status == 200     # no PKCE there: ignored (A.13)
    else:
        check(answer, refusal(flow, INVALID_GRANT_401, None, INVALID_GRANT_400))


def test_verifier_missing_or_short(kick, google):
    check(kick.exchange(drop=["code_verifier"]), (400, '"invalid_request"'))
    check(kick.exchange(code_verifier="short"), (400, '"invalid_request"'))
    check(google.exchange(drop=["code_verifier"]), (400, "Missing code verifier."))


def test_wrong_secret(flow):
    check(flow.exchange(client_secret=SECRET[:-1] + "6"), refusal(
        flow, (401, '"invalid_client"', "Client authentication failed"),
        (403, '{"status":403,"message":"invalid client secret"}'),
        (401, '"invalid_client"', '"Unauthorized"')))


def test_missing_secret(flow):
    check(flow.exchange(drop=["client_secret"]), refusal(
        flow, (400, '"invalid_request"'), (400, '"missing client secret"'),
        (400, '"client_secret is missing."')))


def test_unknown_client_at_token(flow):
    check(flow.exchange(client_id="nobody"), refusal(
        flow, (401, '"invalid_client"'), (400, '"invalid client"'),
        (401, '"The OAuth client was not found."')))


def test_unknown_grant_type(flow):
    check(flow.exchange(grant_type="password"), refusal(
        flow, (401, '"unsupported_grant_type"'), (400,), (400, '"unsupported_grant_type"')))


def test_hosts_are_separate(flow):
    path = urlsplit(flow.token_url).path
    assert fetch("POST", flow.fake.url("api") + path, {}).status == 404


def test_get_on_token_is_404(flow):
    assert fetch("GET", flow.token_url).status == 404


def test_app_tokens(kick, twitch):
    for flow, life in ((kick, 5184000), (twitch, 5011271)):
        form = {"grant_type": "client_credentials", "client_id": "cid",
                "client_secret": SECRET}
        body = fetch("POST", flow.token_url, form).json()
        assert set(body) == {"access_token", "token_type", "expires_in"}
        assert body["expires_in"] == life


# -- refresh and rotation ----------------------------------------------------------------------

DEAD = {"kick": INVALID_GRANT_401, "twitch": (400, '"Invalid refresh token"'),
        "google": INVALID_GRANT_400}


def test_rotation_never(flow):
    flow.fake.set(rotation="never")
    first = flow.login()["refresh_token"]
    for _ in range(2):
        answer = flow.refresh(first)
        assert answer.status == 200
        assert answer.json().get("refresh_token", first) == first
    if flow.fake.name == "google":
        assert "refresh_token" not in answer.json()


def test_rotation_strict(flow):
    flow.fake.set(rotation="strict")
    first = flow.login()["refresh_token"]
    second = flow.refresh(first).json()["refresh_token"]
    assert second != first
    check(flow.refresh(first), DEAD[flow.fake.name])
    assert flow.refresh(second).status == 200


def test_rotation_relaxed(flow):
    flow.fake.set(rotation="relaxed")
    first = flow.login()["refresh_token"]
    second = flow.refresh(first).json()["refresh_token"]
    assert second != first and flow.refresh(first).status == 200
    assert flow.refresh(second).status == 200


def test_rotation_grace(flow):
    flow.fake.set(rotation="grace", grace_s=30)
    first = flow.login()["refresh_token"]
    flow.refresh(first)
    assert flow.refresh(first).status == 200
    flow.fake.set(now_offset_s=31)
    check(flow.refresh(first), DEAD[flow.fake.name])


def test_rotation_family(flow):
    flow.fake.set(rotation="family")
    first = flow.login()["refresh_token"]
    second = flow.refresh(first).json()["refresh_token"]
    check(flow.refresh(first), DEAD[flow.fake.name])
    check(flow.refresh(second), DEAD[flow.fake.name])


def test_old_access_token(kick):
    body = kick.login()
    bearer = {"Authorization": "Bearer " + body["access_token"]}
    url = kick.fake.url("api") + "/public/v1/users"
    assert fetch("GET", url, headers=bearer).status == 200
    kick.fake.set(old_access="killed")
    kick.refresh(body["refresh_token"])
    assert fetch("GET", url, headers=bearer).status == 401


def test_refresh_token_ages(flow):
    value = flow.login()["refresh_token"]
    flow.fake.set(now_offset_s=11 * 365 * 86400)
    check(flow.refresh(value), DEAD[flow.fake.name])


def test_refresh_of_another_client(flow):
    check(flow.refresh(flow.login()["refresh_token"], client_id="other"), refusal(
        flow, INVALID_GRANT_401, (400, '"Invalid refresh token"'),
        (401, '"unauthorized_client"')))


def test_twitch_refresh_must_be_encoded(twitch):
    twitch.fake.set(token_form="special")
    while not set("%+&") & set(value := twitch.login()["refresh_token"]):
        pass
    raw = ("grant_type=refresh_token&client_id=cid&client_secret=" + SECRET
           + "&refresh_token=" + value)
    answer = fetch("POST", twitch.token_url, raw,
                   {"Content-Type": "application/x-www-form-urlencoded"})
    check(answer, DEAD["twitch"])
    assert twitch.refresh(value).status == 200


def test_token_reply_forms(flow):
    forms = {"int": int, "string": str, "float": float, "null": type(None), "zero": int,
             "negative": int, "huge": int, "junk": str}
    for form, kind in forms.items():
        flow.fake.set(expires_in=form)
        assert type(flow.login()["expires_in"]) is kind, form
    flow.fake.set(expires_in="missing")
    assert "expires_in" not in flow.login()
    for form, kind in {"array": list, "string": str, "null": type(None)}.items():
        flow.fake.set(scope_form=form)
        assert type(flow.login()["scope"]) is kind
    flow.fake.set(scope_form="missing", refresh_form="empty")
    body = flow.login()
    assert "scope" not in body and body["refresh_token"] == ""
    flow.fake.set(refresh_form="missing", token_form="long")
    body = flow.login()
    assert "refresh_token" not in body and len(body["access_token"]) >= 2048


def test_google_special_deaths(google):
    google.fake.set(testing=True)
    body = google.exchange(google.callback()["code"]).json()
    assert body["refresh_token_expires_in"] == 604799
    google.fake.set(now_offset_s=7 * 86400)
    check(google.refresh(body["refresh_token"]), (400, "Token has been expired or revoked."))
    google.fake.set(invalid_rapt=True)
    check(google.refresh("x"), (400, '"error_subtype":"invalid_rapt"'))


def test_google_hundred_tokens(google):
    def token():
        return google.exchange(google.callback()["code"]).json()
    first = token()["refresh_token"]
    for _ in range(99):
        token()
    assert google.refresh(first).status == 200
    token()
    check(google.refresh(first), DEAD["google"])


def test_google_web_gives_one_refresh_token(google):
    def tokens():
        return google.exchange(google.callback(prompt="")["code"]).json()
    assert "refresh_token" in tokens()
    assert "refresh_token" not in tokens()
    google.fake.add_user(9, "new")
    google.fake.set(identity="new")
    online = google.callback(access_type="online", prompt="consent")
    assert "refresh_token" not in google.exchange(online["code"]).json()


def test_twitch_fifty_tokens(twitch):
    body = twitch.login()
    for _ in range(49):
        assert twitch.refresh(body["refresh_token"]).status == 200
    twitch.fake.set(token_limit="refuse")
    assert twitch.refresh(body["refresh_token"]).status == 400
    twitch.fake.set(token_limit="kill_oldest")
    assert twitch.refresh(body["refresh_token"]).status == 200
    url = twitch.fake.url() + "/oauth2/validate"
    oldest = {"Authorization": "OAuth " + body["access_token"]}
    assert fetch("GET", url, headers=oldest).status == 401


def test_twitch_public_client():
    flow = make("twitch", "public")
    try:
        check(flow.exchange(drop=["client_secret"]), (400, "missing client secret"))
        body = flow.fake.issue("cid", scopes=["chat:read"])
        form = {"grant_type": "refresh_token", "client_id": "cid",
                "refresh_token": body["refresh_token"]}
        assert fetch("POST", flow.token_url, form).status == 200
        check(fetch("POST", flow.token_url, form), DEAD["twitch"])
    finally:
        flow.fake.stop()


# -- revoke, validate, look-up -----------------------------------------------------------------


def test_kick_revoke(kick):
    body, url = kick.login(), kick.fake.url() + "/oauth/revoke"
    for token in ("nonsense", "", body["access_token"]):
        answer = fetch("POST", url, {"token": token})
        assert (answer.status, answer.body) == (200, b"OK")
    api = kick.fake.url("api") + "/public/v1/users"
    bearer = {"Authorization": "Bearer " + body["access_token"]}
    assert fetch("GET", api, headers=bearer).json() == {"data": {}, "message": "Unauthorized"}
    fetch("POST", url + "?" + urlencode({"token": body["refresh_token"]}))
    check(kick.refresh(body["refresh_token"]), INVALID_GRANT_401)
    body = kick.login()
    kick.fake.set(revoke_kills="pair")
    fetch("POST", url, {"token": body["access_token"]})
    check(kick.refresh(body["refresh_token"]), INVALID_GRANT_401)


def test_twitch_revoke(twitch):
    body, url = twitch.login(), twitch.fake.url() + "/oauth2/revoke"
    check(fetch("POST", url, {"client_id": "cid", "token": "x"}), (400, '"Invalid token"'))
    check(fetch("POST", url, {"client_id": "x", "token": "x"}),
          (404, '"client does not exist"'))
    check(fetch("POST", url, {"client_id": "cid"}), (400, '"missing oauth token"'))
    twitch.fake.set(revoke_variant="recorded")
    assert fetch("POST", url, {"client_id": "cid", "token": "x"}).status == 200
    check(fetch("POST", url, {"client_id": "x", "token": "x"}),
          (400, '"Invalid client_id: x"'))
    answer = fetch("POST", url, {"client_id": "cid", "token": body["access_token"]})
    assert (answer.status, answer.body) == (200, b"")
    bearer = {"Authorization": "OAuth " + body["access_token"]}
    validate = twitch.fake.url() + "/oauth2/validate"
    check(fetch("GET", validate, headers=bearer), (401, '"invalid access token"'))
    assert twitch.refresh(body["refresh_token"]).status == 200


def test_google_revoke_is_project_wide(google):
    one, two = google.login(), google.fake.issue("other", scopes=[YT])
    url = google.fake.url("oauth2") + "/revoke"
    assert fetch("GET", url + "?token=" + one["access_token"]).status == 404
    answer = fetch("POST", url, {"token": one["access_token"]})
    assert (answer.status, answer.json()) == (200, {})
    check(fetch("POST", url, {"token": one["access_token"]}),
          (400, '"invalid_token"', "Token expired or revoked"))
    check(google.refresh(one["refresh_token"]), DEAD["google"])
    check(google.refresh(two["refresh_token"], client_id="other"), DEAD["google"])


def test_twitch_validate_and_users(twitch):
    body = twitch.login()
    url = twitch.fake.url() + "/oauth2/validate"
    answer = fetch("GET", url, headers={"Authorization": "OAuth " + body["access_token"]})
    found = answer.json()
    assert (found["login"], found["user_id"], found["client_id"]) == ("Bob_x", "7", "cid")
    assert found["scopes"] == ["channel:manage:broadcast", "chat:read"]
    check(fetch("GET", url), (401, '"missing authorization token"'))
    url = twitch.fake.url("api") + "/helix/users"
    bearer = {"Authorization": "Bearer " + body["access_token"]}
    check(fetch("GET", url), (401, "OAuth token is missing"))
    check(fetch("GET", url, headers=bearer), (401, '"error":"Unauthorized"', "Client-Id"))
    check(fetch("GET", url, headers={**bearer, "Client-Id": "other"}),
          (401, "Client ID and OAuth token do not match"))
    answer = fetch("GET", url, headers={**bearer, "Client-Id": "cid"})
    assert answer.json()["data"][0]["login"] == "Bob_x"
    assert int(answer.headers["ratelimit-reset"]) > 1_500_000_000
    both = {**bearer, "Client-Id": "cid"}
    assert fetch("GET", url + "?id=7,8", headers=both).json()["data"] == []
    assert len(fetch("GET", url + "?id=7&id=8", headers=both).json()["data"]) == 2


def test_google_tokeninfo_and_channels(google):
    body = google.login()
    info = fetch("POST", google.fake.url("oauth2") + "/tokeninfo",
                 {"access_token": body["access_token"]}).json()
    assert info["aud"] == "cid" and isinstance(info["expires_in"], str)
    check(fetch("GET", google.fake.url("oauth2") + "/tokeninfo?access_token=x"),
          (400, '"Invalid Value"'))
    url = google.fake.url("api") + "/youtube/v3/channels?part=id,snippet&mine=true"
    bearer = {"Authorization": "Bearer " + body["access_token"]}
    item = fetch("GET", url, headers=bearer).json()["items"][0]
    assert item["id"] == "7" and item["snippet"]["title"] == "Bob_x"
    answer = fetch("GET", url, headers={"Authorization": "Bearer x"})
    check(answer, (401, '"authError"'))
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    upload = google.fake.issue("cid", scopes=[YT + ".upload"])["access_token"]
    check(fetch("GET", url, headers={"Authorization": "Bearer " + upload}),
          (403, '"insufficientPermissions"'))
    google.fake.set(quota_left=0)
    check(fetch("GET", url, headers=bearer), (403, '"quotaExceeded"', '"PERMISSION_DENIED"'))


def test_kick_introspect(kick):
    token = kick.login()["access_token"]
    url = kick.fake.url() + "/oauth/token/introspect"
    data = fetch("POST", url, headers={"Authorization": "Bearer " + token}).json()["data"]
    assert data["active"] and data["token_type"] == "user" and data["client_id"] == "cid"
    bad = {"Authorization": "Bearer x"}
    assert fetch("POST", url, headers=bad).json()["data"] == {"active": False}
    kick.fake.set(introspect_inactive="401")
    assert fetch("POST", url, headers=bad).status == 401


# -- scripts ------------------------------------------------------------------------------------


def raw_exchange(flow, timeout=5):
    """All bytes that come back for a refresh, and how the connection ended."""
    body = urlencode({"grant_type": "client_credentials", "client_id": "cid",
                      "client_secret": SECRET}).encode()
    parts = urlsplit(flow.token_url)
    head = (f"POST {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/"
            f"x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n").encode()
    data = b""
    with socket.create_connection((parts.hostname, parts.port), timeout) as sock:
        sock.sendall(head + body)
        try:
            while piece := sock.recv(65536):
                data += piece
        except socket.timeout:
            return data, "open"
        except ConnectionResetError:
            return data, "reset"
    return data, "end"


@pytest.mark.parametrize("mode,ending,first", [
    ("drop_before", "end", b""), ("drop_after_commit", "end", b""),
    ("reset", "reset", b""), ("reset_after_commit", "reset", b""),
    ("hang", "open", b""), ("half_close", "end", b"HTTP/1.1 200 OK"),
    ("html502", "open", b"HTTP/1.1 502 Bad Gateway"),
    ("empty400", "open", b"HTTP/1.1 400"), ("empty403", "open", b"HTTP/1.1 403"),
    ("cf403", "open", b"HTTP/1.1 403"), ("truncate", "open", b"HTTP/1.1 200")])
def test_wire_modes(kick, mode, ending, first):
    kick.fake.next("token", mode=mode)
    data, ended = raw_exchange(kick, 0.5)
    assert ended == ending and data.startswith(first) and bool(data) == bool(first)
    head, _, body = data.partition(b"\r\n\r\n")
    if mode == "half_close":
        promised = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        assert 0 < len(body) < promised
    if mode == "truncate":
        with pytest.raises(ValueError):
            json.loads(body)
    if mode.startswith("empty"):
        assert body == b"" and b"Content-Length: 0" in head
    if mode == "cf403":
        assert json.loads(body)["error"].startswith("Request blocked") and b"cf-ray" in head
    issued = len(kick.fake.state()["tokens"])
    assert issued == (1 if mode in ("drop_after_commit", "reset_after_commit", "half_close",
                                    "truncate") else 0)
    assert raw_exchange(kick, 0.5)[0].startswith(b"HTTP/1.1 200")     # once only


def test_lost_answer_after_rotation(kick):
    first = kick.login()["refresh_token"]
    kick.fake.next("token", mode="drop_after_commit")
    with pytest.raises(OSError):
        kick.refresh(first)
    check(kick.refresh(first), INVALID_GRANT_401)
    assert [entry["mode"] for entry in kick.fake.asked("token")][1] == "drop_after_commit"


def test_slow_and_drip(kick):
    kick.fake.next("token", mode="slow", delay_s=0.3)
    begun = time.monotonic()
    kick.login()
    assert time.monotonic() - begun >= 0.3
    kick.fake.next("token", mode="drip", interval_s=0.001)
    assert kick.login()["access_token"]


def test_scripted_answers(kick):
    kick.fake.next("token", status=503, headers={"Retry-After": "7"}, count=2)
    for _ in range(2):
        answer = kick.exchange()
        assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    kick.fake.next("token", patch={"expires_in": None, "x": 1}, remove=["scope"])
    body = kick.login()
    assert body["expires_in"] is None and body["x"] == 1 and "scope" not in body
    kick.fake.next("token", body_size=100000)
    assert len(kick.exchange().body) == 100000
    kick.fake.next("token", mode="raw", raw="HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert kick.exchange().json() == {}


def test_control_over_http(kick):
    control = Control(kick.fake.url("api"))
    control.next("token", mode="empty400")
    assert kick.exchange().status == 400
    assert control.asked("token")[0]["form"]["client_secret"] == SECRET
    with pytest.raises(ControlError, match="unknown setting"):
        control.set(rotatoin="strict")
    with pytest.raises(ControlError, match="must be one of"):
        control.set(rotation="sometimes")
    with pytest.raises(ControlError, match="unknown endpoint"):
        control.next("tokens", mode="reset")
    with pytest.raises(ControlError, match="unknown mode"):
        control.next("token", mode="explode")
    control.set(rotation="relaxed")
    control.reset()
    state = control.state()
    assert state["settings"]["rotation"] == "strict" and len(state["apps"]) == 2
    url = kick.fake.url() + "/_control/"
    assert fetch("GET", url + "requests?endpoint=token").json() == {"result": []}
    assert fetch("GET", url + "reset").status == 404
    assert fetch("POST", url + "stop").status == 404


# -- device flows -------------------------------------------------------------------------------

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def test_twitch_device(twitch):
    begun = fetch("POST", twitch.fake.url() + "/oauth2/device",
                  {"client_id": "cid", "scopes": "chat:read"}).json()
    assert begun["user_code"] in begun["verification_uri"] and begun["interval"] == 5
    form = {"client_id": "cid", "scopes": "chat:read", "grant_type": DEVICE,
            "device_code": begun["device_code"]}
    check(fetch("POST", twitch.token_url, form), (400, '"authorization_pending"'))
    page = fetch("POST", begun["verification_uri"].partition("?")[0],
                 {"user_code": begun["user_code"], "decision": "allow"})
    assert page.status == 200
    assert fetch("POST", twitch.token_url, form).json()["scope"] == ["chat:read"]
    check(fetch("POST", twitch.token_url, form), (400, '"invalid device code"'))
    del form["device_code"]
    check(fetch("POST", twitch.token_url, form), (400, '"missing device_code"'))


def test_google_device(google):
    url = google.fake.url("oauth2") + "/device/code"
    check(fetch("POST", url, {"client_id": "cid", "scope": YT}),
          (401, '"Invalid client type."'))
    google.fake.add_app("tv", SECRET, kind="tv")
    check(fetch("POST", url, {"client_id": "tv", "scope": YT + ".force-ssl"}), (400,))
    begun = fetch("POST", url, {"client_id": "tv", "scope": YT}).json()
    assert "verification_url" in begun and begun["user_code"][4] == "-"
    form = {"client_id": "tv", "client_secret": SECRET, "grant_type": DEVICE,
            "device_code": begun["device_code"]}
    check(fetch("POST", google.token_url, form), (428, '"authorization_pending"'))
    check(fetch("POST", google.token_url, form), (403, '"slow_down"'))
    google.fake.device_decide(begun["user_code"], allow=False)
    check(fetch("POST", google.token_url, form), (403, '"access_denied"'))
    begun = fetch("POST", url, {"client_id": "tv", "scope": YT}).json()
    google.fake.device_decide()
    form["device_code"] = begun["device_code"]
    assert fetch("POST", google.token_url, form).json()["refresh_token"]


# -- the program --------------------------------------------------------------------------------


def test_program(tmp_path):
    uri = "http://localhost:3999/oauth/callback/kick"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fake", "--dir", str(tmp_path), "--auto",
         "--redirect", "kick=" + uri], stdout=subprocess.PIPE, cwd=root)
    try:
        ready = json.loads(process.stdout.readline())
        with open(tmp_path / "fakes.json", encoding="utf-8") as file:
            assert json.load(file) == ready
        for name in ("secret.kick", "secret.twitch", "secret.youtube", "kick_private.pem"):
            assert os.stat(tmp_path / name).st_mode & 0o777 == 0o600
        section = ready["config"]["platforms"]["kick"]
        query = urlencode({"response_type": "code", "client_id": "demo-client",
                           "redirect_uri": uri, "scope": "user:read", "state": "s",
                           "code_challenge": s256(VERIFIER), "code_challenge_method": "S256"})
        location = approve(section["authorize_url"] + "?" + query)
        answer = fetch("POST", section["token_url"], {
            "grant_type": "authorization_code", "client_id": "demo-client",
            "client_secret": (tmp_path / "secret.kick").read_text(), "redirect_uri": uri,
            "code_verifier": VERIFIER,
            "code": parse_qs(urlsplit(location).query)["code"][0]})
        bearer = {"Authorization": "Bearer " + answer.json()["access_token"]}
        user = fetch("GET", section["api_url"] + "/users", headers=bearer).json()["data"][0]
        assert user["name"] == ready["platforms"]["kick"]["user"]
        key = fetch("GET", section["api_url"] + "/public-key").json()["data"]["public_key"]
        assert (tmp_path / "kick_public.pem").read_text() == key + "\n"
        assert hashlib.sha256(key.encode()).digest()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
