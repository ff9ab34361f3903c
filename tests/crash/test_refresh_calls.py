"""kill -9 of the broker at each system call of a refresh, and at random instants, under three
policies of the platform. Whatever call was the last: the login is kept wherever it can be, the
token that is handed out works, and the platform is asked once more at most."""
import collections
import os
import random
import select
import signal
import subprocess
import time

import pytest

from tests.crash.lone_broker import LoneBroker, Prepared

LONG = bool(os.environ.get("STREAMHOLD_LONG"))
# family: single use, a second use ends the grant. Google does not rotate (facts C.5), what Twitch
# does is reported both ways (A.5).
KICK = [("kick", "never"), ("kick", "grace"), ("kick", "family")]
OTHERS = [("twitch", "family"), ("youtube", "never")]
MORE = [("twitch", "never"), ("twitch", "grace")]
EACH = KICK + OTHERS + (MORE if LONG else [])
SWEEP_S = 20            # for the calls under one policy at Kick, which take about so long
LEAST = {"kick": 40, "twitch": 10, "youtube": 10}       # kills, however busy the machine is
INSTANTS = 200 if LONG else 10
TRIES = 3               # for a call that something else came before


@pytest.fixture
def make(streamhold, fakes, folder, plain):
    """A prepared login and a broker for it, by policy."""
    if os.geteuid() != 0:
        pytest.skip("the broker is not dumpable: tracing it needs root")
    brokers = []

    def start(platform, rotation, refreshed=False):
        prepared = Prepared(streamhold, fakes, folder, plain, rotation, refreshed,
                            platform=platform)
        brokers.append(LoneBroker(prepared, plain))
        return prepared, brokers[-1]

    yield start
    for broker in brokers:
        broker.close()


class Tracer:
    """kill_at_call on a broker; `place` is a line of an earlier trace, or None."""

    def __init__(self, broker, build, place=None):
        self.process = subprocess.Popen(
            [str(build / "tests" / "kill_at_call"), str(broker.process.pid),
             *(place.split()[:4] if place else [])], stdout=subprocess.PIPE, text=True)
        self.lines = []
        assert self.process.stdout.readline() == "ready\n"

    def end(self):
        """Lets go; whether it has killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.lines = self.process.stdout.read().splitlines()
        self.process.wait(10)
        return bool(self.lines) and self.lines[-1] == "killed"


def trace(broker, build):
    """The stops of a whole refresh, from the command's connection to its answer."""
    broker.start()
    broker.rest()
    tracer = Tracer(broker, build)
    done = broker.cli("refresh", broker.prepared.account)
    assert done.returncode == 0, done.stderr
    assert not tracer.end()
    broker.stop()
    return tracer.lines


def way(lines, place):
    """What the place's thread had done to the world when it came there. When it waits and
    looks differs from run to run."""
    own = [line for line in lines[:lines.index(place) + 1] if line.split()[0] == place.split()[0]]
    return [line.split()[1::2] for line in own if line.endswith("effect")]


