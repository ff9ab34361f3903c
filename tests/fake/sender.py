"""Sends signed Kick deliveries: as a module, or ``python3 -m tests.fake.sender --help``.

send() talks over a raw socket and gives back what the server really said. The sender's
key is made new unless --key names a private one; --public writes the half that Streamhold
needs as public_key_file.
"""
import argparse
import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from . import delivery, events
from .delivery import build, build_many
from .keys import Signer

__all__ = ["Reply", "Signer", "build", "build_many", "exchange", "send"]


@dataclass
class Reply:
    """status 0: no answer; error then says why (and headers and body are empty)."""

    status: int
    headers: list
    body: bytes
    error: str = None
    seconds: float = 0.0

    def header(self, name):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None


def read_reply(file):
    """One answer from a socket's file: status line, headers, and the body by its framing."""
    line = file.readline(65537)
    if not line:
        raise ConnectionError("closed without an answer")
    status = int(line.split(b" ", 2)[1])
    headers = []
    while True:
        line = file.readline(65537)
        if line in (b"\r\n", b"\n", b""):
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name, value.strip()))
    if status == 100:
        return read_reply(file)
    reply = Reply(status, headers, b"")
    if (reply.header("transfer-encoding") or "").lower() == "chunked":
        while size := int(file.readline(), 16):
            reply.body += file.read(size)
            file.readline()
        file.readline()
    elif reply.header("content-length") is not None:
        reply.body = file.read(int(reply.header("content-length")))
    elif status not in (204, 304):
        reply.body = file.read()
    return reply


def exchange(host, port, data, timeout=10.0):
    """Sends bytes on a new connection and reads one answer."""
    started = time.monotonic()
    try:
        with socket.create_connection((host, port), timeout) as sock:
            try:
                sock.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass    # refused before all was sent: the answer may be there already
            with sock.makefile("rb") as file:
                reply = read_reply(file)
    except (OSError, ValueError, IndexError) as err:
        reply = Reply(0, [], b"", f"{type(err).__name__}: {err}")
    reply.seconds = time.monotonic() - started
    return reply


def split_url(url):
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"only http:// addresses: {url}")
    return parts.hostname, parts.port or 80, (parts.path or "/") + (
        "?" + parts.query if parts.query else "")


def send(url, one, chunked=False, lower=False, attempts=1, timeout=10.0, pause_s=1.0):
    """Delivers once, or up to attempts times until a 200 (Kick 3.3: 3 was once promised)."""
    host, port, path = split_url(url)
    data = one.wire(path, urlsplit(url).netloc, chunked, lower, close=True)
    for attempt in range(attempts):
        reply = exchange(host, port, data, timeout)
        if reply.status == 200 or attempt == attempts - 1:
            return reply
        time.sleep(pause_s)
    raise ValueError("attempts must be at least 1")


def write_private(path, data):
    """A new file that only its owner can read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python3 -m tests.fake.sender",
                                     description=__doc__.split("\n")[0])
    modes = sorted((*delivery.MODES, *delivery.SERIES))
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", help="private key (PEM); made new when absent")
    parser.add_argument("--public", help="write the public key here (PEM)")
    parser.add_argument("--type", default="channel.followed",
                        help="event type, or 'all': " + ", ".join(events.TYPES))
    parser.add_argument("--mode", default="valid", choices=modes, metavar="MODE",
                        help=", ".join(modes))
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--broadcaster", metavar="ID:NAME", help="whose channel it was")
    parser.add_argument("--chunked", action="store_true")
    parser.add_argument("--lower", action="store_true", help="lower-case header names")
    parser.add_argument("--attempts", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=10.0)
    load = parser.add_argument_group("load mode")
    load.add_argument("--load", action="store_true")
    load.add_argument("--rate", type=float, default=500.0, help="deliveries a second")
    load.add_argument("--connections", type=int, default=16)
    load.add_argument("--seconds", type=float, default=10.0)
    load.add_argument("--acked", help="append the ids answered 200 here, synced")
    load.add_argument("--again", action="store_true",
                      help="repeat a delivery that got no answer, under the same id")
    load.add_argument("--presign", action="store_true",
                      help="sign everything before the clock starts")
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse(arguments)
    signer = Signer.load(args.key) if args.key else Signer()
    if args.public:
        with open(args.public, "w", encoding="ascii") as file:
            file.write(signer.public_pem + "\n")
    broadcaster = None
    if args.broadcaster:
        number, _, name = args.broadcaster.partition(":")
        broadcaster = events.person(int(number), name or "streamer")
    if args.load:
        from .load import run
        result = run(args.url, signer, args.type, args.rate, args.connections, args.seconds,
                     args.count if args.count > 1 else None, args.acked, args.again,
                     broadcaster, args.presign)
        print(json.dumps(result))
        return 0 if result["acked"] else 1
    good = True
    for kind in events.TYPES if args.type == "all" else (args.type,):
        for one in build_many(kind, signer, args.mode, args.count, broadcaster=broadcaster):
            reply = send(args.url, one, args.chunked, args.lower, args.attempts,
                         args.timeout)
            good = good and reply.status == 200
            print(json.dumps({"id": one.message_id, "type": one.event_type,
                              "status": reply.status, "error": reply.error,
                              "body": reply.body[:200].decode("utf-8", "replace"),
                              "ms": round(reply.seconds * 1000, 2)}), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
