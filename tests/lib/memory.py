"""Looking for secrets where they must not be: forms of a secret, memory of a process."""
import base64
import os
import pathlib
import re
import struct
import urllib.parse

PIECE = 16
PAGE = os.sysconf("SC_PAGESIZE")


def forms(secret):
    """{form: bytes} of a secret: raw, base64 at three alignments, hex, url-encoded, UTF-16,
    and its pieces of 16 bytes."""
    found = {"raw": secret, "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode()}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret).rstrip(b"=")
        found[f"base64+{shift}"] = encoded[-(-shift * 8 // 6) + (1 if shift else 0):-1]
    quoted = urllib.parse.quote(secret, safe="").encode()
    if quoted != secret:
        found["url"] = quoted
    found["utf16"] = b"".join(bytes([byte, 0]) for byte in secret)
    for at in range(0, len(secret) - PIECE + 1, PIECE):
        found[f"piece@{at}"] = secret[at:at + PIECE]
    return found


def hits(data, secrets):
    """[(name, form, count)] of what is in the bytes; secrets: {name: bytes}."""
    return [(name, form, data.count(text)) for name, secret in secrets.items()
            for form, text in forms(secret).items() if text in data]


def regions(pid):
    """(start, end, label) of what a process can write."""
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
        if found and found.group(3)[0] == "r" and found.group(3)[1] == "w":
            yield int(found.group(1), 16), int(found.group(2), 16), found.group(4)


def present(pid, start, end):
    """[[start, end]] of the pages of a range that were ever used."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as file:
        file.seek(start // PAGE * 8)
        entries = file.read((end - start) // PAGE * 8)
    runs = []
    for number, entry in enumerate(struct.unpack(f"={len(entries) // 8}Q", entries)):
        at = start + number * PAGE
        if not entry >> 62:         # neither in memory nor in swap
            continue
        if runs and runs[-1][1] == at:
            runs[-1][1] = at + PAGE
        else:
            runs.append([at, at + PAGE])
    return runs


def contents(pid, start, end):
    """The bytes of a range, without pages that were never used; short when the process ends or
    unmaps it meanwhile."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for first, last in present(pid, start, end):
            try:
                file.seek(first)
                parts.append(file.read(last - first))
            except OSError:
                break
    return (b"\0" * 64).join(parts)


def memory(pid):
    """What a process can write, as it is now; for root."""
    return (b"\0" * 64).join(contents(pid, start, end) for start, end, _ in regions(pid))


def places(pid, text):
    """Where the bytes are: [(label, address, what stands around them)]; for a failed test."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for start, end, label in regions(pid):
            try:
                file.seek(start)
                data = file.read(end - start)
            except OSError:
                continue
            for match in re.finditer(re.escape(text), data):
                at = match.start()
                found.append((label, hex(start + at), data[max(0, at - 60):at + len(text) + 40]))
    return found
