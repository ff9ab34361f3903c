"""Consumers of all three ways at one daemon, each killed and started again 100 times at random
while 20,000 events flow: each event is handed over to each, and none a second time without saying
so; in the stream none a second time at all."""
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

from tests.conftest import ROOT
from tests.crash.test_kill_consumers import BOT, check, until_done
from tests.fake import load
from tests.lib.target import Process
from tests.system.consumer_stage import SIGNER, start

COUNT, RATE, KILLS = 20000, 400.0, 100
ACKED_LINE = 27         # a message id and its line end
LAST = 0.9              # no kill is due later in the flow, so that the last one is done in it
PROGRESS_S = 5


class Victim:
    """A consumer that notes what it is given, and its killer. The kills are due at random points
    of the flow, each once so many deliveries have been answered."""

    def __init__(self, name, notes, acked, run, chance):
        self.name, self.run, self.acked = name, run, acked
        self.notes, self.child = pathlib.Path(notes), None
        self.points = sorted(chance.sample(range(COUNT // 100, int(COUNT * LAST)), KILLS))
        self.kills, self.after, self.over = 0, 0, threading.Event()
        self.thread = threading.Thread(target=self.work)

    def size(self):
        return self.notes.stat().st_size if self.notes.exists() else 0

    def work(self):
        self.child = self.run()
        for point in self.points:
            before = self.size()
            while sent(self.acked) < point and not self.over.is_set():
                time.sleep(0.01)
            # Not before it has got something, so most often in the middle of its work.
            end = time.monotonic() + PROGRESS_S
            while self.size() == before and time.monotonic() < end:
                time.sleep(0.005)
            self.after += self.size() > before
            kill(self.child)
            self.kills += not self.over.is_set()
            self.child = self.run()


def sent(acked):
    return acked.stat().st_size // ACKED_LINE if acked.exists() else 0


def kill(child):
    child.kill()
    child.wait()


class Pushed(Process):
    """As a child that is killed like the others."""

    def run(self):
        self.start()
        return self.child


def victims_of(daemon, folder, acked, target):
    seed = int(os.environ.get("STREAMHOLD_SEED", time.time()))
    print(f"seed {seed}")
    chance = random.Random(seed)
    port = str(daemon.api_port)
    commands = {
        "stream": [str(ROOT / "tests/lib/sse.py"), port, str(folder / "stream"), "?after=0"],
        "asking": ["-c", BOT, f"http://127.0.0.1:{port}/consumers/asking",
                   str(folder / "asking"), "0.0005"]}
    runs = {name: lambda more=more: subprocess.Popen(   # pylint: disable=consider-using-with
        [sys.executable, "-S", "-E", *more]) for name, more in commands.items()}
    runs["pushed"] = target.run
    return [Victim(name, folder / name, acked, run, chance) for name, run in runs.items()]


def until_read(daemon, path, timeout=60):
    last = daemon.get("/events?after=now").json()["next_after"]
    end = time.monotonic() + timeout
    while not path.read_text().rsplit("\n", 2)[-2].startswith(f"{last} "):
        assert time.monotonic() < end, path.read_text()[-200:]
        time.sleep(0.1)


def pairs(path):
    """(seq, redelivered); the last line of one that was killed may be cut off."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(int(line[0]), line[1] == "1") for line in lines if len(line) == 2]


def test_a_hundred_kills_of_each_consumer_while_twenty_thousand_events_flow(
        streamhold, folder, plain):
    daemon = start(streamhold, folder, build=plain)
    acked, target = folder / "acked", Pushed(folder / "pushed", work_s=0.0005)
    assert daemon.call("PUT", "/consumers/asking", {"start": "beginning"}).status == 200
    done = daemon.cli("consumers", "add", "pushed", "--forward", target.url, "--allow-private",
                      "127.0.0.1", "--start", "beginning", "--json")
    assert done.returncode == 0, done.stderr
    target.secret = json.loads(done.stdout)["secret"]
    victims = victims_of(daemon, folder, acked, target)
    try:
        for victim in victims:
            victim.thread.start()
        tally = load.run(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", SIGNER, "all",
                         rate=RATE, connections=8, seconds=COUNT / RATE * 4, count=COUNT,
                         acked=str(acked), again=True)
        for victim in victims:
            victim.over.set()       # kills from here on do not count
            victim.thread.join()
        print(tally, {one.name: (one.kills, one.after) for one in victims})
        for name in ("asking", "pushed"):
            until_done(daemon, name)
        until_read(daemon, folder / "stream")
    finally:
        for victim in victims:
            victim.over.set()
            victim.thread.join()
            kill(victim.child)
        target.close()
    assert tally["acked"] == COUNT
    assert [one.kills for one in victims] == [KILLS] * 3
    # Nearly all of them hit one that was being given events.
    assert min(one.after for one in victims) >= KILLS * 0.9
    dead = json.loads(daemon.cli("consumers", "dead", "pushed", "--json").stdout)
    assert dead["dead_letters"] == []
    check(daemon, pairs(folder / "asking"), COUNT)
    check(daemon, target.noted(), COUNT)
    stored = [str(row[0]) for row in daemon.sql("SELECT seq FROM events ORDER BY seq")]
    lines = [line.split(" ") for line in (folder / "stream").read_text().split("\n")[:-1]]
    assert len(stored) == COUNT and [line[0] for line in lines] == stored
    assert not [line for line in lines if "redelivered" in line[2]]
