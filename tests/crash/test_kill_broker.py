"""kill -9 under load: nothing that was answered 200 is missing or damaged, no message id is
there twice, and the load goes on all the while."""
import collections
import os
import random
import signal
import threading
import time

import pytest

from tests.fake import load
from tests.fake.keys import Signer
from tests.lib.stopwatch import Pulse

KILLS = 300 if os.environ.get("STREAMHOLD_LONG") else 50
RATE = 500
# What must be answered of it; what is late at a restart is made up for right after.
SHARE = 0.8
SIGNER = Signer()


def stored_ids(daemon):
    assert daemon.sql("PRAGMA integrity_check") == [("ok",)]
    return [row[0] for row in daemon.sql("SELECT message_id FROM events")]


def run_with_kills(daemon, folder, victim, kills, rate, pause):
    """Sends at a rate while `victim` is killed again and again at random moments. How often
    it was, the ids that were answered 200, and the tallies of the loads."""
    seed = int(os.environ.get("STREAMHOLD_SEED", time.time()))
    print(f"seed {seed}")
    chance = random.Random(seed)
    done = threading.Event()
    killed = [0]

    def kill():
        while killed[0] < kills and not done.is_set():
            time.sleep(chance.uniform(*pause))
            for pid in daemon.children().get(victim, []):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed[0] += 1
                break
        done.set()

    acked = folder / "acked"
    killer = threading.Thread(target=kill)
    killer.start()
    tallies = []
    try:
        while not done.is_set():
            with Pulse() as pulse:
                tallies.append(load.run(
                    f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", SIGNER, rate=rate,
                    connections=16, seconds=5, acked=str(acked), again=True))
            tallies[-1]["lost_seconds"] = pulse.lost
    finally:
        done.set()
        killer.join()
    return killed[0], acked.read_text().split(), tallies


def check(daemon, folder, victim, kills, pause):
    killed, acked, tallies = run_with_kills(daemon, folder, victim, kills, RATE, pause)
    print(tallies)
    events = daemon.events(include="foreign")
    daemon.stop()
    ids = stored_ids(daemon)
    twice = [one for one, times in collections.Counter(ids).items() if times > 1]
    missing = set(acked) - set(ids)
    total = {name: sum(tally[name] for tally in tallies)
             for name in ("acked", "sent", "errors", "seconds", "lost_seconds")}
    print(f"{killed} kills, {total}, {len(ids)} stored")
    assert killed >= kills
    assert len(acked) == total["acked"]
    assert not missing, f"{len(missing)} of {len(acked)} acknowledged deliveries are lost"
    assert not twice
    # Read as consumers read them: every delivery is whole.
    assert {event["id"] for event in events} >= set(acked)
    assert not [event["id"] for event in events if "damaged" in event["flags"]]
    assert total["acked"] >= SHARE * RATE * (total["seconds"] - total["lost_seconds"])


def make(streamhold, folder, plain):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    return streamhold({"platforms": {"kick": {"public_key_file": str(key)}}}, build=plain)


@pytest.mark.alone      # it needs its share of the machine to keep the rate
def test_killed_broker_loses_nothing_that_was_answered(streamhold, folder, plain):
    check(make(streamhold, folder, plain), folder, "broker", KILLS, (0.05, 0.3))


@pytest.mark.alone
def test_killed_fronts_lose_nothing_that_was_answered(streamhold, folder, plain):
    check(make(streamhold, folder, plain), folder, "httpd", 20, (0.1, 0.4))
