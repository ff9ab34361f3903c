"""A front that is somebody else's: it speaks the protocol, and breaks it in every way."""
import os
import pathlib
import random
import re
import socket
import struct
import threading
import time

import pytest
from tests.lib.link import MESSAGES, Channel, encode, pack
from tests.lib.lone_broker import LoneBroker
from tests.lib.memory import hits
from tests.lib.platforms import CLIENT_ID, CLIENT_SECRET, login, put_credentials
from tests.lib.stopwatch import Stopwatch

FRAMES = 200_000
WARM_UP = 40_000
BROKEN_EVERY = 600          # frames: most of the broken ones end a link, which is made anew then
MEMORY_KB = 8 * 1024
# A frame of five bytes makes msgpack-c map 512 MB, of which it touches nothing.
ADDRESS_KB = 200 * 1024
ANSWER_S = 0.5
SECRET = "canary-" + "d5c1f0a97b2e4863" * 2
KEPT = "kick"               # the platform with the canaries, and the login
USER = "another_one"        # which no frame names
ROOT = pathlib.Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9/"
PLATFORM = {name: NOWHERE for name in ("authorize_url", "token_url", "revoke_url", "api_url")}
FORGED = {"message_id": "01", "timestamp": "2026-01-18T10:00:00Z", "type": "channel.followed",
          "version": "1", "signature": b"AAA", "body": b"{}"}


class LinkEnd:
    """A front's link socket: takes the broker's connection whenever it comes."""

    def __init__(self, folder, role):
        self.role = role
        path = pathlib.Path(folder) / "run" / role / "link.sock"
        path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(20)

    def accept(self):
        channel = Channel.__new__(Channel)
        channel.socket, _ = self.listener.accept()
        channel.socket.settimeout(20)
        channel.pending = b""
        channel.hello = channel.receive()
        channel.send("hello", 0, schema=channel.hello.schema, program="streamhold-httpd",
                     version=channel.hello.version, role=self.role,
                     frame_max=channel.hello.frame_max)
        return channel


class Good(threading.Thread):
    """The other front: asks all the while, and times the answers."""

    def __init__(self, end, question, answer):
        super().__init__(daemon=True)
        self.end, self.question, self.answer = end, question, answer
        self.times, self.problems, self.stopping = [], [], False

    def run(self):
        try:
            channel = self.end.accept()
            rid = 1
            while not self.stopping:
                rid += 1
                began = time.monotonic()
                name, fields = self.question
                channel.send(name, rid, **fields)
                while True:
                    message = channel.receive()
                    if message is None:
                        raise AssertionError("its link was closed")
                    if message.rid == rid and message.name == self.answer:
                        break
                self.times.append(time.monotonic() - began)
                time.sleep(0.01)
        except Exception as problem:        # read by the test
            self.problems.append(problem)


def bounds():
    """{message: [(field, kind, least, most)]}"""
    found = {name: [] for name in MESSAGES}
    for name, kind, field, least, most in re.findall(
            r"\t(?:FIELD|MAYBE)\((\w+), (\w+), (\w+), (\w+), (\w+),",
            (ROOT / "proto/messages.def").read_text()):
        limits = [2**int(text[4:6]) - 1 if text.startswith("UINT") else int(text)
                  for text in (least, most)]
        found[name].append((field, kind, *limits))
    return found


def may_send(role):
    """The messages that the broker takes from a front of this role."""
    text = (ROOT / "broker/dispatch.c").read_text()
    names = {name: value for name, value in re.findall(r"#define (\w+) \(?(CLIENT_.*?)\)?\n", text)}
    return [name for name, roles in re.findall(r"\{ MSG_(\w+), ([^}]*?), on_\w+ \}", text)
            if "CLIENT_" + role in names.get(roles, roles)]


BOUNDS = bounds()


def value_of(rng, kind, least, most):
    if kind in ("u32", "u64"):
        return rng.choice((least, most, max(least, min(7, most))))
    if kind == "flag":
        return rng.random() < 0.5
    fitting = [word for word in ("kick", "twitch", "streamer123", "chat.message.sent", "{}", "1")
               if least <= len(word) <= most]
    return rng.choice([*fitting, "x" * least, "x" * min(most, 200)])


