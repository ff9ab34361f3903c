"""The protocol between the processes, spoken from Python: frames, MessagePack, messages.

Fields are taken from proto/messages.def, so a message is a name and a dictionary here as
it is a struct there. Only for tests.
"""

import re
import socket
import struct
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def load_messages():
    """{name: (number, [(field, kind)])} and {number: name}."""
    messages = {}
    numbers = {}
    for line in (ROOT / "proto" / "messages.def").read_text().splitlines():
        found = re.match(r"MESSAGE\((\w+), (\d+),", line)
        if found:
            messages[found[1]] = (int(found[2]), [])
            numbers[int(found[2])] = found[1]
        found = re.match(r"\t(?:FIELD|MAYBE)\((\w+), (\w+), (\w+),", line)
        if found:
            messages[found[1]][1].append((found[3], found[2]))
    return messages, numbers


MESSAGES, NUMBERS = load_messages()


def pack(value, kind=None) -> bytes:
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value) if value > 127 else bytes([value])
    if isinstance(value, str):
        value = value.encode()
        if kind == "text":
            return pack_text(value)
    if kind == "text":
        return pack_text(value)
    return b"\xc6" + struct.pack(">I", len(value)) + value


def pack_text(raw: bytes) -> bytes:
    if len(raw) < 32:
        return bytes([0xA0 | len(raw)]) + raw
    return b"\xdb" + struct.pack(">I", len(raw)) + raw


SIZES = {0xC4: (">B", 1), 0xC5: (">H", 2), 0xC6: (">I", 4), 0xD9: (">B", 1), 0xDA: (">H", 2),
         0xDB: (">I", 4)}
INTEGERS = {0xCC: (">B", 1), 0xCD: (">H", 2), 0xCE: (">I", 4), 0xCF: (">Q", 8)}


def unpack(raw: bytes, at: int):
    """One value and the place behind it. Texts come as str, bytes as bytes."""
    first = raw[at]
    at += 1
    if first < 0x80:
        return first, at
    if first in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[first], at
    if first in INTEGERS:
        form, size = INTEGERS[first]
        return struct.unpack(form, raw[at:at + size])[0], at + size
    if 0xA0 <= first < 0xC0:
        length = first & 31
    else:
        form, size = SIZES[first]
        length = struct.unpack(form, raw[at:at + size])[0]
        at += size
    piece = raw[at:at + length]
    is_text = first < 0xC0 or first >= 0xD9
    return piece.decode(errors="surrogateescape") if is_text else piece, at + length


def encode(name: str, rid: int, /, **fields) -> bytes:
    number, row = MESSAGES[name]
    unknown = set(fields) - {field for field, _ in row}
    assert not unknown, unknown
    defaults = {"flag": False, "u32": 0, "u64": 0}
    count = 2 + len(row)
    head = bytes([0x90 | count]) if count < 16 else b"\xdc" + struct.pack(">H", count)
    body = head + pack(number) + pack(rid) + b"".join(
        pack(fields.get(field, defaults.get(kind)), kind) for field, kind in row)
    return struct.pack(">I", len(body)) + body


class Message:
    """A decoded message; fields are attributes."""

    def __init__(self, body: bytes):
        at = 1
        if body[0] == 0xDC:
            count = struct.unpack(">H", body[1:3])[0]
            at = 3
        else:
            count = body[0] & 15
        values = []
        for _ in range(count):
            value, at = unpack(body, at)
            values.append(value)
        assert at == len(body)
        self.name = NUMBERS[values[0]]
        self.rid = values[1]
        self.fields = dict(zip((field for field, _ in MESSAGES[self.name][1]), values[2:]))

    def __getattr__(self, name):
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self):
        return f"{self.name}({self.rid}, {self.fields})"


class Channel:
    """The broker's end of a link: connects, says hello, sends and receives."""

    def __init__(self, path, role="broker", frame_max=4 * 1024 * 1024):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.pending = b""
        self.hello = self.receive()
        assert self.hello.name == "hello", self.hello
        self.send("hello", 0, schema=self.hello.schema, program="fake-broker", version="0",
                  role=role, frame_max=frame_max)

    def send(self, name, rid, /, **fields):
        self.socket.sendall(encode(name, rid, **fields))

    def receive(self):
        """The next message; None when the peer closed."""
        while True:
            if len(self.pending) >= 4:
                length = struct.unpack(">I", self.pending[:4])[0]
                if len(self.pending) >= 4 + length:
                    body = self.pending[4:4 + length]
                    self.pending = self.pending[4 + length:]
                    return Message(body)
            more = self.socket.recv(1 << 20)
            if not more:
                return None
            self.pending += more

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
