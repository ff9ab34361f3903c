"""What platforms do one way or another, or only under some settings of theirs: each switch of the
fakes that concerns tokens, and what comes of it here (facts of Kick 1.6 and 1.7, of Twitch A.5 and
A.8 to A.10, of Google C.4, C.7 and C.9)."""
import datetime
import json
import subprocess
import time

import pytest

from tests.fake.client import approve
from tests.lib.platforms import CLIENT_ID, CLIENT_SECRET, USER, follow, login, put_credentials
from tests.lib.stopwatch import Stopwatch

DAY_S = 86400
SHARED_S = 2.1      # a result that is younger is shared


@pytest.fixture
def stage(streamhold, fakes, folder):
    """stage(platform, **settings) gives a daemon with a login there, and the fake."""
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)

    def begin(platform, **settings):
        fakes[platform].set(**settings)
        put_credentials(daemon, platform)
        answer = login(daemon, platform)
        assert answer.status == 200, answer.text
        return daemon, fakes[platform]

    return begin


def refresh(daemon, platform):
    return daemon.post(f"/oauth/refresh/{platform}/{USER}")


def account(daemon, platform):
    found = json.loads(daemon.cli("--json", "accounts").stdout)["accounts"]
    return next(one for one in found if one["platform"] == platform)


def tokens(fake, use, live=True):
    return [token for token in fake.store.tokens.values()
            if token.use == use and token.live(fake.now()) == live]


def refreshes(fake):
    return [one["form"]["refresh_token"] for one in fake.asked("token")
            if one["form"].get("grant_type") == "refresh_token"]


def seconds_until(text):
    return datetime.datetime.fromisoformat(text).timestamp() - time.time()


