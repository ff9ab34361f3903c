"""The clock is set while the broker runs: no mass refresh, no login lost. libfaketime moves
the wall clock; the clocks that nobody sets go on as they are."""
import contextlib
import glob
import os
import pathlib
import struct
import time

import pytest

from tests.fake.sender import build, send
from tests.lib.platforms import NAMES, USER, login, put_credentials
from tests.lib.stopwatch import Stopwatch

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)
EACH = 4                # accounts at each platform
LIFE_S = 7200
DAY = 86400
JUMPS = {"hour": 3600, "hour_back": -3600, "two_hours": 7200, "two_hours_back": -7200,
         "day": DAY, "day_back": -DAY,
         # Three seconds before the time that 32 bits cannot count.
         "2038": lambda now: 2**31 - 4 - now, "1970": lambda now: DAY - now}

needs_faketime = pytest.mark.skipif(not LIBRARY, reason="the package faketime is not installed")
SLEPT_S = 20000         # longer than any token lives
LOOKED_S = 1.5          # START_DELAY_MS of validate.c, and some


def refreshes(fakes):
    """The refresh tokens that were sent, in all."""
    return [one["form"]["refresh_token"] for name in NAMES for one in fakes[name].asked("token")
            if one["form"].get("grant_type") == "refresh_token"]


@pytest.fixture
def clock(folder):
    path = folder / "clock"

    def set_to(offset):
        fresh = folder / "clock.new"
        fresh.write_text(offset if isinstance(offset, str) else f"{offset:+d}s\n")
        os.replace(fresh, path)

    set_to(0)
    return set_to


ACCOUNTS = [(platform, f"user{number}") for platform in NAMES for number in range(EACH)]


def remove_shared():
    """What the library of that clock has left of processes that are no more. A process that gets
    the number of one of them could not start."""
    for left in pathlib.Path("/dev/shm").glob("*faketime_*"):
        if not os.path.exists(f"/proc/{left.name.rpartition('_')[2]}"):
            with contextlib.suppress(OSError):      # another lane was faster, or somebody else's
                left.unlink()


@pytest.fixture
def shared_removed():
    remove_shared()
    yield
    remove_shared()


@pytest.fixture
def daemon(shared_removed, streamhold, fakes, folder, plain, clock):
    """With a clock that can be set, and logins. At its end the library of that clock removes what
    it has shared, which a front may not: it dies of it, stopped or not."""
    daemon = streamhold(
        fakes.config(folder), build=plain, sandbox_kills=True,
        environment={"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
                     "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"})
    fakes.register(daemon)
    for platform in NAMES:
        fakes[platform].set(access_life_s=LIFE_S)
        put_credentials(daemon, platform)
    for number, (platform, name) in enumerate(ACCOUNTS):
        fakes[platform].add_user(f"UC0123456789abcdefgh{1000 + number}" if platform == "youtube"
                                 else 1000 + number, name)
        fakes[platform].set(identity=name)
        assert login(daemon, platform, name).status == 200
    return daemon


def secrets(daemon):
    """Names of what is sealed, of a daemon that is stopped."""
    return {name for (name,) in daemon.sql("SELECT name FROM secrets")
            if name.startswith("token/")}


def notice(daemon, count):
    """What changes credentials makes the broker look at its plans, else it does so in a while."""
    put_credentials(daemon, "kick")
    daemon.wait_log("the clock was set by", 15, count=count)


