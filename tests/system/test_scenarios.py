"""Scenarios of facts/twitch-google-standards.md F.4 that no other file has, for each platform. The
whole list is in f4.py."""
import concurrent.futures
import datetime
import subprocess
import time

import pytest

from tests.fake.client import approve
from tests.fake.script import MODES
from tests.lib.platforms import NAMES, USER, follow, login, put_credentials

ISSUERS = {"twitch": "https://id.twitch.tv/oauth2", "kick": "https://id.kick.com",
           "youtube": "https://accounts.google.com"}
# Modes after which the platform has given the answer all the same.
HARMLESS = {"pass", "slow", "drip"}
HANGING = {"hang", "hang_after_commit"}
MOST_S = 16.0
ASKERS = 50


@pytest.fixture(params=NAMES)
def platform(request):
    return request.param


@pytest.fixture
def daemon(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    for name in NAMES:
        put_credentials(daemon, name)
    return daemon


def refreshes(fake):
    return [one for one in fake.asked("token")
            if one["form"].get("grant_type") == "refresh_token"]


def status(daemon, platform):
    return daemon.get(f"/oauth/status/{platform}/{USER}")


def until(condition, timeout=20):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def location_of(daemon, platform):
    return approve(daemon.get(f"/oauth/start/{platform}/{USER}").json()["auth_url"])


def without_issuer(location):
    base, _, query = location.partition("?")
    return base + "?" + "&".join(part for part in query.split("&") if not part.startswith("iss="))


def test_a_second_code_is_refused_and_consumes_nothing(daemon, platform):
    location = location_of(daemon, platform)
    assert follow(daemon, location + "&code=another").status == 400
    assert follow(daemon, location).status == 200


@pytest.mark.parametrize("issuer", ["right", "absent", "wrong", "prefix"])
def test_the_issuer(daemon, fakes, platform, issuer):
    from urllib.parse import quote
    location = without_issuer(location_of(daemon, platform))
    told = {"right": ISSUERS[platform], "wrong": "https://evil.example",
            "prefix": ISSUERS[platform] + ".evil.example"}.get(issuer)
    answer = follow(daemon, location + (f"&iss={quote(told, safe='')}" if told else ""))
    if issuer in ("right", "absent"):
        assert answer.status == 200
    else:
        assert answer.status == 400
        assert fakes[platform].asked("token") == [], "nothing is sent"
        assert status(daemon, platform).status == 404


def test_an_expired_state_is_refused(streamhold, fakes, folder):
    """And its code is not sent; a state in time is taken."""
    daemon = streamhold(fakes.config(folder, oauth={"state_ttl_s": 3}))
    fakes.register(daemon)
    locations = {}
    for name in NAMES:
        put_credentials(daemon, name)
        locations[name] = location_of(daemon, name)
    time.sleep(3.1)
    for name in NAMES:
        late = follow(daemon, locations[name])
        assert (late.status, late.json()) == (400, {"error": "Invalid state parameter"})
        assert fakes[name].asked("token") == []
        assert status(daemon, name).status == 404
        assert login(daemon, name).status == 200


def test_a_redirect_mismatch_with_a_foreign_state(daemon, fakes, platform):
    """The platform sends the browser to another registered address; the state may be anybody's."""
    path = (f"/oauth/callback/{platform}?error=redirect_mismatch&error_description="
            "Parameter+redirect_uri+does+not+match+registered+URI&state=")
    foreign = daemon.get(path + "foreign")
    assert foreign.status == 400 and foreign.json() == {"error": "Invalid state parameter"}
    state = daemon.get(f"/oauth/start/{platform}/{USER}").json()["state"]
    answer = daemon.get(path + state)
    assert answer.status == 400
    assert f"/oauth/callback/{platform}" in answer.text, "the address to register"
    assert fakes[platform].asked("token") == []


def test_an_exchange_that_fails_and_then_succeeds(daemon, fakes, platform):
    fakes[platform].next("token", status=503, body="")
    location = location_of(daemon, platform)
    assert follow(daemon, location).status == 502
    assert follow(daemon, location).status == 400, "used up"
    assert login(daemon, platform).status == 200
    assert len(fakes[platform].asked("token")) == 2, "a code is sent once"


def test_many_refused_tokens_cause_one_refresh(daemon, fakes, platform):
    """Fifty askers at once; they share the question as well as the refresh."""
    assert login(daemon, platform).status == 200
    fakes[platform].kill(use="access")
    fakes[platform].next("token", mode="slow", delay_s=0.5)
    askers = [subprocess.Popen([daemon.program("streamhold"), "--config",
                                str(daemon.config_file), "accounts", "--ask"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
              for _ in range(ASKERS)]
    for asker in askers:
        _, said = asker.communicate(timeout=60)
        assert asker.returncode == 0, said
    until(lambda: refreshes(fakes[platform]))
    until(lambda: status(daemon, platform).json()["status"] == "valid")
    time.sleep(1)
    assert len(refreshes(fakes[platform])) == 1


def test_a_token_that_died_while_nothing_ran_is_refreshed(daemon, fakes):
    """Twitch wants every token validated at start, and hourly (tests/flow/test_check.c)."""
    assert login(daemon, "twitch").status == 200
    daemon.stop()
    fakes["twitch"].kill(use="access")
    daemon.start()
    until(lambda: refreshes(fakes["twitch"]))
    until(lambda: status(daemon, "twitch").json()["status"] == "valid")
    assert len(refreshes(fakes["twitch"])) == 1


# -- the failure modes of the fakes -----------------------------------------------------------


FAULT = {"answer": {"status": 500, "body": ""}, "slow": {"delay_s": 1}, "drip": {"interval_s": 0.005},
         "raw": {"raw": "junk that is no HTTP\r\n\r\n"}, "hang": {"hold_s": 30},
         "hang_after_commit": {"hold_s": 30}}
QUICK = sorted(set(MODES) - HANGING)


def meet(daemon, fakes, platform, mode):
    """A refresh that meets a failure ends in time, and costs no login."""
    fakes[platform].set(rotation="never") if platform != "youtube" else None
    assert login(daemon, platform).status == 200
    before = status(daemon, platform).json()
    fakes[platform].next("token", mode=mode, **FAULT.get(mode, {}))
    began = time.monotonic()
    answer = daemon.post(f"/oauth/refresh/{platform}/{USER}")
    assert time.monotonic() - began < MOST_S
    if mode in HARMLESS:
        assert answer.status == 200, answer.text
        return
    assert answer.status == 502, answer.text
    after = status(daemon, platform).json()
    assert after["expires_at"] == before["expires_at"] and after["trouble"]
    until(lambda: "trouble" not in status(daemon, platform).json())
    assert status(daemon, platform).json()["expires_at"] > before["expires_at"]
    assert len(refreshes(fakes[platform])) == 2


@pytest.mark.parametrize("mode", QUICK)
def test_failure_modes_during_a_refresh(daemon, fakes, mode):
    """At all platforms side by side, since each is tried again only after seconds."""
    with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(lambda platform: meet(daemon, fakes, platform, mode), NAMES))


@pytest.mark.parametrize("mode", sorted(HANGING))
def test_a_platform_that_hangs_during_a_refresh(daemon, fakes, mode):
    with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(lambda platform: meet(daemon, fakes, platform, mode), NAMES))


@pytest.mark.parametrize("mode", sorted(HANGING))
def test_a_platform_that_hangs_during_an_exchange(daemon, fakes, mode):
    def exchange(platform):
        fakes[platform].next("token", mode=mode, **FAULT[mode])
        began = time.monotonic()
        assert login(daemon, platform).status == 502
        assert time.monotonic() - began < MOST_S
        assert status(daemon, platform).status == 404
        assert login(daemon, platform).status == 200

    with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(exchange, NAMES))