def frame_of(rng, name):
    """A frame of the message with every field within its bounds; none takes the canaries away."""
    fields = {field: value_of(rng, kind, least, most)
              for field, kind, least, most in BOUNDS[name]}
    if name == "credentials_put":
        fields |= {"client_secret": SECRET}
        if fields["platform"] == KEPT:
            fields |= {"client_id": CLIENT_ID}
    if name == "credentials_delete" and fields["platform"] == KEPT:
        fields |= {"platform": "twitch"}
    return encode(name, rng.randrange(1, 2**31), **fields)


def broken(rng, name):
    """A frame that is wrong by its length, a byte, its end, a count, or its depth."""
    frame = frame_of(rng, name)
    place = rng.randrange(4, len(frame))
    return rng.choice((
        struct.pack(">I", rng.choice((2**32 - 1, 1 << 24, 3))) + frame[4:],
        frame[:place] + bytes([rng.randrange(256)]) + frame[place + 1:],
        frame[:place],
        b"\0\0\0\6\xdd\1\0\0\0" + pack(MESSAGES[name][0])[:1],
        struct.pack(">I", 60000) + b"\x91" * 60000))


class Hostile:
    """Sends frames, reads answers, and comes back whenever the broker has had enough."""

    def __init__(self, end, rng):
        self.end, self.rng, self.links, self.sent = end, rng, 0, 0
        self.answers = 0
        self.read = bytearray()
        self.channel = None

    def connect(self):
        self.channel = self.end.accept()
        self.channel.socket.setblocking(False)
        self.links += 1

    def drain(self):
        """False when the link has ended."""
        while True:
            try:
                more = self.channel.socket.recv(1 << 20)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not more:
                return False
            self.answers += len(more)
            self.read += more

    def check(self, secrets):
        found = hits(bytes(self.read), secrets)
        assert not found, found
        del self.read[:-200]

    def send(self, frame):
        """Sends one, whatever becomes of it; a new link when this one is over."""
        if self.channel is None:
            self.connect()
        view = memoryview(frame)
        while view:
            try:
                view = view[self.channel.socket.send(view):]
            except BlockingIOError:
                if not self.drain():
                    break
                time.sleep(0.0002)
            except OSError:
                break
        self.sent += 1
        alive = self.drain()    # also what was answered before a link ended
        if view or not alive:
            self.channel.close()
            self.channel = None

    def leave(self):
        if self.channel:
            self.channel.close()
            self.channel = None


def memory_kb(pid, name="VmRSS"):
    return int(re.search(rf"^{name}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(),
                         re.M)[1])


class Admin:
    """The command's socket, which no front reaches."""

    def __init__(self, folder):
        self.channel = Channel(folder / "admin.sock", role="admin")
        self.rid = 0

    def ask(self, name, **fields):
        """All that comes back, to the answer."""
        self.rid += 1
        self.channel.send(name, self.rid, **fields)
        found = []
        while True:
            found.append(self.channel.receive())
            assert found[-1] is not None and found[-1].name != "failed", found
            if found[-1].name in ("list_end", "credentials_stored", "token_given", "token_allowed"):
                return found

    def violations(self):
        return sum(int(row.value) for row in self.ask("report_get")
                   if row.name == "report" and row.fields["name"] == "link_violations")

    def token(self):
        return self.ask("token_get", platform=KEPT, username=USER)[-1].access_token


def log_in(streamhold, fakes, folder):
    """A real login, from before the front was taken over; its tokens by name."""
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon, [KEPT])
    fakes[KEPT].set(identity="Another_One")
    put_credentials(daemon, KEPT)
    login(daemon, KEPT, USER)
    assert daemon.cli("token", "allow", f"{KEPT}/{USER}").returncode == 0
    daemon.stop()
    tokens = {f"{token.use} token": token.value.encode()
              for token in fakes[KEPT].store.tokens.values() if token.grant.user}
    assert len(tokens) == 2, tokens
    return tokens


