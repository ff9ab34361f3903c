"""The fakes are as strict as the real platforms: at the authorize step, at the token
endpoint, and about refresh tokens. A client that is wrong must not pass against them."""
import base64
import hmac
import json
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from . import vectors
from .client import approve, fetch
from .flow import (INVALID_GRANT_400, INVALID_GRANT_401, REDIRECT, SECRET, VERIFIER,
                   check, make, refusal)
from .store import s256

# -- vectors -----------------------------------------------------------------------


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


# -- authorize ---------------------------------------------------------------------


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


# -- token endpoint ----------------------------------------------------------------


def test_json_body_refused(flow):
    form = {"grant_type": "authorization_code", "client_id": "cid", "client_secret": SECRET,
            "redirect_uri": REDIRECT, "code_verifier": VERIFIER,
            "code": flow.callback()["code"]}
    answer = fetch("POST", flow.token_url, json.dumps(form),
                   {"Content-Type": "application/json"})
    check(answer, refusal(flow, (400, '{"error":"Invalid request"}'),
                          (400, '"missing client id"'), (400, '"invalid_request"')))


def test_form_under_another_type_refused(flow):
    form = urlencode({"grant_type": "authorization_code", "client_id": "cid",
                      "client_secret": SECRET, "redirect_uri": REDIRECT,
                      "code_verifier": VERIFIER, "code": flow.callback()["code"]})
    for kind in ("text/plain", "multipart/form-data", "application/json"):
        answer = fetch("POST", flow.token_url, form, {"Content-Type": kind})
        assert answer.status == 400, kind


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