@needs_faketime
@pytest.mark.parametrize("jump", JUMPS)
def test_clock_is_set(daemon, fakes, clock, jump):
    by = JUMPS[jump] if isinstance(JUMPS[jump], int) else int(JUMPS[jump](time.time()))
    clock(by)
    notice(daemon, 1)
    time.sleep(5)       # of the minute over which refreshes would be spread
    sent = refreshes(fakes)
    if by < LIFE_S:
        assert sent == [], "none has less left than before, or too little"
    else:
        assert len(sent) <= len(ACCOUNTS) // 2, "spread over a minute"
    clock(0)
    notice(daemon, 2)
    time.sleep(2)
    sent = refreshes(fakes)
    assert len(set(sent)) == len(sent), "at most one for an account"
    assert by >= LIFE_S or sent == []
    # No token is dropped: all logins are there, and their refresh tokens are good.
    for platform, name in ACCOUNTS:
        answer = daemon.get(f"/oauth/status/{platform}/{name}")
        assert answer.status == 200 and "trouble" not in answer.json(), answer.text
        answer = daemon.post(f"/oauth/refresh/{platform}/{name}")
        assert answer.status == 200, answer.text
        assert answer.json()["status"] == "valid"
    assert len(refreshes(fakes)) <= len(sent) + len(ACCOUNTS)
    assert not [one for one in daemon.events() if one["type"] == "account.reauth_required"]
    daemon.stop()
    assert secrets(daemon) == {f"token/{platform}/{name}" for platform, name in ACCOUNTS}


@needs_faketime
def test_clock_stands_still(daemon, fakes, folder, clock):
    """The source of the wall clock stops: timers go on, tokens stay, nothing is refreshed for
    it; and what is late afterwards is one step of the clock like any other."""
    stopped = time.strftime("%Y-%m-%d %H:%M:%S\n")
    clock(stopped)
    first, second = ACCOUNTS[::EACH], ACCOUNTS[1::EACH]     # one of each platform
    for platform, name in first:
        assert daemon.post(f"/oauth/refresh/{platform}/{name}").status == 200
    time.sleep(8)       # several looks at the clock
    assert len(refreshes(fakes)) == len(first)
    for platform, name in ACCOUNTS:
        answer = daemon.get(f"/oauth/status/{platform}/{name}")
        assert answer.status == 200 and answer.json()["status"] == "valid"
    reply = send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick",
                 build("channel.followed", fakes.signer))
    assert reply.status == 200
    [event] = daemon.events(include="foreign")
    assert event["received_at"][:19] == stopped.strip().replace(" ", "T")
    clock(0)
    time.sleep(3)
    assert len(refreshes(fakes)) == len(first)
    for platform, name in second:
        answer = daemon.post(f"/oauth/refresh/{platform}/{name}")
        assert answer.status == 200 and answer.json()["status"] == "valid"
    daemon.stop()
    assert secrets(daemon) == {f"token/{platform}/{name}" for platform, name in ACCOUNTS}


def test_the_machine_was_suspended(streamhold, fakes, folder, plain):
    """Clocks that go on during suspend have gone on, and timers have not: what is due is done
    soon after waking, once, and not as after a clock that was set."""
    asleep = folder / "asleep"
    asleep.write_bytes(struct.pack("=q", 0))
    daemon = streamhold(
        fakes.config(folder), build=plain,
        environment={"LD_PRELOAD": str(plain / "tests" / "suspend.so"),
                     "STREAMHOLD_SUSPEND": str(asleep)})
    fakes.register(daemon)
    time.sleep(LOOKED_S)    # the logins come after the look at all tokens, and sleep before the next
    for platform in NAMES:
        fakes[platform].set(access_life_s=LIFE_S)
        put_credentials(daemon, platform)
        assert login(daemon, platform).status == 200
    time.sleep(1)
    assert refreshes(fakes) == []
    validated = len(fakes["twitch"].asked("validate"))
    for platform in NAMES:      # which were not asleep
        fakes[platform].set(now_offset_s=SLEPT_S)
    with open(asleep, "r+b") as clock:
        clock.write(struct.pack("=q", SLEPT_S))
    waking = Stopwatch()
    waking.wait(lambda: len(refreshes(fakes)) >= len(NAMES), 12)
    waking.wait(lambda: len(fakes["twitch"].asked("validate")) > validated, 12)
    time.sleep(1)
    assert len(refreshes(fakes)) == len(NAMES)
    for platform in NAMES:
        answer = daemon.get(f"/oauth/status/{platform}/{USER}")
        assert answer.json()["status"] == "valid" and "trouble" not in answer.json()
    assert "the clock was set" not in daemon.text_log()
