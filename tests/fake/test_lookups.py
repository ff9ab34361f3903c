"""Revocation, validation, who-is-this, device flows: each by its platform's own rules."""
from urllib.parse import urlencode

from .client import fetch
from .flow import DEAD, INVALID_GRANT_401, SECRET, YT, check

# -- revoke, validate, look-up -----------------------------------------------------


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


# -- device flows ------------------------------------------------------------------

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