def kill_at(broker, build, place):
    """Whether the broker was killed there; all its stops until then."""
    broker.start()
    broker.rest()
    tracer = Tracer(broker, build, place)
    asking = subprocess.Popen(broker.command("refresh", broker.prepared.account),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while asking.poll() is None and tracer.process.poll() is None:
        assert time.monotonic() < deadline
        select.select([], [], [], 0.002)
    killed = tracer.end()
    asking.kill()       # it may wait for a broker to accept it
    asking.wait(10)
    if killed:
        broker.process.wait(10)
    else:
        # The tracer may be let go between its kill and its word of it.
        killed = broker.stop(or_killed=True) == -signal.SIGKILL
    return killed, tracer.lines


def check_rest(prepared, broker, rotation):
    """Starts a broker after a kill and holds it to what is promised. How it ended."""
    prepared.fake.settle()      # a request may have been on its way when the broker died
    stored = prepared.is_stored()
    noted = prepared.look("SELECT count(*) FROM refreshes") != [(0,)]
    spent = stored or prepared.spent()
    before = len(prepared.refreshes())
    assert not (stored and noted), "fresh tokens and the note of their refresh"
    assert noted or stored or before == 0, "a token was sent without a note"
    broker.start()
    assert broker.come_to_rest() == noted, broker.log()
    account = broker.account()
    used = collections.Counter(prepared.refreshes())
    lost = rotation == "family" and spent and not stored
    # One retry, and where that is refused the token before, once.
    again = lost and prepared.has_previous and prepared.platform != "twitch"
    tries = 0 if not noted else 2 if again else 1
    assert len(prepared.refreshes()) - before == tries, broker.log()
    assert max(used.values(), default=0) <= 2
    handed = broker.cli("token", "get", prepared.account)
    if lost:
        how = "lost"
        assert account["status"] == "reauth_required", broker.log()
        assert account["reason"] and account["since"]
        assert handed.returncode == 4 and not handed.stdout
    else:
        how = "new" if stored else "old" if not noted else "again"
        assert account["status"] == "valid", broker.log()
        assert handed.returncode == 0, handed.stderr
        assert prepared.token_works(handed.stdout.strip()), broker.log()
    broker.stop()
    rows = dict(prepared.daemon.sql("SELECT name, length(sealed) FROM secrets"))
    assert prepared.daemon.sql("SELECT count(*) FROM refreshes") == [(0,)]
    assert (f"token/{prepared.account}" in rows) == (how != "lost")
    assert prepared.daemon.sql("PRAGMA integrity_check") == [("ok",)]
    return how


def sweep(prepared, broker, build, rotation, places, seconds, wanted):
    """Kills at the places until the time is over and enough was seen, all wanted ends too; in the
    long run at all of them. How the kills ended, the places that were not reached, and those
    where the thread had come another way than in the trace (a timer in between)."""
    ends, missed, strayed = collections.Counter(), [], []
    until = time.monotonic() + seconds

    def is_enough():
        kills = sum(ends.values())
        return (kills >= LEAST[prepared.platform] and len(strayed) <= kills // 4
                and wanted <= set(ends))

    for place in spread(places):
        if not LONG and time.monotonic() > until and is_enough():
            break
        killed = straight = False
        for _ in range(TRIES):
            prepared.restore()
            killed, lines = kill_at(broker, build, place)
            straight = killed and way(lines, place) == way(places, place)
            if straight:
                break
        if not killed:
            missed.append(place)
            continue
        if not straight:
            strayed.append(place)
        try:
            ends[check_rest(prepared, broker, rotation)] += 1
        except AssertionError as err:
            raise AssertionError(f"killed at '{place}': {err}") from None
    return ends, missed, strayed


def spread(places):
    """Every 2^k-th first, then those between."""
    order, step = [], 1
    while step < len(places):
        step *= 2
    seen = set()
    while step >= 1:
        for index in range(0, len(places), step):
            if index not in seen:
                seen.add(index)
                order.append(places[index])
        step //= 2
    return order


@pytest.mark.parametrize("platform, rotation", EACH)
def test_kill_at_each_system_call(make, plain, platform, rotation):
    """At Kick as many as the time allows, at the others a thinner choice; all in the long run."""
    prepared, broker = make(platform, rotation)
    places = trace(broker, plain)
    assert len(places) > 100
    wanted = {"old", "new", "lost" if rotation == "family" else "again"}
    ends, missed, strayed = sweep(prepared, broker, plain, rotation, places,
                                  SWEEP_S if platform == "kick" else 0, wanted)
    kills = sum(ends.values())
    print(f"{platform} {rotation}: {kills} kills at {len(places)} stops, {len(missed)} not "
          f"reached, {len(strayed)} by another way, {dict(ends)}")
    assert kills >= (len(places) - 5 if LONG else LEAST[platform])
    assert len(strayed) <= kills // 4
    assert wanted <= set(ends), "the sweep spans the whole of a refresh"


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
    while sum(ends.values()) < INSTANTS or (len(ends) < 2 and sum(ends.values()) < 5 * INSTANTS):
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
