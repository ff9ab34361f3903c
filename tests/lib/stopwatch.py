"""Time as a test may hold a program to it: less what the machine did not give.

The kernel counts how long processes were ready and had to wait, for a processor or for the
disk (pressure stall information). On a quiet machine that is nothing, and a limit is a limit;
on a busy one the limit grows by what was waited for, up to a bound.
"""
import pathlib
import re
import threading
import time

PRESSURE = pathlib.Path("/proc/pressure")
BOUND = 5       # however busy the machine is, this many times the limit is too long


def starved():
    """Seconds so far in which some process waited for the machine. Where the kernel does not
    count them, half of all time is taken for it."""
    total = 0
    for name in ("cpu", "io"):
        try:
            text = (PRESSURE / name).read_text()
        except OSError:
            return time.monotonic() / 2
        total += int(re.search(r"^some .* total=(\d+)", text, re.M)[1])
    return total / 1e6


class Stopwatch:
    def __init__(self):
        self.begin, self.starved = time.monotonic(), starved()

    def wall(self):
        """Seconds on the clock; what a lower limit is held against."""
        return time.monotonic() - self.begin

    def fair(self):
        """Seconds without those in which somebody had to wait for the machine."""
        return max(0.0, self.wall() - (starved() - self.starved))

    def within(self, limit):
        return self.fair() <= limit and self.wall() <= BOUND * limit

    def wait(self, condition, limit, every=0.05):
        """Until it holds; fails when the limit is over before. How long it took."""
        while not condition():
            assert self.within(limit), f"not within {limit} s"
            time.sleep(every)
        return self.wall()


class Pulse:
    """Counts the seconds in which this process was not let run at all: it was stopped, or the
    machine was. For what must keep a rate, where Stopwatch would leave out nearly everything:
    the load itself makes processes wait. Shorter gaps than LATE are the test's own."""
    EVERY, LATE = 0.05, 0.5

    def __enter__(self):
        self.lost, self.over = 0.0, threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)
        self.thread.start()
        return self

    def _beat(self):
        before = time.monotonic()
        while not self.over.wait(self.EVERY):
            gap = time.monotonic() - before - self.EVERY
            if gap > self.LATE:
                self.lost += gap
            before = time.monotonic()

    def __exit__(self, kind, value, trace):
        self.over.set()
        self.thread.join()
