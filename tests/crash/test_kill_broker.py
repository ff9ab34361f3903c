"""kill -9 under load: nothing that was answered 200 is missing, no message id is there twice."""
import collections
import os
import random
import signal
import time

from tests.fake import load
from tests.fake.keys import Signer

KILLS = 300 if os.environ.get("STREAMHOLD_LONG") else 50
SIGNER = Signer()


def stored_ids(daemon):
    assert daemon.sql("PRAGMA integrity_check") == [("ok",)]
    return [row[0] for row in daemon.sql("SELECT message_id FROM events")]


def run_with_kills(daemon, folder, victim, kills, rate, pause):
    """Sends at a rate while `victim` is killed again and again at random moments."""
    import threading
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
    seconds = kills * (pause[1] + 0.25) + 5
    killer = threading.Thread(target=kill)
    killer.start()
    result = None
    try:
        while not done.is_set():
            result = load.run(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", SIGNER,
                              rate=rate, connections=16, seconds=min(5, seconds),
                              acked=str(acked), again=True)
    finally:
        done.set()
        killer.join()
    print(f"last load: {result}")
    return killed[0], acked.read_text().split()


def check(daemon, folder, victim, kills, pause):
    killed, acked = run_with_kills(daemon, folder, victim, kills, 500, pause)
    daemon.stop()
    ids = stored_ids(daemon)
    twice = [one for one, times in collections.Counter(ids).items() if times > 1]
    missing = set(acked) - set(ids)
    print(f"{killed} kills, {len(acked)} answered 200, {len(ids)} stored")
    assert killed >= kills
    assert len(acked) > 20 * kills
    assert not missing, f"{len(missing)} of {len(acked)} acknowledged deliveries are lost"
    assert not twice


def make(streamhold, folder, plain):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    return streamhold({"platforms": {"kick": {"public_key_file": str(key)}}}, build=plain)


def test_killed_broker_loses_nothing_that_was_answered(streamhold, folder, plain):
    check(make(streamhold, folder, plain), folder, "broker", KILLS, (0.05, 0.3))


def test_killed_fronts_lose_nothing_that_was_answered(streamhold, folder, plain):
    check(make(streamhold, folder, plain), folder, "httpd", 20, (0.1, 0.4))