def log_in_by_command(daemon, platform):
    """What `streamhold login` says."""
    process = subprocess.Popen(
        [daemon.program("streamhold"), "--config", str(daemon.config_file), "login", platform,
         USER, "--no-browser"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = process.stdout.readline().strip()
    assert follow(daemon, approve(address)).status == 200
    _, talk = process.communicate(timeout=20)
    assert process.returncode == 0
    return talk


def fill(fake, use, count):
    """More live tokens of the same grant, as other installations of the client hold them."""
    [token] = tokens(fake, use)
    with fake.lock:
        for _ in range(count):
            fake.store.add_token(use, token.grant, 30 * DAY_S)


# -- Twitch -----------------------------------------------------------------------------------


def test_fifty_access_tokens_and_the_next_is_refused(stage):
    """Twitch then says of the refresh token what it says of a dead one: no other word tells."""
    daemon, twitch = stage("twitch", token_limit="refuse")
    fill(twitch, "access", 49)
    refresh(daemon, "twitch")
    lost = account(daemon, "twitch")
    assert lost["status"] == "reauth_required" and "Invalid refresh token" in lost["reason"]
    assert len(refreshes(twitch)) == 2, "asked once more, and no more"


def test_fifty_access_tokens_and_the_oldest_dies(stage):
    daemon, twitch = stage("twitch", token_limit="kill_oldest")
    fill(twitch, "access", 49)
    assert refresh(daemon, "twitch").status == 200
    assert [one.dead for one in tokens(twitch, "access", live=False)] == ["limit"]
    assert daemon.cli("accounts", "--ask").returncode == 0
    assert account(daemon, "twitch")["verdict"] == "good"


@pytest.mark.parametrize("variant", ["docs", "recorded"])
def test_revoking_at_twitch_what_is_dead(stage, variant):
    daemon, twitch = stage("twitch", revoke_variant=variant)
    twitch.store.kill_where("disconnected")
    assert daemon.delete(f"/oauth/twitch/{USER}").json()["revocation"] == "ok"


@pytest.mark.parametrize("variant", ["docs", "recorded"])
def test_revoking_at_twitch_with_a_client_that_is_gone(stage, variant):
    daemon, twitch = stage("twitch", revoke_variant=variant)
    del twitch.store.apps[CLIENT_ID]
    assert daemon.delete(f"/oauth/twitch/{USER}").json()["revocation"] == "refused"
    assert daemon.get(f"/oauth/status/twitch/{USER}").status == 404


def test_a_token_that_does_not_expire(stage):
    daemon, twitch = stage("twitch", validate_expires="zero")
    assert daemon.cli("accounts", "--ask").returncode == 0
    found = account(daemon, "twitch")
    assert found["verdict"] == "good"
    assert seconds_until(found["expires_at"]) > 9 * 365 * DAY_S
    assert refreshes(twitch) == []


def test_a_validation_without_scopes(stage):
    daemon, _ = stage("twitch", validate_scopes="null")
    before = account(daemon, "twitch")
    assert daemon.cli("accounts", "--ask").returncode == 0
    found = account(daemon, "twitch")
    assert found["verdict"] == "good" and found["scope"] == before["scope"] != []


@pytest.mark.parametrize("double", [False, True])
def test_an_address_that_is_not_registered(stage, double):
    daemon, twitch = stage("twitch", mismatch_double_encoded=double)
    sent = f"http://localhost:{daemon.api_port}/oauth/callback/twitch"
    twitch.add_app(CLIENT_ID, CLIENT_SECRET, [sent + "/"], kind="confidential")
    started = daemon.get(f"/oauth/start/twitch/{USER}").json()
    answer = daemon.get("/oauth/callback/twitch?error=redirect_mismatch&error_description="
                        + described(twitch, started["auth_url"]))
    assert answer.status == 400
    assert "redirect_mismatch" in answer.text
    assert account(daemon, "twitch")["status"] == "valid"


def described(twitch, auth_url):
    """The description that Twitch sends the browser back with, and the rest of the address."""
    location = approve(auth_url)
    assert "error=redirect_mismatch" in location
    return location.split("error_description=", 1)[1]


# -- Kick -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["bare", "nulls", "401"])
def test_a_token_that_kick_knows_no_more(stage, form):
    """Each form says the same: it is refreshed once."""
    daemon, kick = stage("kick", introspect_inactive=form)
    kick.store.kill_where("revoked", use="access")
    assert daemon.cli("accounts", "--ask").returncode == 0
    Stopwatch().wait(lambda: tokens(kick, "access"), 5)
    assert len(refreshes(kick)) == 1
    assert account(daemon, "kick")["status"] == "valid"


@pytest.mark.parametrize("settings", [{"revoke_kills": "one"}, {"revoke_kills": "pair"},
                                      {"revoke_body": ""}], ids=str)
def test_revoking_at_kick(stage, settings):
    daemon, kick = stage("kick", **settings)
    assert daemon.delete(f"/oauth/kick/{USER}").json()["revocation"] == "ok"
    assert tokens(kick, "access") == tokens(kick, "refresh") == []


def test_rotation_that_lets_the_old_ones_live(stage):
    """The newest is used each time all the same."""
    daemon, kick = stage("kick", rotation="relaxed")
    for _ in range(2):
        assert refresh(daemon, "kick").status == 200
        time.sleep(SHARED_S)
    sent = refreshes(kick)
    assert len(set(sent)) == 2
    assert [token.value for token in tokens(kick, "refresh")][:2] == sent


def test_a_refused_token_that_cannot_be_replaced_is_shown(stage):
    daemon, kick = stage("kick", refresh_form="missing")
    kick.store.kill_where("revoked", use="access")
    assert daemon.cli("accounts", "--ask").returncode == 0
    assert account(daemon, "kick")["verdict"] == "refused"
    assert ("the platform refuses the access token -> streamhold login kick " + USER
            in daemon.cli("accounts").stdout)


# -- Google -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["new", "old"])
def test_a_token_that_google_knows_no_more(stage, form):
    daemon, google = stage("youtube", tokeninfo_error=form)
    google.store.kill_where("revoked", use="access")
    assert daemon.cli("accounts", "--ask").returncode == 0
    Stopwatch().wait(lambda: tokens(google, "access"), 5)
    assert len(refreshes(google)) == 1


def test_a_consent_screen_in_testing(stage):
    """Google tells that the login ends in a week; so does everything that a person sees."""
    daemon, google = stage("youtube", testing=True)
    said = log_in_by_command(daemon, "youtube")
    assert "ends by itself" in said and "consent screen" in said
    for _ in range(2):
        found = account(daemon, "youtube")
        assert abs(seconds_until(found["refresh_expires_at"]) - 7 * DAY_S) < 60
        assert "ends by itself" in daemon.cli("accounts").stdout
        assert refresh(daemon, "youtube").status == 200
    google.set(now_offset_s=8 * DAY_S)
    time.sleep(SHARED_S)
    refresh(daemon, "youtube")
    lost = account(daemon, "youtube")
    assert lost["status"] == "reauth_required"
    assert "consent screen" in lost["reason"] and "7 days" in lost["reason"]


def test_a_hundred_refresh_tokens_and_the_oldest_dies(stage):
    """One more login somewhere ends the oldest without a word; a new login here is not it."""
    daemon, google = stage("youtube")
    [first] = tokens(google, "refresh")
    fill(google, "refresh", 99)
    assert login(daemon, "youtube").status == 200
    assert first.dead == "limit"
    assert refresh(daemon, "youtube").status == 200
    for token in tokens(google, "refresh"):
        token.dead = "limit"
    time.sleep(SHARED_S)
    refresh(daemon, "youtube")
    assert account(daemon, "youtube")["status"] == "reauth_required"
