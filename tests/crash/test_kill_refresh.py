"""kill -9 of the broker at random instants of a refresh, under the platforms' policies: a login
is kept wherever that is possible, and a token is never used more often than it must be."""
import collections
import os
import random
import signal
import threading
import time

import pytest

from tests.lib.platforms import USER, login, put_credentials

LONG = bool(os.environ.get("STREAMHOLD_LONG"))
SECONDS = 60 if LONG else 10             # for each policy
MOST_MS = 40                           # a refresh takes less


def status(daemon):
    return daemon.get(f"/oauth/status/kick/{USER}")


def settled(daemon):
    """The state once nothing is in doubt any more."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        answer = status(daemon)
        if answer.status == 404 or (answer.status == 200 and "trouble" not in answer.json()):
            rows = daemon.cli("inspect", "--json").stdout
            if '"refreshing": 0' in rows:
                return answer
        time.sleep(0.02)
    raise AssertionError("never settles:\n" + daemon.text_log()[-3000:])


def kill_during_refresh(daemon, chance):
    """Asks for a refresh and kills the broker some time after."""
    asking = threading.Thread(
        target=lambda: daemon.post(f"/oauth/refresh/kick/{USER}"), daemon=True)
    pid = daemon.broker_pid()
    asking.start()
    time.sleep(chance.uniform(0, MOST_MS / 1000))
    os.kill(pid, signal.SIGKILL)
    asking.join(30)


def begin(streamhold, fakes, folder, rotation):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon, ["kick"])
    fakes["kick"].set(rotation=rotation, grace_s=30)
    put_credentials(daemon, "kick")
    assert login(daemon, "kick").status == 200
    return daemon


@pytest.mark.parametrize("rotation", ["never", "grace", "family"])
def test_kill_at_random_instants(streamhold, fakes, folder, rotation):
    seed = int(os.environ.get("STREAMHOLD_SEED", time.time()))
    print(f"seed {seed}")
    chance = random.Random(seed)
    daemon = begin(streamhold, fakes, folder, rotation)
    fake = fakes["kick"]
    rounds = lost = cut_off = 0
    end = time.monotonic() + SECONDS
    # Longer where the machine is so slow that hardly a refresh was hit.
    while time.monotonic() < end or (time.monotonic() < end + 60 and (
            rounds < 5 or "was cut off" not in daemon.text_log())):
        rounds += 1
        kill_during_refresh(daemon, chance)
        answer = settled(daemon)
        if answer.status == 404:
            lost += 1
            assert rotation == "family", daemon.text_log()[-3000:]
            assert answer.json()["status"] == "reauth_required"
            assert login(daemon, "kick").status == 200
        else:
            # What is kept is alive at the platform.
            live = [token for token in fake.state()["tokens"]
                    if token["use"] == "access" and token["live"]]
            assert live
    sent = [one["form"]["refresh_token"] for one in fake.asked("token")
            if one["form"].get("grant_type") == "refresh_token"]
    uses = collections.Counter(sent)
    cut_off = daemon.text_log().count("was cut off")
    print(f"{rotation}: {rounds} kills, {cut_off} during a refresh, {lost} logins lost, "
          f"{len(sent)} requests")
    assert rounds >= 5 and cut_off >= 1
    if rotation == "family":
        assert max(uses.values()) <= 3      # the one retry, and once more as the one before
        assert lost <= cut_off
    time.sleep(1)
    daemon.stop()
    assert daemon.sql("PRAGMA integrity_check") == [("ok",)]
    assert daemon.sql("SELECT count(*) FROM refreshes") == [(0,)]


def test_note_found_at_start_is_resolved(streamhold, fakes, folder):
    """The broker dies while the platform takes its time; the next one asks once more."""
    daemon = begin(streamhold, fakes, folder, "never")
    fake = fakes["kick"]
    fake.next("token", mode="hang")
    asking = threading.Thread(
        target=lambda: daemon.post(f"/oauth/refresh/kick/{USER}"), daemon=True)
    asking.start()
    while len(fake.asked("token")) < 2:
        time.sleep(0.01)
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    daemon.wait_log("was cut off")
    end = time.monotonic() + 10
    while len(fake.asked("token")) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    asking.join(30)
    assert settled(daemon).status == 200
    used = [one["form"]["refresh_token"] for one in fake.asked("token")[1:]]
    assert len(set(used)) == 1 and len(used) in (2, 3)
