"""Refreshing tokens on the real programs against the fake platforms: ahead of expiry and when
asked, shared by all who ask, what each refusal does, and what a lost reply leaves behind."""
import concurrent.futures
import datetime
import json
import re
import time

import pytest

from tests.lib.platforms import CLIENT_ID, CLIENT_SECRET, NAMES, USER, login, put_credentials

# A result younger than this is shared (REFRESH_SHARED_MS).
SHARED_S = 2.1
TERMINAL = {"kick": (401, {"error": "invalid_grant"}),
            "twitch": (400, {"status": 400, "message": "Invalid refresh token"}),
            "youtube": (400, {"error": "invalid_grant",
                              "error_description": "Token has been expired or revoked."})}


@pytest.fixture(params=NAMES)
def platform(request):
    return request.param


@pytest.fixture
def daemon(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    return daemon


def start(daemon, platform, **settings):
    put_credentials(daemon, platform)
    answer = login(daemon, platform)
    assert answer.status == 200, answer.text


def refresh(daemon, platform, **options):
    return daemon.post(f"/oauth/refresh/{platform}/{USER}", **options)


def status(daemon, platform):
    return daemon.get(f"/oauth/status/{platform}/{USER}")


def refreshes(fake):
    return [one for one in fake.asked("token")
            if one["form"].get("grant_type") == "refresh_token"]


def until(condition, timeout=15):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def events(daemon, kind):
    return [one for one in daemon.events() if one["type"] == kind]


# -- when it goes well ------------------------------------------------------------------------


def test_refresh_when_asked(daemon, fakes, platform):
    start(daemon, platform)
    before = status(daemon, platform).json()
    time.sleep(0.01)
    answer = refresh(daemon, platform)
    assert answer.status == 200, answer.text
    body = answer.json()
    assert set(body) == {"username", "platform", "status", "expires_at", "refresh_at", "scope"}
    assert body["status"] == "valid"
    assert body["expires_at"] > before["expires_at"]
    assert body["scope"] == before["scope"] or set(body["scope"]) == set(before["scope"])
    [sent] = refreshes(fakes[platform])
    assert sent["form"]["client_id"] == CLIENT_ID
    assert sent["form"]["client_secret"] == CLIENT_SECRET
    assert "scope" not in sent["form"]
    assert status(daemon, platform).json()["expires_at"] == body["expires_at"]


def test_command_refreshes_by_either_spelling(daemon, fakes):
    start(daemon, "kick")
    for words in (["kick/streamer123"], ["kick", "STREAMER123"]):
        result = daemon.cli("refresh", "--json", *words)
        assert result.returncode == 0, result.stderr
        [account] = json.loads(result.stdout)["accounts"]
        assert account["username"] == USER and account["status"] == "valid"
        time.sleep(SHARED_S)
    assert len(refreshes(fakes["kick"])) == 2
    assert daemon.cli("refresh", "kick/nobody").returncode == 5
    assert daemon.cli("refresh", "nowhere/nobody").returncode == 2


def test_refresh_of_nothing(daemon, platform):
    answer = refresh(daemon, platform)
    assert answer.status == 404
    assert answer.json() == {
        "error": f"No OAuth token found for platform {platform} and username {USER}"}
    assert daemon.post("/oauth/refresh/nowhere/x").status == 400
    assert daemon.get(f"/oauth/refresh/{platform}/{USER}").status == 405


def test_new_refresh_token_is_used_next_time(daemon, fakes):
    fake = fakes["kick"]
    start(daemon, "kick")
    for _ in range(3):
        assert refresh(daemon, "kick").status == 200
        time.sleep(SHARED_S)
    used = [one["form"]["refresh_token"] for one in refreshes(fake)]
    assert len(used) == len(set(used)) == 3


@pytest.mark.parametrize("form", ["missing", "null", "empty"])
def test_absent_refresh_token_keeps_the_old_one(daemon, fakes, platform, form):
    start(daemon, platform)
    fakes[platform].set(refresh_form=form, rotation="never")
    assert refresh(daemon, platform).status == 200
    time.sleep(SHARED_S)
    fakes[platform].set(refresh_form="normal")
    assert refresh(daemon, platform).status == 200
    one, two = refreshes(fakes[platform])
    assert one["form"]["refresh_token"] == two["form"]["refresh_token"]


def test_ahead_of_expiry_without_being_asked(daemon, fakes, platform):
    fakes[platform].set(access_life_s=6)
    start(daemon, platform)
    [granted] = fakes[platform].asked("token")
    fakes[platform].set(access_life_s=7200)
    [sent] = until(lambda: refreshes(fakes[platform]))
    assert 3.5 < sent["time"] - granted["time"] < 6, "at 80 % of a short life"
    until(lambda: "Z" in status(daemon, platform).json()["expires_at"]
          and status(daemon, platform).json()["status"] == "valid")
    time.sleep(2)
    assert len(refreshes(fakes[platform])) == 1


def test_what_expired_while_nothing_ran_is_refreshed_at_start(daemon, fakes):
    fakes["kick"].set(access_life_s=3)
    start(daemon, "kick")
    daemon.stop()
    time.sleep(3)
    fakes["kick"].set(access_life_s=7200)
    daemon.start()
    until(lambda: status(daemon, "kick").json()["status"] == "valid")
    assert len(refreshes(fakes["kick"])) == 1


# -- replies as they come (E.4) ---------------------------------------------------------------


@pytest.mark.parametrize("form, life", [
    ("int", 5000), ("string", 5000), ("float", 5000), ("missing", None), ("null", None),
    ("zero", None), ("negative", None), ("huge", None), ("junk", None)])
def test_every_form_of_expires_in(daemon, fakes, platform, form, life):
    """A life that was not told is asked for."""
    start(daemon, platform)
    fakes[platform].set(access_life_s=5000, expires_in=form)
    before = time.time()
    answer = refresh(daemon, platform)
    assert answer.status == 200, answer.text
    expires = time.strptime(answer.json()["expires_at"][:19], "%Y-%m-%dT%H:%M:%S")
    import calendar
    told = calendar.timegm(expires) - before
    expected = life or 5000
    assert abs(told - expected) < 30
    time.sleep(1)
    assert len(refreshes(fakes[platform])) == 1


@pytest.mark.parametrize("form", ["array", "string", "missing", "null"])
def test_every_form_of_scope(daemon, fakes, platform, form):
    start(daemon, platform)
    scopes = set(status(daemon, platform).json()["scope"])
    fakes[platform].set(scope_form=form)
    assert set(refresh(daemon, platform).json()["scope"]) == scopes


def test_scopes_that_are_not_told_are_those_that_are_held(daemon, fakes):
    """Not those that were asked for: what went before does not come back by silence."""
    start(daemon, "kick")
    fakes["kick"].next("token", patch={"scope": "user:read"})
    assert refresh(daemon, "kick").json()["scope"] == ["user:read"]
    fakes["kick"].set(scope_form="missing")
    time.sleep(SHARED_S)
    answer = refresh(daemon, "kick").json()
    assert len(refreshes(fakes["kick"])) == 2
    assert answer["scope"] == ["user:read"]
    assert "chat:write" in answer["missing_scope"]


@pytest.mark.parametrize("asked, life", [("introspect", 7200), ("validate", 3600),
                                         ("tokeninfo", 3600)])
def test_a_life_that_nobody_tells_is_assumed(daemon, fakes, asked, life):
    platform = {"introspect": "kick", "validate": "twitch", "tokeninfo": "youtube"}[asked]
    start(daemon, platform)
    fakes[platform].set(access_life_s=5000, expires_in="missing")
    fakes[platform].next(asked, mode="answer", status=500, body="", count=-1)
    answer = refresh(daemon, platform)
    assert answer.status == 200, answer.text
    expires = datetime.datetime.fromisoformat(answer.json()["expires_at"])
    assert abs(expires.timestamp() - time.time() - life) < 30
    daemon.wait_log(f"{life} s are assumed")
    assert len(fakes[platform].asked(asked)) >= 1


def test_scopes_that_went_are_named(daemon, fakes):
    start(daemon, "kick")
    fakes["kick"].next("token", patch={"scope": "user:read"})
    answer = refresh(daemon, "kick").json()
    assert answer["scope"] == ["user:read"]
    assert "chat:write" in answer["missing_scope"]
    daemon.wait_log("has lost scopes")


@pytest.mark.parametrize("patch", [
    {"access_token": ""}, {"access_token": None}, {"access_token": "a\r\nX: y"},
    {"access_token": "x" * 16385}, {"access_token": 5}, {"token_type": "mac"},
    {"token_type": "DPoP"}, {"refresh_token": "a b"}, {"refresh_token": 7}])
def test_unusable_replies_change_nothing(daemon, fakes, patch):
    start(daemon, "twitch")
    before = status(daemon, "twitch").json()
    fakes["twitch"].next("token", patch=patch)
    answer = refresh(daemon, "twitch")
    assert answer.status == 502
    assert answer.headers["Streamhold-Error"] == "refresh_failed"
    after = status(daemon, "twitch").json()
    assert after.pop("trouble")
    assert after == before


# -- refusals (E.3) ---------------------------------------------------------------------------


def test_terminal_refusal_ends_the_login(daemon, fakes, platform):
    fake = fakes[platform]
    start(daemon, platform)
    code, body = TERMINAL[platform]
    fake.next("token", status=code, body=body, count=-1)
    answer = refresh(daemon, platform)
    assert answer.status == 404
    lost = answer.json()
    assert lost["status"] == "reauth_required"
    assert lost["reason"] and lost["since"]
    assert len(refreshes(fake)) == 2, "asked once more, and no more"
    one, two = refreshes(fake)
    assert two["time"] - one["time"] > 2.5
    # Visible wherever a person looks.
    assert status(daemon, platform).json() == lost
    whole = daemon.get("/status").json()
    assert whole["status"] == "degraded"
    assert whole["components"]["logins"]["status"] == "degraded"
    detail = whole["components"]["logins"]["detail"]
    assert f"streamhold login {platform} {USER}" in detail and lost["reason"][:40] in detail
    assert daemon.get("/readyz").status == 200
    checked = daemon.cli("status", "--check")
    assert checked.returncode == 4 and checked.stdout.startswith("needs-login")
    assert f"streamhold login {platform} {USER}" in checked.stdout
    since = datetime.datetime.fromisoformat(lost["since"].replace("Z", "+00:00")).timestamp()
    [line] = [one for one in daemon.get("/metrics").text.splitlines()
              if one.startswith("streamhold_account_since_time_seconds{")]
    assert f'platform="{platform}"' in line and 'status="reauth_required"' in line
    assert abs(float(line.split()[-1]) - since) < 1.1
    table = daemon.cli("accounts").stdout
    assert "reauth_required" in table and re.search(r"lost .{1,24} ago \(..:..\): ", table)
    [event] = events(daemon, "account.reauth_required")
    assert event["platform"] == platform and event["flags"] == ["own"]
    assert event["payload"]["username"] == USER
    assert event["payload"]["reason"] == lost["reason"]
    inspected = json.loads(daemon.cli("inspect", "--json").stdout)["sections"]
    assert inspected["accounts"]["reauth_required"] == 1
    # Nothing is tried any more, and nothing is left.
    assert refresh(daemon, platform).status == 404
    time.sleep(1)
    assert len(refreshes(fake)) == 2
    daemon.stop()
    assert daemon.sql("SELECT count(*) FROM secrets WHERE name LIKE 'token/%'") == [(0,)]
    assert daemon.sql("SELECT count(*) FROM refreshes") == [(0,)]
    daemon.start()
    fakes.register(daemon, [platform])
    assert status(daemon, platform).json() == lost
    # A login announces itself.
    fake.clear()
    assert login(daemon, platform).status == 200
    assert status(daemon, platform).json()["status"] == "valid"
    assert daemon.get("/status").json()["components"]["logins"] == {"status": "healthy"}
    [event] = events(daemon, "account.recovered")
    assert event["payload"]["username"] == USER
    assert refresh(daemon, platform).status == 200


def test_one_refusal_that_was_a_mistake_costs_nothing(daemon, fakes, platform):
    start(daemon, platform)
    code, body = TERMINAL[platform]
    fakes[platform].next("token", status=code, body=body)
    assert refresh(daemon, platform).status == 200
    assert len(refreshes(fakes[platform])) == 2
    assert not events(daemon, "account.reauth_required")


def paused(daemon):
    """The platforms of which the figure says that nothing is refreshed."""
    lines = [re.fullmatch(r'streamhold_refresh_paused\{platform="(\w+)"\} ([01])', line)
             for line in daemon.get("/metrics").text.splitlines()]
    lines = [line for line in lines if line]
    assert sorted(line[1] for line in lines) == sorted(NAMES)
    return [line[1] for line in lines if line[2] == "1"]


CONFIG = [("kick", 401, {"error": "invalid_client"}),
          ("twitch", 400, {"status": 400, "message": "invalid client"}),
          ("twitch", 403, {"status": 403, "message": "invalid client secret"}),
          ("twitch", 400, {"status": 400, "message": "missing client secret"}),
          ("youtube", 401, {"error": "invalid_client", "error_description": "Unauthorized"}),
          ("youtube", 401, {"error": "unauthorized_client"})]


@pytest.mark.parametrize("platform, code, body", CONFIG)
def test_wrong_configuration_pauses_the_platform(daemon, fakes, platform, code, body):
    fake = fakes[platform]
    start(daemon, platform)
    before = status(daemon, platform).json()
    fake.next("token", status=code, body=body, count=-1)
    answer = refresh(daemon, platform)
    assert answer.status == 502 and "streamhold app add" in answer.json()["error"]
    time.sleep(SHARED_S)
    assert refresh(daemon, platform).status == 502
    assert len(refreshes(fake)) == 1, "paused"
    inspected = json.loads(daemon.cli("inspect", "--json").stdout)["sections"]
    assert f"refresh_paused.{platform}" in inspected["accounts"]
    assert paused(daemon) == [platform]
    part = daemon.get("/status").json()["components"][f"tokens_{platform}"]
    assert part["status"] == "degraded" and f"streamhold app add {platform}" in part["detail"]
    after = status(daemon, platform).json()
    assert after.pop("trouble") and after == before
    fake.clear()
    put_credentials(daemon, platform)
    assert refresh(daemon, platform).status == 200
    assert "trouble" not in status(daemon, platform).json()
    assert paused(daemon) == []
    part = daemon.get("/status").json()["components"][f"tokens_{platform}"]
    assert part == {"status": "healthy"}


TRANSIENT = [dict(mode="html502"), dict(status=500, body={"error": "server_error"}),
             dict(status=503, body=""), dict(status=408, body=""),
             dict(mode="cf403"), dict(status=400, body=""),
             dict(status=302, body="", headers=[["Location", "http://127.0.0.1:1/"]]),
             dict(status=500, body={"status": 500, "message": "Missing column"})]


@pytest.mark.parametrize("fault", TRANSIENT, ids=lambda fault: json.dumps(fault)[:40])
def test_transient_trouble_keeps_the_token(daemon, fakes, platform, fault):
    fake = fakes[platform]
    start(daemon, platform)
    before = status(daemon, platform).json()
    fake.next("token", **fault)
    answer = refresh(daemon, platform)
    assert answer.status == 502, answer.text
    after = status(daemon, platform).json()
    assert after.pop("trouble") and after == before
    # It is tried again without being asked, and comes good.
    until(lambda: "trouble" not in status(daemon, platform).json())
    assert len(refreshes(fake)) == 2
    assert status(daemon, platform).json()["expires_at"] > before["expires_at"]


def test_retry_after_is_honoured(daemon, fakes, platform):
    fake = fakes[platform]
    start(daemon, platform)
    fake.next("token", status=429, body={"error": "slow"}, headers=[["Retry-After", "6"]])
    answer = refresh(daemon, platform)
    assert answer.status == 502 and answer.headers["Retry-After"] == "6"
    time.sleep(2.5)
    assert refresh(daemon, platform).status == 502
    assert len(refreshes(fake)) == 1
    until(lambda: len(refreshes(fake)) == 2, 10)
    one, two = refreshes(fake)
    assert two["time"] - one["time"] >= 5.9


def test_retry_after_is_capped(daemon, fakes, platform):
    """At 15 minutes; who asked is told so at once, and who asks again as well."""
    fake = fakes[platform]
    start(daemon, platform)
    fake.next("token", status=429, body={"error": "slow"}, headers=[["Retry-After", "3000"]])
    assert refresh(daemon, platform).headers["Retry-After"] == "900"
    time.sleep(SHARED_S)
    answer = refresh(daemon, platform)
    assert answer.status == 502 and 890 <= int(answer.headers["Retry-After"]) < 900
    assert len(refreshes(fake)) == 1


def test_kicks_bare_401_is_not_believed_within_seconds(daemon, fakes):
    """Four of them end a login when they are a minute apart (REFRESH_DOUBT_SPACING_MS;
    test_refusals_without_a_word_count_when_they_are_spaced has that clock in hand)."""
    fake = fakes["kick"]
    start(daemon, "kick")
    fake.next("token", status=401, body="", count=6)
    for _ in range(6):
        if len(refreshes(fake)) >= 6:
            break
        assert refresh(daemon, "kick").status == 502
        time.sleep(SHARED_S)
    assert len(refreshes(fake)) >= 6        # one of its own may have come on top
    time.sleep(SHARED_S)                    # and have been the last
    assert status(daemon, "kick").json()["status"] == "valid"
    assert refresh(daemon, "kick").status == 200


# -- lost replies -----------------------------------------------------------------------------


def lose_reply(daemon, fakes, platform, rotation, mode):
    fake = fakes[platform]
    fake.set(rotation=rotation, grace_s=30)
    start(daemon, platform)
    fake.next("token", mode=mode)
    assert refresh(daemon, platform).status == 502
    if rotation in ("never", "grace"):
        until(lambda: "trouble" not in status(daemon, platform).json())
        assert status(daemon, platform).json()["status"] == "valid"
    else:
        until(lambda: status(daemon, platform).status == 404)
        assert status(daemon, platform).json()["status"] == "reauth_required"
    used = [one["form"]["refresh_token"] for one in refreshes(fake)]
    assert len(used) == 2 and used[0] == used[1], "one retry with the stored token"
    time.sleep(1)
    assert len(refreshes(fake)) == 2


@pytest.mark.parametrize("rotation", ["never", "grace", "strict", "family"])
@pytest.mark.parametrize("mode", ["drop_after_commit", "reset_after_commit", "truncate"])
def test_lost_reply_after_rotation(daemon, fakes, rotation, mode):
    """At all platforms that may rotate side by side; Google does not."""
    names = NAMES if rotation == "never" else ("twitch", "kick")
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda one: lose_reply(daemon, fakes, one, rotation, mode), names))


