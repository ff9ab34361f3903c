"""Refresh, rotation, and the forms and deaths of tokens, as the scripts ask for them."""
from urllib.parse import parse_qs

from .client import fetch
from .flow import DEAD, INVALID_GRANT_401, SECRET, check, make, refusal

# -- refresh and rotation ----------------------------------------------------------

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
    while True:   # until the token means another one when it is sent as it is
        value = twitch.login()["refresh_token"]
        if parse_qs("sent=" + value).get("sent", [value]) != [value]:
            break
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