def send_what_is_refused(end, rng, admin, log, names):
    """Each ends its link, is told of in the log, and counted once. What was answered."""
    read = bytearray()
    before = admin.violations()
    for number, name in enumerate(names, 1):
        channel = end.accept()
        channel.send("count", 0, name="connections", more=1)        # the link works
        told = log.read_text().count("the link to the")
        channel.socket.sendall(frame_of(rng, name))
        try:
            while more := channel.socket.recv(1 << 16):
                read += more
        except ConnectionResetError:
            pass
        channel.close()
        watch = Stopwatch()
        watch.wait(lambda: admin.violations() == before + number, 5, 0.005)
        said = log.read_text().split("the link to the")[told + 1]
        assert re.search(r"ended: (a message that this role may not send|a second "
                         rf"hello|{name}: wrong direction)$", said, re.M), (name, said)
    return read


@pytest.mark.parametrize("role", ["api", "webhook"])
def test_a_hostile_front_changes_nothing_for_the_broker_and_the_other(
        role, plain, folder, streamhold, fakes):
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    rng = random.Random(seed)
    tokens = log_in(streamhold, fakes, folder)
    ends = {name: LinkEnd(folder, name) for name in ("api", "webhook")}
    broker = LoneBroker(folder, plain, {
        "platforms": {"kick": PLATFORM, "twitch": PLATFORM, "youtube": PLATFORM}})
    other = "webhook" if role == "api" else "api"
    question = {"api": (("health_get", {}), "list_end"),
                "webhook": (("delivery", FORGED), "delivered")}[other]
    good = Good(ends[other], *question)
    good.start()
    hostile = Hostile(ends[role], rng)
    admin = Admin(folder)
    try:
        secrets = {"client secret": SECRET.encode(), "first client secret": CLIENT_SECRET.encode(),
                   "key": (folder / "state/vault.key").read_bytes(), **tokens}
        admin.ask("credentials_put", platform=KEPT, client_id=CLIENT_ID, client_secret=SECRET)
        taken = may_send(role)
        assert {"count", "load"} <= set(taken) and len(taken) < len(MESSAGES) / 2
        refused = [name for name in MESSAGES if name not in taken]
        answered = send_what_is_refused(ends[role], rng, admin, broker.log, refused)
        assert not hits(bytes(answered), secrets)
        pool = [frame_of(rng, name) for name in taken for _ in range(60)]
        kinds = list(MESSAGES)
        assert FRAMES // BROKEN_EVERY > len(kinds)
        pid, start = broker.pid, 0
        peak = memory_kb(pid, "VmPeak")
        for number in range(FRAMES):
            if number % BROKEN_EVERY == 0:
                frame = broken(rng, kinds[number // BROKEN_EVERY % len(kinds)])
            else:
                frame = rng.choice(pool)
            hostile.send(frame)
            if number % 1000 == 0:
                hostile.check(secrets)
            if number == WARM_UP:
                start = memory_kb(pid)
        hostile.check(secrets)
        grown = memory_kb(pid) - start
        good.stopping = True
        good.join(20)
        hostile.leave()
        times = sorted(good.times)
        print(f"{hostile.sent} frames of {len(taken)} kinds that it may send and {len(refused)} that "
              f"it may not, {hostile.links} links, {hostile.answers} bytes of answers, memory "
              f"{grown:+d} KiB, the other front: {len(times)} answers, p99 "
              f"{times[len(times) * 99 // 100] * 1000:.1f} ms")
        assert hostile.sent == FRAMES
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), broker.log.read_text()[-2000:]
        assert not good.problems and len(times) > 50
        assert times[len(times) * 99 // 100] < ANSWER_S
        assert grown < MEMORY_KB
        assert memory_kb(pid, "VmPeak") - peak < ADDRESS_KB
        assert hostile.links > 20 and hostile.answers > 0
        assert not hits(broker.log.read_bytes(), secrets)
        # What it was searched for is still there to be found.
        assert admin.token() == tokens["access token"]
        held, = (row for row in admin.ask("credentials_list") if row.fields.get("platform") == KEPT)
        assert held.client_id == CLIENT_ID
    finally:
        good.stopping = True
        hostile.leave()
        admin.channel.close()
        broker.stop()
