"""kill -9 of the broker at each system call of a refresh, under three policies of the platform.
Whatever call was the last: the login is kept wherever it can be, the token that is handed out
works, and the platform is asked once more at most."""
import collections
import select
import signal
import subprocess
import time

import pytest

from tests.crash.refresh_stage import EACH, LONG, check_rest, make   # noqa: F401

SWEEP_S = 120           # for the calls under one policy at Kick: mostly enough for all of them
LEAST = {"kick": 40, "twitch": 10, "youtube": 10}       # kills, however busy the machine is
TRIES = 3               # for a call that something else came before


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


def trace(broker, build, *words):
    """The stops of a whole refresh, or of another command, from its connection to its answer."""
    broker.start()
    broker.rest()
    tracer = Tracer(broker, build)
    done = broker.cli(*(words or ("refresh", broker.prepared.account)))
    assert done.returncode == 0, done.stderr
    assert not tracer.end()
    broker.stop()
    return tracer.lines


def way(lines, place):
    """What the place's thread had done to the world when it came there. When it waits and
    looks differs from run to run."""
    own = [line for line in lines[:lines.index(place) + 1] if line.split()[0] == place.split()[0]]
    return [line.split()[1::2] for line in own if line.endswith("effect")]


def kill_at(broker, build, place, *words):
    """Whether the broker was killed there; all its stops until then."""
    broker.start()
    broker.rest()
    tracer = Tracer(broker, build, place)
    asking = subprocess.Popen(broker.command(*(words or ("refresh", broker.prepared.account))),
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
def test_kill_at_each_system_call(make, plain, platform, rotation, record_property):
    """At Kick as many as the time allows, at the others a thinner choice; all in the long run.
    The end of a run says how many were left out."""
    prepared, broker = make(platform, rotation)
    places = trace(broker, plain)
    assert len(places) > 100
    wanted = {"old", "new", "lost" if rotation == "family" else "again"}
    ends, missed, strayed = sweep(prepared, broker, plain, rotation, places,
                                  SWEEP_S if platform == "kick" else 0, wanted)
    kills = sum(ends.values())
    record_property("left_out", len(places) - kills - len(missed))
    record_property("left_out_of", len(places))
    print(f"{platform} {rotation}: {kills} kills at {len(places)} stops, {len(missed)} not "
          f"reached, {len(strayed)} by another way, {dict(ends)}")
    assert kills >= (len(places) - 5 if LONG else LEAST[platform])
    assert len(strayed) <= kills // 4
    assert wanted <= set(ends), "the sweep spans the whole of a refresh"
