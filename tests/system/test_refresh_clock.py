"""The clock is set while the broker runs: no mass refresh, no login lost. libfaketime moves
the wall clock; the clocks that nobody sets go on as they are."""
import glob
import os
import time

import pytest

from tests.fake.sender import build, send
from tests.lib.platforms import login, put_credentials

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)
ACCOUNTS = 12
DAY = 86400

pytestmark = pytest.mark.skipif(not LIBRARY, reason="the package faketime is not installed")


def refreshes(fake):
    return [one for one in fake.asked("token")
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


NAMES = [f"user{number}" for number in range(ACCOUNTS)]


@pytest.fixture
def daemon(streamhold, fakes, folder, plain, clock):
    """With a clock that can be set, and logins."""
    daemon = streamhold(
        fakes.config(folder), build=plain,
        environment={"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
                     "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"})
    fakes.register(daemon, ["kick"])
    fake = fakes["kick"]
    for number, name in enumerate(NAMES):
        fake.add_user(1000 + number, name)
    put_credentials(daemon, "kick")
    for name in NAMES:
        fake.set(identity=name)
        assert login(daemon, "kick", name).status == 200
    return daemon


@pytest.mark.parametrize("jump", [3600, -3600, 2 * 3600, -2 * 3600, DAY, -DAY, 12 * 366 * DAY])
def test_clock_is_set(daemon, fakes, clock, jump):
    fake, names = fakes["kick"], NAMES
    clock(jump)
    daemon.wait_log("the clock was set by", 15)
    time.sleep(8)
    sent = refreshes(fake)
    per_token = [one["form"]["refresh_token"] for one in sent]
    assert len(set(per_token)) == len(per_token), "at most one for an account"
    if jump < 7200:
        assert not sent
    else:
        assert len(sent) < ACCOUNTS, "spread over a minute"
    for name in names:
        assert daemon.get(f"/oauth/status/kick/{name}").status == 200
    clock(0)
    daemon.wait_log("the clock was set by", 15, count=2)
    time.sleep(2)
    for name in names:
        answer = daemon.post(f"/oauth/refresh/kick/{name}")
        assert answer.status == 200, answer.text
        assert answer.json()["status"] == "valid"


def test_clock_stands_still(daemon, fakes, folder, clock):
    """The source of the wall clock stops: timers go on, tokens stay, nothing is refreshed for
    it; and what is late afterwards is one step of the clock like any other."""
    stopped = time.strftime("%Y-%m-%d %H:%M:%S\n")
    clock(stopped)
    for name in NAMES[:2]:
        assert daemon.post(f"/oauth/refresh/kick/{name}").status == 200
    time.sleep(8)       # several looks at the clock
    assert len(refreshes(fakes["kick"])) == 2
    for name in NAMES:
        answer = daemon.get(f"/oauth/status/kick/{name}")
        assert answer.status == 200 and answer.json()["status"] == "valid"
    reply = send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick",
                 build("channel.followed", fakes.signer))
    assert reply.status == 200
    [event] = daemon.events(include="foreign")
    assert event["received_at"][:19] == stopped.strip().replace(" ", "T")
    clock(0)
    time.sleep(3)
    assert len(refreshes(fakes["kick"])) == 2
    for name in NAMES[2:4]:
        answer = daemon.post(f"/oauth/refresh/kick/{name}")
        assert answer.status == 200 and answer.json()["status"] == "valid"
