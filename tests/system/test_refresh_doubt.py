"""A refresh whose answer was lost: the token is sent once more and then no more, whatever ends that
retry; the state after it is decided and said; and nothing is erased that may still work."""
import concurrent.futures
import contextlib
import json
import os
import signal
import time

import pytest

from tests.lib.platforms import NAMES, USER, login
from tests.system.test_refresh import SHARED_S, events, refresh, refreshes, start, status, until

# Platforms whose refresh tokens may be used up by a refresh; Google's are not (facts C.5).
USED_UP = ("twitch", "kick")
LIFE_S = 8
LONG = bool(os.environ.get("STREAMHOLD_LONG"))
HANG = {"mode": "hang", "hold_s": 60, "count": -1}


@pytest.fixture
def daemon(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    return daemon


def lost(daemon, platform):
    answer = status(daemon, platform)
    return answer.json() if answer.status == 404 else None


def notes(daemon):
    """Rows of refreshes in doubt, of a daemon that is stopped meanwhile: {platform: sends}."""
    daemon.stop()
    rows = dict(daemon.sql("SELECT platform, attempt FROM refreshes"))
    daemon.start()
    return rows


@contextlib.contextmanager
def refused_connections(fake, host):
    """Nobody listens there meanwhile; the port stays the same."""
    listener = fake.listeners[host]
    fake.loop.run(listener.stop())
    try:
        yield
    finally:
        fake.loop.run(listener.start())


# -- one retry ----------------------------------------------------------------------------------


def silent_until_expiry(daemon, fakes, platform):
    """A platform that never answers a refresh, from the first one to the end of the old token."""
    fake = fakes[platform]
    fake.set(access_life_s=LIFE_S, old_access="kept")
    start(daemon, platform)
    ended = time.monotonic() + LIFE_S
    assert daemon.cli("token", "allow", f"{platform}/{USER}").returncode == 0
    old = [one["value"] for one in fake.state()["tokens"] if one["use"] == "access"][-1]
    fake.next("token", mode="drop_before", count=-1)
    assert refresh(daemon, platform).status == 502
    until(lambda: len(refreshes(fake)) == 2)
    # In doubt, and said so; the old token is served.
    shown = until(lambda: "one retry" in status(daemon, platform).json().get("trouble", "")
                  and status(daemon, platform).json())
    assert shown["status"] == "valid"
    assert f"streamhold refresh {platform}/{USER}" in shown["trouble"]
    assert daemon.cli("token", "get", f"{platform}/{USER}", "--min-ttl",
                      "0").stdout.strip() == old
    reason = until(lambda: lost(daemon, platform))
    assert time.monotonic() > ended - 1, "not before the old token has expired"
    assert reason["status"] == "reauth_required" and "one retry" in reason["reason"]
    assert len(refreshes(fake)) == 2, "one retry, and no more"


def silent_where_tokens_are_kept(daemon, fakes):
    """Sending it again does no harm there, so an outage costs no login, however long it is."""
    fake = fakes["youtube"]
    fake.set(access_life_s=LIFE_S)
    start(daemon, "youtube")
    fake.next("token", mode="drop_before", count=-1)
    assert refresh(daemon, "youtube").status == 502
    until(lambda: status(daemon, "youtube").json()["status"] == "expired")
    assert status(daemon, "youtube").json()["refreshable"] is True
    until(lambda: refresh(daemon, "youtube").status == 502 and len(refreshes(fake)) >= 3)


def test_one_retry_and_then_the_login_is_lost_but_kept(daemon, fakes):
    """At all platforms side by side, since it takes until the tokens expire."""
    with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
        rounds = [pool.submit(silent_until_expiry, daemon, fakes, one) for one in USED_UP]
        rounds.append(pool.submit(silent_where_tokens_are_kept, daemon, fakes))
        for one in rounds:
            one.result()
    assert {one["platform"] for one in events(daemon, "account.reauth_required")} == set(USED_UP)
    fakes["youtube"].clear()
    fakes["youtube"].set(access_life_s=7200)
    until(lambda: refresh(daemon, "youtube").status == 200)
    assert daemon.cli("status", "--check").returncode == 4
    assert notes(daemon) == {}, "nothing is in doubt any more"
    for platform in USED_UP:
        fake = fakes[platform]
        assert lost(daemon, platform)["status"] == "reauth_required"
        # A person may ask, as often as that person likes; by itself nothing is sent.
        assert refresh(daemon, platform).status == 502
        assert len(refreshes(fake)) == 3
        fake.clear()
        fake.set(access_life_s=7200)
    assert notes(daemon) == {}
    time.sleep(1)
    for platform in USED_UP:
        fake = fakes[platform]
        assert len(refreshes(fake)) == 3
        assert refresh(daemon, platform).status == 200, "nothing was erased that still works"
        assert status(daemon, platform).json()["status"] == "valid"
    assert {one["platform"] for one in events(daemon, "account.recovered")} == set(USED_UP)
    assert len(events(daemon, "account.reauth_required")) == len(USED_UP), "told once"
    assert status(daemon, "youtube").json()["status"] == "valid"
    assert daemon.cli("status", "--check").returncode == 0


@pytest.mark.parametrize("platform", USED_UP if LONG else USED_UP[:1])
def test_a_retry_that_was_not_carried_out_is_none(daemon, fakes, platform):
    """A refusal for the moment, and a connection that is refused, say that the token was not
    used; what counts is durable."""
    fake = fakes[platform]
    start(daemon, platform)
    fake.next("token", mode="drop_before")
    fake.next("token", status=503, body="", count=2)
    assert refresh(daemon, platform).status == 502
    until(lambda: len(refreshes(fake)) == 2)
    time.sleep(SHARED_S)
    with refused_connections(fake, "id"):
        daemon.post(f"/oauth/refresh/{platform}/{USER}")
        assert "refused" in until(lambda: "connection" in status(daemon, platform).json().get(
            "trouble", "") and status(daemon, platform).json()["trouble"])
        daemon.stop()
        assert dict(daemon.sql("SELECT platform, attempt FROM refreshes")) == {platform: 1}
    daemon.start()
    until(lambda: "trouble" not in status(daemon, platform).json()
          and len(refreshes(fake)) >= 4)
    assert status(daemon, platform).json()["status"] == "valid"
    assert not events(daemon, "account.reauth_required")


# -- a crash while the platform hangs -----------------------------------------------------------


def kill_while_it_hangs(daemon, fakes, count):
    """kill -9 of the broker when all platforms have so many requests; another one comes."""
    until(lambda: all(len(refreshes(fakes[one])) == count for one in NAMES), 10)
    pid = daemon.broker_pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: daemon.children().get("broker", [pid])[0] != pid, 10)


