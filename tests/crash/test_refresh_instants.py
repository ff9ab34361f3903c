"""kill -9 of the broker at random instants of a refresh, under three policies of the platform: what
test_refresh_calls.py says of system calls holds for whatever is between them."""
import collections
import os
import random
import subprocess
import time

import pytest

from tests.crash.refresh_stage import EACH, KICK, LONG, check_rest, make   # noqa: F401

# Of each policy and either refresh: 200 for a policy, and as many for each in the long run.
INSTANTS = 200 if LONG else 100


@pytest.mark.parametrize("refreshed", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("platform, rotation", EACH if LONG else KICK)
def test_kill_at_random_instants_of_a_refresh(make, platform, rotation, refreshed):
    """Of the first refresh after the login, and of one that finds a token before it."""
    seed = int(os.environ.get("STREAMHOLD_SEED", time.time()))
    print(f"seed {seed}")
    chance = random.Random(seed)
    prepared, broker = make(platform, rotation, refreshed)
    broker.start()
    broker.rest()
    began = time.monotonic()
    assert broker.cli("refresh", prepared.account).returncode == 0
    whole = time.monotonic() - began
    broker.stop()
    ends = collections.Counter()
    while sum(ends.values()) < INSTANTS:
        prepared.restore()
        broker.start()
        asking = subprocess.Popen(broker.command("refresh", prepared.account),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, whole))
        broker.kill()
        asking.kill()
        asking.wait(10)
        ends[check_rest(prepared, broker, rotation)] += 1
    print(f"{platform} {rotation}: {sum(ends.values())} kills within {whole * 1000:.0f} ms, "
          f"{dict(ends)}")
    assert len(ends) >= 2