def test_the_token_before_is_tried_once(daemon, fakes):
    """Kick lets a replaced refresh token be used again for a while."""
    fake = fakes["kick"]
    fake.set(rotation="grace", grace_s=3600)
    start(daemon, "kick")
    assert refresh(daemon, "kick").status == 200
    time.sleep(SHARED_S)
    newest = fake.state()["tokens"][-1]
    assert newest["use"] == "refresh"
    fake.kill(token=newest["value"])
    assert refresh(daemon, "kick").status == 200
    used = [one["form"]["refresh_token"] for one in refreshes(fake)]
    assert used[1] == used[2] == newest["value"] and used[3] == used[0]


def test_request_that_never_left_is_no_doubt(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    start(daemon, "kick")
    fakes.stop("kick")
    answer = refresh(daemon, "kick")
    assert answer.status == 502
    daemon.stop()
    assert daemon.sql("SELECT count(*) FROM refreshes") == [(0,)]


# -- beside other things ----------------------------------------------------------------------


def test_deletion_during_a_refresh_leaves_nothing(daemon, fakes, platform):
    fake = fakes[platform]
    start(daemon, platform)
    fake.next("token", mode="slow", delay_s=1.5)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pending = pool.submit(refresh, daemon, platform)
        until(lambda: refreshes(fake))
        assert daemon.delete(f"/oauth/{platform}/{USER}").status == 200
        assert pending.result().status == 404
    until(lambda: not [token for token in fake.state()["tokens"]
                       if token["live"] and token["use"] == "access"])
    daemon.stop()
    assert daemon.sql("SELECT count(*) FROM secrets WHERE name LIKE 'token/%'") == [(0,)]
    assert daemon.sql("SELECT count(*) FROM refreshes") == [(0,)]


def test_no_token_is_logged(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder, logging={"level": "debug"}))
    fakes.register(daemon)
    for platform in NAMES:
        start(daemon, platform)
        assert refresh(daemon, platform).status == 200
        fakes[platform].next("token", mode="html502")
        time.sleep(SHARED_S)
        assert refresh(daemon, platform).status == 502
        for token in fakes[platform].state()["tokens"]:
            assert token["value"] not in daemon.text_log()
    assert CLIENT_SECRET not in daemon.text_log()