@pytest.mark.parametrize("kills", [1, 2] if LONG else [1])
def test_a_crash_while_a_platform_hangs(daemon, fakes, kills):
    """After a crash the token is sent once more; when that gets no answer, or the broker dies
    again, it is not sent a third time."""
    for platform in NAMES:
        fakes[platform].set(access_life_s=14)
        start(daemon, platform)
        fakes[platform].next("token", **HANG)
    with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
        pending = [pool.submit(refresh, daemon, platform) for platform in NAMES]
        for kill in range(kills):
            kill_while_it_hangs(daemon, fakes, kill + 1)
        for one in pending:
            one.result()
    for platform in USED_UP:
        said = until(lambda one=platform: "one retry" in status(daemon, one).json().get(
            "trouble", "") and status(daemon, one).json())
        assert said["status"] == "valid", "the old token is served"
    for platform in USED_UP:
        assert "one retry" in until(lambda one=platform: lost(daemon, one))["reason"]
        assert len(refreshes(fakes[platform])) == 2
        used = {one["form"]["refresh_token"] for one in refreshes(fakes[platform])}
        assert len(used) == 1
    assert len(refreshes(fakes["youtube"])) > kills
    assert status(daemon, "youtube").status == 200
    for platform in NAMES:
        fakes[platform].clear()
        fakes[platform].set(access_life_s=7200)
    time.sleep(SHARED_S)
    for platform in NAMES:
        until(lambda one=platform: refresh(daemon, one).status == 200)
    shown = json.loads(daemon.cli("--json", "accounts").stdout)["accounts"]
    assert {one["status"] for one in shown} == {"valid"}
    assert notes(daemon) == {}


def test_logging_out_of_a_login_that_is_lost_and_kept_revokes(daemon, fakes):
    fake = fakes["kick"]
    fake.set(access_life_s=5, old_access="kept")
    start(daemon, "kick")
    fake.next("token", mode="drop_before", count=-1)
    assert refresh(daemon, "kick").status == 502
    until(lambda: lost(daemon, "kick"))
    gone = daemon.delete(f"/oauth/kick/{USER}")
    assert gone.status == 200 and gone.json()["revocation"] == "ok", gone.text
    assert not [one for one in fake.state()["tokens"] if one["live"]]
    assert lost(daemon, "kick").get("status") is None
    fake.clear()
    assert login(daemon, "kick").status == 200
    assert status(daemon, "kick").json()["status"] == "valid"
