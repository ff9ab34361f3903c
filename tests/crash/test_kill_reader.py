"""A reader of the stream that is killed again and again while events flow, with the broker and the
fronts killed in between: it is given every event, each once, in order."""
import os
import random
import signal
import subprocess
import sys
import threading
import time

from tests.conftest import ROOT
from tests.fake import load
from tests.fake.keys import Signer

LONG = bool(os.environ.get("STREAMHOLD_LONG"))
# test_kill_together.py kills readers as often by default, without the daemons.
EVENTS, RATE, KILLS = (20000, 500, 100) if LONG else (1500, 300, 24)
OTHERS = 12             # kills of the broker and of the API's front, in turn
SIGNER = Signer()


class Killer:
    """Keeps readers running, each until a random moment, and the daemons in trouble."""

    def __init__(self, daemon, path, query):
        seed = int(os.environ.get("STREAMHOLD_SEED", time.time()))
        print(f"seed {seed}")
        self.chance = random.Random(seed)
        self.daemon, self.path, self.query = daemon, path, query
        self.pause = (EVENTS / RATE) / KILLS
        self.kills = self.others = 0
        self.process = None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def reader(self):
        return subprocess.Popen(
            [sys.executable, "-S", "-E", str(ROOT / "tests/lib/sse.py"),
             str(self.daemon.api_port), str(self.path), self.query])

    def work(self):
        while not self.done.is_set() or self.kills < KILLS:
            self.process = self.reader()
            time.sleep(self.chance.uniform(0, 2 * self.pause))
            self.process.kill()
            self.process.wait()
            self.kills += 1
            if self.kills % (KILLS // OTHERS) == 0:
                self.trouble()
        self.process = self.reader()    # and one that may finish

    def trouble(self):
        self.others += 1
        children = self.daemon.children()
        victims = children.get("broker" if self.others % 2 else "httpd", [])
        for pid in victims[:1] if self.others % 4 else victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def stop(self):
        self.done.set()
        self.thread.join()


def lines_of(path):
    return path.read_text().split("\n")[:-1] if path.exists() else []


def test_a_killed_reader_gets_each_event_once(streamhold, folder, plain):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    daemon = streamhold({"platforms": {"kick": {"public_key_file": str(key)}}}, build=plain)
    # A port of its own would change with each front; the listener stays open in `up`.
    path, acked = folder / "read", folder / "acked"
    killer = Killer(daemon, path, "?include=foreign,quarantined")
    try:
        tally = load.run(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", SIGNER, "all",
                         rate=RATE, connections=8, seconds=EVENTS / RATE + 60, count=EVENTS,
                         acked=str(acked), again=True)
        killer.stop()
        last = daemon.get("/events?after=now").json()["next_after"]
        end = time.monotonic() + 30
        while time.monotonic() < end:
            lines = lines_of(path)
            if lines and int(lines[-1].split()[0]) == last:
                break
            time.sleep(0.05)
        time.sleep(0.3)         # nothing comes twice at the end either
    finally:
        killer.stop()
        if killer.process:
            killer.process.kill()
            killer.process.wait()
    lines = [line.split(" ") for line in lines_of(path)]
    print(f"{tally}\n{killer.kills} kills, {killer.others} of the daemons, {len(lines)} events")
    daemon.stop()
    stored = daemon.sql("SELECT seq, message_id FROM events ORDER BY seq")
    assert killer.kills >= KILLS and killer.others >= OTHERS
    assert len(stored) == EVENTS and set(acked.read_text().split()) <= {one for _, one in stored}
    assert [(int(seq), one) for seq, one, _ in lines] == stored
    assert not [line for line in lines if "redelivered" in line[2]]
