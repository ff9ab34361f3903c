"""Where secrets lie in a process, and what the kernel does with the pages (/proc/PID/smaps)."""
import pathlib
import re
from typing import NamedTuple

from tests.lib import memory

HEAD = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)")


class Mapping(NamedTuple):
    start: int
    end: int
    label: str
    flags: frozenset
    locked_kb: int


def mappings(pid):
    """What a process can write."""
    found, head, locked = [], None, 0
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        match = HEAD.match(line)
        if match:
            head = match
        elif line.startswith("Locked:"):
            locked = int(line.split()[1])
        elif line.startswith("VmFlags:") and head.group(3).startswith("rw"):
            found.append(Mapping(int(head.group(1), 16), int(head.group(2), 16), head.group(4),
                                 frozenset(line.split()[1:]), locked))
    return found


def holders(pid, secrets):
    """[(mapping, names of the secrets in it, in any piece of 16 bytes)]"""
    found = []
    for mapping in mappings(pid):
        data = memory.contents(pid, mapping.start, mapping.end)
        names = {name for name, value in secrets.items()
                 if any(value[at:at + memory.PIECE] in data
                        for at in range(0, len(value) - memory.PIECE + 1, memory.PIECE))}
        if names:
            found.append((mapping, names))
    return found


def status_kb(pid, name):
    """A figure of /proc/PID/status."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))
