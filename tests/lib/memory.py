"""Looking for secrets where they must not be: forms of a secret, memory of a process."""
import base64
import pathlib
import re
import urllib.parse

PIECE = 16


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


def memory(pid):
    """What a process can write, as it is now; for root."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for start, end, _ in regions(pid):
            file.seek(start)
            at = start
            while at < end:
                try:
                    part = file.read(min(end - at, 1 << 20))
                except OSError:
                    break
                if not part:
                    break
                parts.append(part)
                at += len(part)
            parts.append(b"\0" * 64)
    return b"".join(parts)


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
