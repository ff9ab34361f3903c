"""The published OAuth contract, for each platform, on the real programs: every status, text
and field of design.md 3.1 with the rulings of section 9."""
import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fake.client import approve
from tests.lib.platforms import (CLIENT_ID, CLIENT_SECRET, NAMES, OTHER, USER, USERS, follow, login,
                                 put_credentials)

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
BAD_PLATFORM = {"error": "Invalid platform. Must be one of: twitch, kick, youtube"}
NEED_BOTH = {"error": "client_id and client_secret are required"}
BAD_STATE = {"error": "Invalid state parameter"}
DEFAULT_SCOPES = {
    "twitch": "channel:manage:broadcast channel:read:subscriptions chat:read chat:edit bits:read",
    "kick": "user:read channel:read channel:write events:subscribe chat:write kicks:read",
    "youtube": "https://www.googleapis.com/auth/youtube "
               "https://www.googleapis.com/auth/youtube.upload "
               "https://www.googleapis.com/auth/youtube.force-ssl",
}


@pytest.fixture(params=NAMES)
def platform(request):
    return request.param


@pytest.fixture
def daemon(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    return daemon


def no_token(platform, username=USER):
    return {"error": f"No OAuth token found for platform {platform} and username {username}"}


# -- credentials ----------------------------------------------------------------------------


def test_credentials_are_stored_and_updated(daemon, platform):
    first = put_credentials(daemon, platform).json()
    assert set(first) == {"platform", "created_at", "updated_at"}
    assert first["platform"] == platform
    assert TIME.match(first["created_at"]) and first["created_at"] == first["updated_at"]
    time.sleep(0.01)
    second = put_credentials(daemon, platform, scopes=["a:b"]).json()
    assert second["created_at"] == first["created_at"]
    assert second["updated_at"] > first["updated_at"]


def test_client_secret_never_comes_back(daemon, platform):
    put_credentials(daemon, platform)
    for path in ("/oauth/credentials", f"/oauth/credentials/{platform}", "/status"):
        answer = daemon.get(path)
        assert answer.status == 200
        assert CLIENT_SECRET not in answer.text
    assert CLIENT_ID in daemon.get("/oauth/credentials").text


@pytest.mark.parametrize("body", [
    {}, {"client_id": "a"}, {"client_secret": "a"}, {"client_id": "", "client_secret": "b"},
    {"client_id": "a", "client_secret": ""}, {"client_id": 1, "client_secret": "b"},
    {"client_id": "a", "client_secret": None}, {"client_id": ["a"], "client_secret": "b"},
])
def test_credentials_need_both(daemon, body):
    answer = daemon.post("/oauth/credentials/kick", body)
    assert (answer.status, answer.json()) == (400, NEED_BOTH)
    assert daemon.get("/oauth/start/kick/x").status == 404


@pytest.mark.parametrize("body, named", [
    ("{", "JSON"), ("", "JSON"), ("[1]", "object"),
    ('{"client_id":"a","client_id":"b","client_secret":"c"}', "client_id"),
    ('{"client_id":"a","client_secret":"c","scopes":"x"}', "scopes"),
    ('{"client_id":"a","client_secret":"c","scopes":[1]}', "scopes"),
    ('{"client_id":"a","client_secret":"c","scopes":["a b"]}', "scopes"),
])
def test_bad_credentials_bodies_are_named(daemon, body, named):
    answer = daemon.post("/oauth/credentials/kick", body,
                         headers={"Content-Type": "application/json"})
    assert answer.status == 400
    assert named in answer.json()["error"]


def test_unknown_keys_and_empty_scopes_are_fine(daemon, platform):
    put_credentials(daemon, platform, scopes=[], colour="red")
    url = daemon.get(f"/oauth/start/{platform}/x").json()["auth_url"]
    assert parse_qs(urlsplit(url).query)["scope"] == [DEFAULT_SCOPES[platform]]


def test_write_without_json_type_is_415(daemon):
    answer = daemon.post("/oauth/credentials/kick", '{"client_id":"a","client_secret":"b"}',
                         headers={"Content-Type": "text/plain"})
    assert answer.status == 415


@pytest.mark.parametrize("method, path", [
    ("POST", "/oauth/credentials/{}"), ("GET", "/oauth/start/{}/someone"),
    ("GET", "/oauth/callback/{}/state"), ("GET", "/oauth/callback/{}?state=s&code=c"),
    ("GET", "/oauth/status/{}/someone"), ("DELETE", "/oauth/{}/someone"),
])
@pytest.mark.parametrize("name", ["facebook", "Kick", "kick%20", "twitchx"])
def test_unknown_platforms(daemon, method, path, name):
    body = {"client_id": "a", "client_secret": "b"} if method == "POST" else None
    answer = daemon.call(method, path.format(name), body)
    assert (answer.status, answer.json()) == (400, BAD_PLATFORM)


# -- start ----------------------------------------------------------------------------------


def test_start_without_credentials(daemon, platform):
    answer = daemon.get(f"/oauth/start/{platform}/{USER}")
    assert answer.status == 404
    assert answer.json() == {
        "error": f"No OAuth credentials configured for platform: {platform}"}


def test_start_gives_the_exact_authorize_address(daemon, fakes, platform):
    put_credentials(daemon, platform)
    answer = daemon.get(f"/oauth/start/{platform}/{USER}")
    assert answer.status == 200
    body = answer.json()
    assert set(body) == {"auth_url", "state"}
    parts = urlsplit(body["auth_url"])
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == \
        daemon.config["platforms"][platform]["authorize_url"]
    assert len(body["state"]) == 43 and query["state"] == body["state"]
    redirect = f"http://localhost:{daemon.api_port}/oauth/callback/{platform}"
    assert query["redirect_uri"] == redirect
    assert f"redirect_uri=http%3A%2F%2Flocalhost%3A{daemon.api_port}%2Foauth%2Fcallback%2F" \
           f"{platform}" in body["auth_url"]
    assert query["client_id"] == CLIENT_ID and query["response_type"] == "code"
    assert query["scope"] == DEFAULT_SCOPES[platform]
    extra = {"twitch": {"force_verify": "true"}, "kick": {},
             "youtube": {"access_type": "offline", "prompt": "consent"}}[platform]
    assert {name: query.get(name) for name in extra} == extra
    pkce = {"code_challenge", "code_challenge_method"} & set(query)
    assert pkce == (set() if platform == "twitch"
                    else {"code_challenge", "code_challenge_method"})
    if pkce:
        assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43
    assert CLIENT_SECRET not in body["auth_url"]


def test_states_differ(daemon):
    put_credentials(daemon, "kick")
    states = {daemon.get("/oauth/start/kick/x").json()["state"] for _ in range(20)}
    assert len(states) == 20


@pytest.mark.parametrize("username, status", [
    ("a" * 100, 200), ("a" * 101, 400), ("%C3%A9t%C3%A9", 200), ("a%2Fb", 400), ("a%00b", 400),
    ("a%0Ab", 400), ("%FF", 400), ("a+b", 200), ("%41", 200),
])
def test_usernames(daemon, username, status):
    put_credentials(daemon, "kick")
    assert daemon.get(f"/oauth/start/kick/{username}").status == status


# -- callback -------------------------------------------------------------------------------


def check_ok_page(answer):
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<title>OAuth Callback Received</title>" in answer.text
    assert re.search(r"<h1>\s*Ok\s*</h1>", answer.text)
    assert "stored securely" in answer.text
    assert "close this window" in answer.text
    assert "setTimeout(() => { window.close(); }, 2000);" in answer.text


def test_login_stores_a_token(daemon, platform):
    put_credentials(daemon, platform)
    check_ok_page(login(daemon, platform))
    answer = daemon.get(f"/oauth/status/{platform}/{USER}")
    assert answer.status == 200
    body = answer.json()
    assert list(body) == ["username", "platform", "status", "expires_at", "refresh_at", "scope"]
    assert body["username"] == USER and body["platform"] == platform
    assert body["status"] == "valid"
    assert TIME.match(body["expires_at"]) and TIME.match(body["refresh_at"])
    assert sorted(body["scope"]) == sorted(DEFAULT_SCOPES[platform].split())


def test_refresh_at_is_five_minutes_before_expiry(daemon, platform):
    from datetime import datetime, timedelta
    put_credentials(daemon, platform)
    login(daemon, platform)
    body = daemon.get(f"/oauth/status/{platform}/{USER}").json()
    expires, refresh = (datetime.fromisoformat(body[name].replace("Z", "+00:00"))
                        for name in ("expires_at", "refresh_at"))
    assert expires - refresh == timedelta(minutes=5)


def test_state_is_single_use(daemon, fakes, platform):
    put_credentials(daemon, platform)
    started = daemon.get(f"/oauth/start/{platform}/{USER}").json()
    location = approve(started["auth_url"])
    assert follow(daemon, location).status == 200
    asked = len(fakes[platform].asked("token"))
    again = follow(daemon, location)
    assert (again.status, again.json()) == (400, BAD_STATE)
    assert len(fakes[platform].asked("token")) == asked


def test_both_callback_forms(daemon, platform):
    put_credentials(daemon, platform)
    started = daemon.get(f"/oauth/start/{platform}/{USER}").json()
    code = parse_qs(urlsplit(approve(started["auth_url"])).query)["code"][0]
    from urllib.parse import quote
    state = started["state"]
    wrong = daemon.get(f"/oauth/callback/{platform}/{state}?state={'x' * 43}&code={quote(code)}")
    assert (wrong.status, wrong.json()) == (400, BAD_STATE)
    check_ok_page(daemon.get(
        f"/oauth/callback/{platform}/{state}?state={state}&code={quote(code, safe='')}"))


def test_a_code_of_the_greatest_length_passes_however_it_is_escaped(daemon, fakes, platform):
    """4096 bytes, each of which takes three in the address."""
    put_credentials(daemon, platform)
    code = "/+=&" * 1024
    for escaped in ("".join(f"%{ord(one):02X}" for one in code), "c" * 4096):
        state = daemon.get(f"/oauth/start/{platform}/{USER}").json()["state"]
        answer = daemon.get(f"/oauth/callback/{platform}?code={escaped}&state={state}")
        assert answer.status == 502
        sent = parse_qs(fakes[platform].asked("token")[-1]["body"])["code"]
        assert sent == [code if escaped[0] == "%" else escaped]


@pytest.mark.parametrize("query", ["", "?code=c", "?state=&code=c", "?state=nonsense&code=c"])
def test_absent_or_unknown_state(daemon, platform, query):
    answer = daemon.get(f"/oauth/callback/{platform}{query}")
    assert (answer.status, answer.json()) == (400, BAD_STATE)


def test_state_of_another_platform_is_not_consumed(daemon, platform):
    put_credentials(daemon, platform)
    started = daemon.get(f"/oauth/start/{platform}/{USER}").json()
    location = approve(started["auth_url"])
    for name in set(NAMES) - {platform}:
        other = daemon.get(f"/oauth/callback/{name}?state={started['state']}&code=c")
        assert (other.status, other.json()) == (400, BAD_STATE)
    check_ok_page(follow(daemon, location))


def test_provider_error_is_shown_escaped_and_consumes(daemon, platform):
    put_credentials(daemon, platform)
    state = daemon.get(f"/oauth/start/{platform}/{USER}").json()["state"]
    path = (f"/oauth/callback/{platform}?error=access_denied&state={state}"
            "&error_description=%3Cscript%3Ealert(1)%3C%2Fscript%3E+said+%22no%22")
    answer = daemon.get(path)
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "access_denied" in answer.text
    assert "<script>alert(1)" not in answer.text and "&lt;script&gt;" in answer.text
    again = daemon.get(path)
    assert (again.status, again.json()) == (400, BAD_STATE)


def test_neither_code_nor_error_does_not_consume(daemon, platform):
    put_credentials(daemon, platform)
    started = daemon.get(f"/oauth/start/{platform}/{USER}").json()
    answer = daemon.get(f"/oauth/callback/{platform}?state={started['state']}")
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("text/html")
    check_ok_page(follow(daemon, approve(started["auth_url"])))


def test_head_and_prefetch_do_not_consume(daemon, platform):
    put_credentials(daemon, platform)
    started = daemon.get(f"/oauth/start/{platform}/{USER}").json()
    location = approve(started["auth_url"])
    path = "/" + location.split("/", 3)[3]
    head = daemon.call("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    prefetch = daemon.get(path, headers={"Sec-Purpose": "prefetch"})
    assert prefetch.status == 503
    check_ok_page(follow(daemon, location))


def test_doubled_parameters_are_refused(daemon):
    put_credentials(daemon, "kick")
    started = daemon.get(f"/oauth/start/kick/{USER}").json()
    location = approve(started["auth_url"])
    for extra in ("&code=other", "&state=" + started["state"]):
        assert follow(daemon, location + extra).status == 400
    check_ok_page(follow(daemon, location))


def test_wrong_issuer_is_refused(daemon):
    put_credentials(daemon, "youtube")
    started = daemon.get(f"/oauth/start/youtube/{USER}").json()
    location = re.sub(r"[?&]iss=[^&]*", "", approve(started["auth_url"]))
    answer = follow(daemon, location + "&iss=https%3A%2F%2Fevil.example")
    assert answer.status == 400
    assert daemon.get(f"/oauth/status/youtube/{USER}").status == 404


@pytest.mark.parametrize("mode", ["html502", "empty400", "drop_before", "truncate", "reset"])
def test_failed_exchange_is_502(daemon, fakes, platform, mode):
    put_credentials(daemon, platform)
    fakes[platform].next("token", mode=mode)
    answer = login(daemon, platform)
    assert answer.status == 502
    assert answer.headers["Content-Type"].startswith("text/html")
    assert daemon.get(f"/oauth/status/{platform}/{USER}").status == 404
    check_ok_page(login(daemon, platform))


def test_unreachable_platform_is_502(daemon, fakes, platform):
    put_credentials(daemon, platform)
    started = daemon.get(f"/oauth/start/{platform}/{USER}").json()
    location = approve(started["auth_url"])
    fakes.stop(platform)
    assert follow(daemon, location).status == 502


def test_wrong_secret_is_502_and_says_so(daemon, fakes, platform):
    put_credentials(daemon, platform, client_secret="wrong")
    answer = login(daemon, platform)
    assert answer.status == 502
    assert "wrong" not in re.sub(r"<style.*?</style>", "", answer.text).split("client")[0]


def assert_revoked(fake, platform):
    """In the right order, and to the effect that the platform allows: Twitch's refresh token
    cannot be revoked (facts A.9)."""
    sent = [(one["form"].get("token_hint_type"), one["form"]["token"])
            for one in fake.asked("revoke")]
    tokens = {one["use"]: one for one in fake.state()["tokens"] if one["user"]}
    assert sent == {
        "kick": [("refresh_token", tokens["refresh"]["value"]),
                 ("access_token", tokens["access"]["value"])],
        "twitch": [(None, tokens["access"]["value"])],
        "youtube": [(None, tokens["refresh"]["value"])]}[platform]
    assert not tokens["access"]["live"]
    assert platform == "twitch" or not tokens["refresh"]["live"]


def test_another_account_is_refused_and_revoked(daemon, fakes, platform):
    put_credentials(daemon, platform)
    wanted = "someone_else_entirely"
    answer = login(daemon, platform, wanted)
    assert answer.status == 409
    assert wanted in answer.text
    assert daemon.get(f"/oauth/status/{platform}/{wanted}").status == 404
    assert daemon.get(f"/oauth/status/{platform}/{USER}").status == 404
    assert_revoked(fakes[platform], platform)
    daemon.stop()
    assert daemon.sql("SELECT count(*) FROM secrets WHERE name LIKE 'token/%'") == [(0,)]


def test_another_account_is_kept_when_adopted(daemon, fakes, platform):
    put_credentials(daemon, platform)
    check_ok_page(login(daemon, platform, "someone_else_entirely", "?adopt=true"))
    assert daemon.get(f"/oauth/status/{platform}/someone_else_entirely").status == 404
    names = [one["username"].lower() for one in daemon.get("/oauth/accounts").json()["accounts"]]
    assert names == [USER]
    assert fakes[platform].asked("revoke") == []
    assert {one["live"] for one in fakes[platform].state()["tokens"]} == {True}


def rename(fake, platform):
    fake.add_user(id=USERS[platform]["id"], login="renamed_since")


def test_a_renamed_account_logs_in_under_the_name_it_is_stored_by(daemon, fakes, platform):
    """It is known by its id: lost logins are asked for under that name. Also with adopt=true,
    which would make a second account of it."""
    put_credentials(daemon, platform)
    check_ok_page(login(daemon, platform))
    rename(fakes[platform], platform)
    for query in ("", "?adopt=true"):
        check_ok_page(login(daemon, platform, query=query))
        [account] = daemon.get("/oauth/accounts").json()["accounts"]
        assert (account["username"], account["identity"]) == (USER, "verified")
        assert "renamed_since" in (account["display_name"], account.get("login"))
    assert fakes[platform].asked("revoke") == []
    # Nobody else gets in by that, and a name that nothing is stored for is nobody's.
    fakes[platform].set(identity=OTHER[platform]["login"])
    assert login(daemon, platform).status == 409
    assert daemon.delete(f"/oauth/{platform}/{USER}").status == 200
    fakes[platform].set(identity=None)
    assert login(daemon, platform).status == 409


def test_lookup_impossible_keeps_the_token_unverified(daemon, fakes, platform):
    put_credentials(daemon, platform)
    endpoints = {"kick": ["users", "channels"], "twitch": ["users", "validate"],
                 "youtube": ["channels"]}[platform]
    for endpoint in endpoints:
        fakes[platform].next(endpoint, mode="html502", count=5)
    check_ok_page(login(daemon, platform))
    assert daemon.get(f"/oauth/status/{platform}/{USER}").status == 200
    accounts = daemon.get("/oauth/accounts").json()["accounts"]
    assert [one["identity"] for one in accounts] == ["unverified"]


# -- status and delete ------------------------------------------------------------------------


def test_status_without_token(daemon, platform):
    answer = daemon.get(f"/oauth/status/{platform}/{USER}")
    assert (answer.status, answer.json()) == (404, no_token(platform))


def test_names_are_compared_without_case(daemon, platform):
    put_credentials(daemon, platform)
    login(daemon, platform)
    assert daemon.get(f"/oauth/status/{platform}/{USER.upper()}").json()["username"] == USER


def age_tokens(daemon, change):
    """Changes the stored rows while the daemon is stopped."""
    daemon.stop()
    daemon.sql(change)
    daemon.start()


def test_expired_but_refreshable(daemon, fakes, platform):
    put_credentials(daemon, platform)
    login(daemon, platform)
    # It would be refreshed at the start, sooner or later than it is asked for here.
    fakes[platform].next("token", mode="html502", count=-1)
    age_tokens(daemon, "UPDATE accounts SET expires_at = 1768042800000, refreshable = 1")
    body = daemon.get(f"/oauth/status/{platform}/{USER}").json()
    assert body["status"] == "expired" and body["refreshable"] is True
    assert body["expires_at"] == "2026-01-10T11:00:00.000Z"
    assert body["refresh_at"] == "2026-01-10T10:55:00.000Z"
    age_tokens(daemon, "UPDATE accounts SET expires_at = 1768042800000, refreshable = 0")
    body = daemon.get(f"/oauth/status/{platform}/{USER}").json()
    assert (body["status"], body["refreshable"]) == ("expired", False)


def test_lost_login_says_why(daemon, platform):
    put_credentials(daemon, platform)
    login(daemon, platform)
    age_tokens(daemon, "UPDATE accounts SET status = 'reauth_required', "
                       "reason = 'invalid_grant', since = 1768042800000")
    answer = daemon.get(f"/oauth/status/{platform}/{USER}")
    assert answer.status == 404
    assert answer.json() == {**no_token(platform), "status": "reauth_required",
                             "reason": "invalid_grant", "since": "2026-01-10T11:00:00.000Z"}
    deleted = daemon.delete(f"/oauth/{platform}/{USER}")
    assert deleted.status == 200
    assert daemon.get(f"/oauth/status/{platform}/{USER}").json() == no_token(platform)


def test_delete_revokes_and_erases(daemon, fakes, platform):
    put_credentials(daemon, platform)
    login(daemon, platform)
    answer = daemon.delete(f"/oauth/{platform}/{USER}")
    assert answer.status == 200
    assert answer.json() == {"message": "OAuth token deleted successfully",
                             "platform": platform, "username": USER, "revocation": "ok"}
    assert_revoked(fakes[platform], platform)
    again = daemon.delete(f"/oauth/{platform}/{USER}")
    assert (again.status, again.json()) == (404, no_token(platform))
    daemon.stop()
    assert daemon.sql("SELECT count(*) FROM secrets WHERE name LIKE 'token/%'") == [(0,)]


def test_delete_erases_when_the_platform_is_away(daemon, fakes, platform):
    put_credentials(daemon, platform)
    login(daemon, platform)
    fakes.stop(platform)
    started = time.monotonic()
    answer = daemon.delete(f"/oauth/{platform}/{USER}")
    assert (answer.status, answer.json()["revocation"]) == (200, "unreachable")
    assert time.monotonic() - started < 6
    assert daemon.get(f"/oauth/status/{platform}/{USER}").status == 404


def test_login_survives_a_restart(daemon, platform):
    put_credentials(daemon, platform)
    login(daemon, platform)
    before = daemon.get(f"/oauth/status/{platform}/{USER}").json()
    daemon.stop()
    daemon.start()
    assert daemon.get(f"/oauth/status/{platform}/{USER}").json() == before


def test_database_holds_no_secret_in_clear(daemon, fakes, platform):
    put_credentials(daemon, platform)
    login(daemon, platform)
    exchanged = fakes[platform].asked("token")[-1]
    secrets = [CLIENT_SECRET.encode()]
    verifier = re.search(r"code_verifier=([^&]+)", str(exchanged))
    if verifier:
        secrets.append(verifier.group(1).encode())
    daemon.stop()
    stored = b"".join(path.read_bytes() for path in (daemon.folder / "state").iterdir())
    for secret in secrets:
        assert secret not in stored
        assert secret not in daemon.text_log().encode()


def test_all_errors_have_a_code(daemon):
    for path in ("/oauth/status/kick/x", "/oauth/start/kick/x", "/oauth/status/nope/x",
                 "/nowhere"):
        answer = daemon.get(path)
        assert answer.status >= 400 and answer.headers["Streamhold-Error"]
        assert set(answer.json()) == {"error"}


def test_two_users_of_one_platform(daemon, fakes):
    put_credentials(daemon, "twitch")
    login(daemon, "twitch")
    fakes["twitch"].set(identity=OTHER["twitch"]["login"])
    check_ok_page(login(daemon, "twitch", OTHER["twitch"]["login"]))
    assert len(daemon.get("/oauth/accounts").json()["accounts"]) == 2