@pytest.mark.parametrize("form", ["long", "special"])
def test_tokens_of_every_form(daemon, fakes, platform, form):
    """The longest and the oddest tokens that the platforms are known to give: stored, sent back to
    the byte, revoked."""
    fake = fakes[platform]
    fake.set(token_form=form, rotation="never" if platform == "youtube" else "strict")
    assert login(daemon, platform).status == 200
    assert daemon.cli("token", "allow", f"{platform}/{USER}").returncode == 0
    assert daemon.post(f"/oauth/refresh/{platform}/{USER}").status == 200
    tokens = fake.state()["tokens"]
    if form == "long":
        assert max(len(one["value"]) for one in tokens) >= 512
    else:
        assert any(set("/%+=&|") & set(one["value"]) for one in tokens)
    [sent] = refreshes(fake)
    assert sent["form"]["refresh_token"] in [one["value"] for one in tokens]
    handed = daemon.cli("token", "get", f"{platform}/{USER}").stdout.strip()
    assert handed == [one["value"] for one in tokens if one["use"] == "access"][-1]
    daemon.stop()
    daemon.start()
    assert daemon.cli("token", "get", f"{platform}/{USER}").stdout.strip() == handed
    assert daemon.delete(f"/oauth/{platform}/{USER}").json()["revocation"] == "ok"
    assert not [one for one in fake.state()["tokens"]
                if one["live"] and one["value"] == handed]


@pytest.mark.parametrize("offset", [-86400, 86400])
def test_a_platform_whose_clock_is_wrong(daemon, fakes, offset):
    """What its Date says moves no expiry and loses no token."""
    for platform in NAMES:
        fakes[platform].set(date_offset_s=offset)
        assert login(daemon, platform).status == 200
        daemon.wait_log(rf"logged in at {platform}.*: The clock of this computer and that of "
                        r"\w+ differ by 86[34]\d\d s")
        for answer in (status(daemon, platform),
                       daemon.post(f"/oauth/refresh/{platform}/{USER}")):
            assert answer.status == 200 and answer.json()["status"] == "valid"
            told = datetime.datetime.fromisoformat(answer.json()["expires_at"])
            life = fakes[platform].state()["settings"]["access_life_s"]
            assert abs(told.timestamp() - time.time() - life) < 30
        assert len(refreshes(fakes[platform])) == 1


@pytest.mark.parametrize("mode", QUICK)
def test_failure_modes_during_an_exchange(daemon, fakes, mode):
    for platform in NAMES:
        fakes[platform].next("token", mode=mode, **FAULT.get(mode, {}))
        answer = login(daemon, platform)
        assert answer.status == (200 if mode in HARMLESS else 502), answer.text
        assert status(daemon, platform).status == (200 if mode in HARMLESS else 404)
        assert login(daemon, platform).status == 200


