"""Client id and secret of another registered app are stored after a login: its tokens are of the
first one. Nothing is sent that could end the login, it is said what to do, and either way out
works."""
import json
import time

import pytest

from tests.lib.platforms import CLIENT_ID, NAMES, USER, login, put_credentials
from tests.lib.stopwatch import Stopwatch

OTHER_ID = "another-client-id"
OTHER_SECRET = "another-client-secret-0123456789abc"


@pytest.fixture(params=NAMES)
def platform(request):
    return request.param


@pytest.fixture
def daemon(streamhold, fakes, folder, platform):
    """A daemon with one login, and then the credentials of another app."""
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon, [platform])
    fakes[platform].add_app(
        OTHER_ID, OTHER_SECRET,
        [f"http://localhost:{daemon.api_port}/oauth/callback/{platform}"],
        kind="web" if platform == "youtube" else "confidential")
    if platform == "kick":
        fakes["kick"].set(rotation="family")        # what is sent in vain ends the grant
    put_credentials(daemon, platform)
    assert login(daemon, platform).status == 200
    put_other(daemon, platform)
    return daemon


def put_other(daemon, platform):
    put_credentials(daemon, platform, client_id=OTHER_ID, client_secret=OTHER_SECRET)


def refresh(daemon, platform):
    return daemon.post(f"/oauth/refresh/{platform}/{USER}")


def refreshes(fakes, platform):
    return [one["form"] for one in fakes[platform].asked("token")
            if one["form"].get("grant_type") == "refresh_token"]


def account(daemon):
    [one] = json.loads(daemon.cli("--json", "accounts").stdout)["accounts"]
    return one


def test_nothing_is_sent_and_it_is_said_what_to_do(daemon, fakes, platform):
    answer = refresh(daemon, platform)
    assert answer.status == 502, answer.text
    assert answer.headers["Streamhold-Error"] == "refresh_failed"
    assert account(daemon)["status"] == "valid"
    shown = [answer.text, daemon.cli("accounts").stdout, daemon.cli("status").stdout,
             daemon.text_log()]
    for text in shown:
        assert f"streamhold login {platform} {USER}" in text, text
    for text in shown[:2]:
        assert CLIENT_ID in text and OTHER_ID in text
        assert f"streamhold app add {platform}" in text
    # Nor by itself, at the end of the token's life.
    daemon.stop()
    daemon.sql("UPDATE accounts SET expires_at = ?", int(time.time() * 1000) + 2000)
    daemon.start()
    time.sleep(2.5)
    assert refreshes(fakes, platform) == []
    assert account(daemon)["status"] in ("valid", "expired")


def test_the_old_credentials_again(daemon, fakes, platform):
    """It goes on by itself, a token that expired meanwhile included."""
    daemon.stop()
    daemon.sql("UPDATE accounts SET expires_at = ?", int(time.time() * 1000) - 1000)
    daemon.start()
    assert refresh(daemon, platform).status == 502
    put_credentials(daemon, platform)
    Stopwatch().wait(lambda: account(daemon)["status"] == "valid", 10)
    [form] = refreshes(fakes, platform)
    assert form["client_id"] == CLIENT_ID
    assert "trouble" not in account(daemon) or account(daemon)["trouble"] is None


def test_a_new_login(daemon, fakes, platform):
    assert login(daemon, platform).status == 200
    assert refresh(daemon, platform).status == 200
    [form] = refreshes(fakes, platform)
    assert form["client_id"] == OTHER_ID


def test_the_token_is_still_checked_and_revoked_as_what_it_is(daemon, fakes, platform):
    daemon.cli("accounts", "--ask")
    assert account(daemon)["verdict"] == "good"
    answer = daemon.call("DELETE", f"/oauth/{platform}/{USER}")
    assert answer.json()["revocation"] == "ok"
    live = [one for one in fakes[platform].state()["tokens"]
            if one["live"] and one["use"] == "access"]
    assert live == []


@pytest.mark.parametrize("platform", ["kick"], indirect=True)
def test_a_login_of_before_has_no_client_id_until_its_refresh(daemon, platform):
    """As an older version stored it: it is refreshed with what is there, and known then."""
    put_credentials(daemon, platform)
    daemon.stop()
    daemon.sql("UPDATE accounts SET client_id = NULL")
    daemon.start()
    assert refresh(daemon, platform).status == 200
    put_other(daemon, platform)
    time.sleep(2.1)     # a result that is younger is shared
    assert refresh(daemon, platform).status == 502
    daemon.stop()
    assert daemon.sql("SELECT client_id FROM accounts") == [(CLIENT_ID,)]
