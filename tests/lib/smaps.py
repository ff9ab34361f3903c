"""Where secrets lie in a process, and what the kernel does with the pages (/proc/PID/smaps)."""
import os
import pathlib
import re
import struct
from typing import NamedTuple

from tests.lib import memory

PAGE = os.sysconf("SC_PAGESIZE")
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


def present(pid, mapping):
    """[(start, end)] of the pages that are in memory or in swap."""
    first, count = mapping.start // PAGE, (mapping.end - mapping.start) // PAGE
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as file:
        file.seek(first * 8)
        entries = file.read(count * 8)
    runs = []
    for at, entry in enumerate(struct.unpack(f"={len(entries) // 8}Q", entries)):
        if not entry >> 62:
            continue
        start = (first + at) * PAGE
        if runs and runs[-1][1] == start:
            runs[-1][1] = start + PAGE
        else:
            runs.append([start, start + PAGE])
    return runs


def contents(pid, mapping):
    """Its bytes, without pages that were never used; short when the process ends or unmaps it
    meanwhile."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for start, end in present(pid, mapping):
            try:
                file.seek(start)
                parts.append(file.read(end - start))
            except OSError:
                break
    return b"\0".join(parts)


def holders(pid, secrets):
    """[(mapping, names of the secrets in it, in any piece of 16 bytes)]"""
    found = []
    for mapping in mappings(pid):
        data = contents(pid, mapping)
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
