"""Trouble with logins is where a person looks: in /status and `streamhold status`, at every
account that it concerns, in the figures, the log and the inbox; and its end as well."""
import datetime
import json
import time

import pytest

from tests.lib.platforms import NAMES, USER, login, put_credentials

OTHER = "secondone"
OTHER_ID = {"kick": 4711, "twitch": 4711, "youtube": "UCsecondone0000000000001"}
WRONG_CLIENT = {"kick": (401, {"error": "invalid_client"}),
                "twitch": (403, {"status": 403, "message": "invalid client secret"}),
                "youtube": (401, {"error": "invalid_client",
                                  "error_description": "Unauthorized"})}


@pytest.fixture(params=NAMES)
def platform(request):
    return request.param


@pytest.fixture
def daemon(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    return daemon


def until(condition, timeout=15):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def login_as_other(daemon, fake, platform, **query):
    fake.add_user(id=OTHER_ID[platform], login=OTHER)
    fake.set(identity=str(OTHER_ID[platform]))
    answer = login(daemon, platform, OTHER)
    assert answer.status == 200, answer.text


def component(daemon, name):
    """The same from the API and from the command."""
    part = daemon.get("/status").json()["components"][name]
    whole = json.loads(daemon.cli("status", "--json").stdout)
    assert whole["components"][name] == {"state": part["status"],
                                         "detail": part.get("detail", "")}
    return part


def accounts(daemon):
    return {one["username"]: one for one in daemon.get("/oauth/accounts").json()["accounts"]}


def refreshes(fake):
    return [one for one in fake.asked("token")
            if one["form"].get("grant_type") == "refresh_token"]


def test_a_paused_platform_is_seen_everywhere(daemon, fakes, platform):
    fake = fakes[platform]
    put_credentials(daemon, platform)
    assert login(daemon, platform).status == 200
    login_as_other(daemon, fake, platform)
    name = f"tokens_{platform}"
    assert component(daemon, name) == {"status": "healthy"}
    code, body = WRONG_CLIENT[platform]
    fake.next("token", status=code, body=body, count=-1)
    assert daemon.post(f"/oauth/refresh/{platform}/{USER}").status == 502
    # As a whole, with what to do next.
    part = component(daemon, name)
    assert part["status"] == "degraded"
    assert part["detail"].startswith("nothing is refreshed at ")
    assert f"streamhold app add {platform}" in part["detail"]
    assert "(status " in part["detail"], "and what the platform said"
    assert daemon.get("/status").json()["status"] == "degraded"
    checked = daemon.cli("status", "--check")
    assert checked.returncode == 7 and checked.stdout.startswith("degraded")
    assert f"streamhold app add {platform}" in checked.stdout
    # At each account, that of which nobody has tried to refresh included.
    for one in accounts(daemon).values():
        assert one["status"] == "valid"
        assert f"streamhold app add {platform}" in one["trouble"]
    rows = [line for line in daemon.cli("accounts").stdout.splitlines()
            if USER in line or OTHER in line]
    assert len(rows) == 2 and all("not refreshed: nothing is refreshed" in row for row in rows)
    daemon.wait_log(rf"nothing is refreshed at .*streamhold app add {platform}")
    [event] = until(lambda: daemon.events(type="refresh.paused"))
    assert event["platform"] == platform and event["kind"] == "notice"
    assert event["payload"]["platform"] == platform
    assert "streamhold app add" in event["payload"]["reason"]
    # The end of it is told, and proven without being asked.
    before = len(refreshes(fake))
    fake.clear()
    put_credentials(daemon, platform)
    until(lambda: len(refreshes(fake)) == before + 1)
    until(lambda: component(daemon, name) == {"status": "healthy"})
    assert [one["trouble"] for one in accounts(daemon).values()] == [None, None]
    daemon.wait_log(r"has other credentials: refreshing goes on")
    [event] = until(lambda: daemon.events(type="refresh.resumed"))
    assert event["payload"] == {"platform": platform}
    assert daemon.cli("status", "--check").returncode == 0


def test_credentials_that_are_wrong_again_pause_again(daemon, fakes):
    put_credentials(daemon, "kick")
    assert login(daemon, "kick").status == 200
    code, body = WRONG_CLIENT["kick"]
    fakes["kick"].next("token", status=code, body=body, count=-1)
    assert daemon.post(f"/oauth/refresh/kick/{USER}").status == 502
    put_credentials(daemon, "kick")
    until(lambda: len(refreshes(fakes["kick"])) == 2)
    until(lambda: daemon.get("/status").json()["components"]["tokens_kick"]["status"] == "degraded")
    assert component(daemon, "tokens_kick")["status"] == "degraded"
    until(lambda: len(daemon.events(type="refresh.paused")) == 2)


def test_credentials_that_were_removed_are_missed(daemon, platform):
    name = f"tokens_{platform}"
    assert name not in daemon.get("/status").json()["components"], "it is not in use"
    put_credentials(daemon, platform)
    assert component(daemon, name) == {"status": "healthy"}
    assert login(daemon, platform).status == 200
    assert daemon.delete(f"/oauth/credentials/{platform}").status == 200
    part = component(daemon, name)
    assert part["status"] == "degraded" and USER in part["detail"]
    assert f"streamhold app add {platform}" in part["detail"]
    assert "no client id" in accounts(daemon)[USER]["trouble"]
    assert daemon.cli("status", "--check").returncode == 7
    put_credentials(daemon, platform)
    assert component(daemon, name) == {"status": "healthy"}
    assert accounts(daemon)[USER]["trouble"] is None
    assert not daemon.events(type="refresh.resumed"), "nothing was paused"


def test_a_token_that_expired_is_trouble_until_it_is_refreshed(daemon, fakes, platform):
    fake = fakes[platform]
    put_credentials(daemon, platform)
    fake.set(access_life_s=3)
    fake.next("token", mode="pass")
    fake.next("token", status=503, body="", count=-1)
    assert login(daemon, platform).status == 200
    until(lambda: accounts(daemon)[USER]["status"] == "expired")
    part = component(daemon, f"tokens_{platform}")
    assert part["status"] == "degraded" and "has expired" in part["detail"]
    assert f"streamhold refresh {platform} {USER}" in part["detail"]
    checked = daemon.cli("status", "--check")
    assert checked.returncode == 7 and checked.stdout.startswith("degraded")
    fake.clear()
    fake.set(access_life_s=7200)
    until(lambda: daemon.post(f"/oauth/refresh/{platform}/{USER}").status == 200)
    assert component(daemon, f"tokens_{platform}") == {"status": "healthy"}
    assert daemon.cli("status", "--check").returncode == 0


def test_an_expired_login_without_a_refresh_token_needs_a_person(daemon, fakes, platform):
    put_credentials(daemon, platform)
    fakes[platform].set(access_life_s=2)
    fakes[platform].next("token", mode="pass", remove=["refresh_token"])
    assert login(daemon, platform).status == 200
    until(lambda: accounts(daemon)[USER]["status"] == "expired")
    part = component(daemon, "logins")
    assert part["status"] == "degraded"
    assert f"streamhold login {platform} {USER}" in part["detail"]
    assert component(daemon, f"tokens_{platform}") == {"status": "healthy"}
    assert daemon.cli("status", "--check").returncode == 4


# -- Logins that were turned away -----------------------------------------------------


def turn_away(daemon, fake, platform, name=USER):
    """Somebody else is logged in in the browser."""
    fake.add_user(id=OTHER_ID[platform], login=OTHER)
    fake.set(identity=str(OTHER_ID[platform]))
    answer = login(daemon, platform, name)
    assert answer.status == 409 and OTHER in answer.text
    fake.set(identity=None)


def refused(daemon):
    """The same from the API and both verbs; the time is looked at and left out."""
    rows = daemon.get("/oauth/accounts").json()["refused_logins"]
    for verb in ("accounts", "status"):
        assert json.loads(daemon.cli(verb, "--json").stdout)["refused_logins"] == rows
    for row in rows:
        at = datetime.datetime.fromisoformat(row.pop("at").replace("Z", "+00:00"))
        assert abs(at.timestamp() - time.time()) < 60
    return rows


def test_who_logged_in_instead_is_told_until_it_is_settled(daemon, fakes, platform):
    fake = fakes[platform]
    put_credentials(daemon, platform)
    assert refused(daemon) == []
    turn_away(daemon, fake, platform)
    turn_away(daemon, fake, platform, USER.upper())
    told = {"platform": platform, "username": USER.upper(), "logged_in": OTHER}
    assert refused(daemon) == [told], "the last one of a name"
    assert daemon.get("/oauth/accounts").json()["accounts"] == []
    part = component(daemon, "logins")
    assert part["status"] == "healthy" and f"'{OTHER}' logged in" in part["detail"]
    for verb in ("accounts", "status"):
        line = daemon.cli(verb).stdout.splitlines()[-1]
        assert line.startswith(f"{platform}/{USER.upper()}: the login ")
        assert f"'{OTHER}' logged in" in line
        assert f"streamhold login {platform} {USER.upper()}" in line and "--adopt" in line
    # The published answer has nothing of it.
    answer = daemon.get(f"/oauth/status/{platform}/{USER}")
    assert (answer.status, answer.json()) == (404, {
        "error": f"No OAuth token found for platform {platform} and username {USER}"})
    daemon.stop()
    daemon.start()
    fakes.register(daemon, [platform])
    assert refused(daemon) == [told], "also after a restart"
    # A login for that name settles it, and nothing else is left.
    assert login(daemon, platform).status == 200
    assert refused(daemon) == [] and component(daemon, "logins") == {"status": "healthy"}
    daemon.stop()
    assert daemon.sql("SELECT count(*) FROM refused_logins") == [(0,)]


def test_a_login_of_somebody_else_settles_nothing(daemon, fakes):
    put_credentials(daemon, "kick")
    turn_away(daemon, fakes["kick"], "kick")
    login_as_other(daemon, fakes["kick"], "kick")
    assert [row["username"] for row in refused(daemon)] == [USER]


def test_adopting_the_other_account_settles_it(daemon, fakes, platform):
    put_credentials(daemon, platform)
    turn_away(daemon, fakes[platform], platform)
    fakes[platform].set(identity=str(OTHER_ID[platform]))
    assert login(daemon, platform, query="?adopt=true").status == 200
    assert OTHER in accounts(daemon) and refused(daemon) == []


@pytest.mark.parametrize("known", [False, True])
def test_deleting_the_name_settles_it(daemon, fakes, known):
    put_credentials(daemon, "kick")
    if known:
        assert login(daemon, "kick").status == 200
    turn_away(daemon, fakes["kick"], "kick")
    turn_away(daemon, fakes["kick"], "kick", "thirdone")
    assert len(refused(daemon)) == 2
    assert daemon.delete(f"/oauth/kick/{USER}").status == (200 if known else 404)
    assert [row["username"] for row in refused(daemon)] == ["thirdone"]
    daemon.stop()
    assert daemon.sql("SELECT username FROM refused_logins") == [("thirdone",)]
