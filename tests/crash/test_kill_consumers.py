"""Consumers and broker are killed again and again while events flow: each event is handed over,
and none a second time without saying so. By named consumer and by push."""
import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

from tests.conftest import ROOT
from tests.fake import load
from tests.lib.target import Process
from tests.system.consumer_stage import SIGNER, start

LONG = bool(os.environ.get("STREAMHOLD_LONG"))
# The broker is killed too; test_kill_together.py has the full number of both without that.
COUNT, KILLS = (20000, 100) if LONG else (1000, 6)
RATE = 200.0

# A bot: notes what it got before it acknowledges. Killed at any moment.
BOT = """
import json, sys, time, urllib.request
base, notes, work_s = sys.argv[1], open(sys.argv[2], "a"), float(sys.argv[3])

def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"Content-Type": "application/json"},
                                     method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)

while True:
    try:
        page = call("GET", "/events?limit=50")
        for event in page["events"]:
            notes.write(f'{event["seq"]} {int("redelivered" in event["flags"])}\\n')
            notes.flush()
            time.sleep(work_s)
        if page["events"]:
            call("POST", "/ack", {"seq": page["next_after"]})
        else:
            time.sleep(0.02)
    except OSError:
        time.sleep(0.02)
"""


class Killer:
    """Calls the victims' functions in turn at random moments until it has killed so often."""

    def __init__(self, kills, pause, *victims):
        seed = int(os.environ.get("STREAMHOLD_SEED", time.time()))
        print(f"seed {seed}")
        self.chance, self.kills, self.pause, self.victims = random.Random(seed), kills, pause, victims
        self.count = collections.Counter()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        for number in range(self.kills * len(self.victims)):
            time.sleep(self.chance.uniform(*self.pause))
            victim = self.victims[number % len(self.victims)]
            victim()
            self.count[victim.__name__] += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join()
        print(dict(self.count))


def kill_broker_of(daemon):
    def kill_broker():
        for pid in daemon.children().get("broker", []):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    return kill_broker


def send(daemon, folder):
    """COUNT deliveries; ends when all were sent."""
    result = load.run(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", SIGNER, rate=RATE,
                      connections=8, seconds=COUNT / RATE * 4 + 60, count=COUNT,
                      acked=str(folder / "acked"), again=True)
    print(result)
    assert result["acked"] > COUNT * 0.9


def stored(daemon):
    daemon.stop()
    assert daemon.sql("PRAGMA integrity_check") == [("ok",)]
    return [row[0] for row in daemon.sql("SELECT seq FROM events ORDER BY seq")]


def check(daemon, got, count=COUNT):
    """got: (seq, redelivered) in the order in which they came."""
    seen, unmarked = set(), []
    for seq, marked in got:
        if seq in seen and not marked:
            unmarked.append(seq)
        seen.add(seq)
    wanted = stored(daemon)
    print(f"{len(wanted)} stored, {len(got)} handed over, {sum(mark for _, mark in got)} marked")
    assert len(wanted) > count * 0.9
    assert not set(wanted) - seen, f"never handed over: {sorted(set(wanted) - seen)[:10]}"
    assert not unmarked, f"twice, and not said: {unmarked[:10]}"
    assert len(got) > len(wanted)       # the kills did hit something


def until_done(daemon, name, timeout=60):
    """However long it takes, as long as it goes on."""
    least, end = None, time.monotonic() + timeout
    while time.monotonic() < end:
        answer = daemon.get(f"/consumers/{name}")
        lag = answer.json()["lag"] if answer.status == 200 else least
        if lag == 0:
            return
        if lag is not None and (least is None or lag < least):
            least, end = lag, time.monotonic() + timeout
        time.sleep(0.1)
    raise AssertionError(answer.text)


def test_killed_consumer_and_broker_lose_nothing(streamhold, folder, plain):
    daemon = start(streamhold, folder, build=plain)
    assert daemon.call("PUT", "/consumers/bot", {"start": "beginning"}).status == 200
    notes = folder / "notes"
    bot = [None]

    def run_bot():
        bot[0] = subprocess.Popen([sys.executable, "-c", BOT,
                                   f"http://127.0.0.1:{daemon.api_port}/consumers/bot",
                                   str(notes), "0.01"], cwd=ROOT)

    def kill_bot():
        """Not before it has got something, and likely in the middle of its work."""
        before, end = notes.stat().st_size if notes.exists() else 0, time.monotonic() + 5
        while time.monotonic() < end and \
                not (notes.exists() and notes.stat().st_size > before):
            time.sleep(0.001)
        bot[0].kill()
        bot[0].wait()
        run_bot()

    run_bot()
    try:
        span = COUNT / RATE / (2 * KILLS)
        with Killer(KILLS, (span * 0.5, span * 1.4), kill_bot, kill_broker_of(daemon)):
            send(daemon, folder)
        until_done(daemon, "bot")
    finally:
        bot[0].kill()
        bot[0].wait()
    # The last line of a bot that was killed may be cut off, and is then not handed over.
    lines = [line.split() for line in notes.read_text().splitlines()]
    check(daemon, [(int(line[0]), line[1] == "1") for line in lines if len(line) == 2])


def test_killed_target_and_broker_lose_nothing(streamhold, folder, plain):
    """The program that is pushed to is a process that is killed, most often in the middle of its
    work: it has noted an event then and has not answered."""
    daemon = start(streamhold, folder, build=plain)
    target = Process(folder / "notes", work_s=0.004)

    def kill_target():
        before, end = target.size(), time.monotonic() + 5
        while time.monotonic() < end and target.size() == before:
            time.sleep(0.001)
        target.kill()
        time.sleep(0.05)        # while nobody is there
        target.start()

    done = daemon.cli("consumers", "add", "bot", "--forward", target.url, "--allow-private",
                      "127.0.0.1", "--start", "beginning", "--json")
    assert done.returncode == 0, done.stderr
    target.secret = json.loads(done.stdout)["secret"]
    target.start()
    try:
        span = COUNT / RATE / (2 * KILLS)
        with Killer(KILLS, (span * 0.5, span * 1.4), kill_target, kill_broker_of(daemon)):
            send(daemon, folder)
        until_done(daemon, "bot")
    finally:
        target.close()
    assert json.loads(daemon.cli("consumers", "dead", "bot", "--json").stdout)["dead_letters"] == []
    check(daemon, target.noted())
