"""Somebody else's code in a front: what it can take from the broker, in both modes.

System mode: the fronts' user tries everything that needs no front, and a front itself. User mode:
the broker's own user is the fronts' user too, so there only the sandbox of the front stands.
"""
import errno
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest
from tests.lib import inject

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ptraced = pytest.mark.skipif(not inject.POSSIBLE, reason=inject.WHY_NOT)
NOBODY = pwd.getpwnam("nobody")
OWNER = pwd.getpwnam("daemon").pw_uid      # known to the bus
AT_FDCWD = -100

# Run as the fronts' user: prints "name denied" or "name GOT what". Arguments: the broker's process,
# the state folder, the runtime folder, the address of a session bus of the broker's user.
ATTACKS = r'''
import ctypes, os, socket, sys
broker, state, run, bus = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
libc = ctypes.CDLL(None, use_errno=True)

def call(*arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*[ctypes.c_long(one) if isinstance(one, int) else one
                            for one in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), "call")
    return result

def field(code, kind, text):
    raw = bytes([code, 1]) + kind + b"\0" + len(text).to_bytes(4, "little") + text + b"\0"
    return raw + bytes(-len(raw) % 8)

FIELDS = (field(1, b"o", b"/org/freedesktop/DBus") + field(2, b"s", b"org.freedesktop.DBus")
          + field(3, b"s", b"Hello") + field(6, b"s", b"org.freedesktop.DBus"))
HELLO = (b"l\1\0\1" + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
         + (len(FIELDS) - 3).to_bytes(4, "little") + FIELDS)

def connect(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(5)
        one.connect(path)
        data = one.recv(100)
        if not data:
            raise OSError(0, "closed")
        return data

def bus_hello():
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(5)
        one.connect(bus)
        one.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        answer = one.recv(100)
        one.sendall(b"NEGOTIATE_UNIX_FD\r\nBEGIN\r\n" + HELLO)
        while b"NameAcquired" not in answer:
            more = one.recv(4096)
            if not more:
                raise OSError(0, "the bus closed the connection")
            answer += more
        return answer

def vector(number):
    memory = ctypes.create_string_buffer(4096)
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    mine = Piece(ctypes.addressof(memory), 4096)
    theirs = Piece(int(open("/proc/self/maps").read().split("-")[0], 16), 4096)
    return call(number, broker, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)

def read(path):
    with open(path, "rb") as file:
        return file.read(64)

attacks = {
    "ptrace": lambda: call(101, 0x4206, broker, 0, 0),
    "read its memory by a call": lambda: vector(310),
    "write its memory by a call": lambda: vector(311),
    "take a descriptor": lambda: call(438, call(434, broker, 0), 3, 0),
    "read /proc/PID/mem": lambda: read(f"/proc/{broker}/mem"),
    "read /proc/PID/environ": lambda: read(f"/proc/{broker}/environ"),
    "read /proc/PID/maps": lambda: read(f"/proc/{broker}/maps"),
    "list its descriptors": lambda: os.listdir(f"/proc/{broker}/fd"),
    "enter its folder": lambda: os.listdir(f"/proc/{broker}/cwd/"),
    "read its registers": lambda: read(f"/proc/{broker}/syscall"),
    "measure it": lambda: call(298, ctypes.create_string_buffer(
        b"\1\0\0\0\x70\0\0\0" + bytes(120)), broker, -1, -1, 0),
    "open the database": lambda: read(f"{state}/streamhold.db"),
    "open the key": lambda: read(f"{state}/vault.key"),
    "make a file beside them": lambda: os.open(f"{state}/x", os.O_CREAT | os.O_WRONLY),
    "the admin socket": lambda: connect(f"{run}/broker.sock"),
    "the link of the API": lambda: connect(f"{run}/api/link.sock"),
    "the link of the webhooks": lambda: connect(f"{run}/webhook/link.sock"),
    "the session bus": bus_hello,
    "stop it": lambda: os.kill(broker, 19),
}
for name, attack in attacks.items():
    try:
        print(name, "GOT", attack())
    except OSError as error:
        print(name, "denied", error)
'''
OF_OTHER_USERS_ONLY = {"open the database", "open the key", "make a file beside them",
                       "the admin socket", "the link of the API", "the link of the webhooks",
                       "the session bus", "stop it"}


def attack(daemon, user, bus):
    """{name: whether it was denied}"""
    done = subprocess.run(
        [sys.executable, "-c", ATTACKS, str(daemon.broker_pid()), str(daemon.folder / "state"),
         str(daemon.folder / "run"), str(bus)],
        user=user, group=NOBODY.pw_gid, extra_groups=[], capture_output=True, text=True, cwd="/",
        timeout=60)
    lines = done.stdout.splitlines()
    assert len(lines) == 19, done.stdout + done.stderr
    return {re.split(" (?:GOT|denied)", line)[0]: " denied " in line for line in lines}


@pytest.fixture
def system(streamhold, plain, folder):
    """As units and root start it: broker and fronts are users of their own."""
    folder.chmod(0o755)
    (folder / "state").mkdir(mode=0o700)
    os.chown(folder / "state", OWNER, OWNER)
    return streamhold(build=plain)


def session_bus(folder, user, group):
    """A session bus of that user, in a folder that everybody may enter."""
    if not shutil.which("dbus-daemon"):
        pytest.skip("needs dbus-daemon")
    where = folder / "bus.d"
    folder.chmod(0o755)
    where.mkdir()
    os.chown(where, user, group)
    path = where / "bus"
    process = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", f"--address=unix:path={path}"],
        user=user, group=group, extra_groups=[], stderr=subprocess.DEVNULL, cwd="/")
    end = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.01)
    path.chmod(0o777)
    yield path
    process.terminate()
    process.wait()


@pytest.fixture
def bus(folder):
    yield from session_bus(folder, OWNER, OWNER)


@pytest.fixture
def own_bus(folder):
    """Of the user as whom broker and fronts run in user mode."""
    yield from session_bus(folder, NOBODY.pw_uid, NOBODY.pw_gid)


def owner_of(pid):
    return os.stat(f"/proc/{pid}").st_uid, \
        int(re.search(r"^Uid:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


@needs_root
def test_in_system_mode_the_fronts_user_gets_nothing(system, bus):
    broker = system.broker_pid()
    front = owner_of(system.children()["httpd"][0])[1]
    assert front not in (0, owner_of(broker)[1])
    found = attack(system, front, bus)
    assert all(found.values()), found
    assert system.broker_pid() == broker and system.get("/readyz").status == 200
    # The attacks do reach something: the owner of all that gets it.
    owner = attack(system, OWNER, bus)
    assert not any(owner[name] for name in ("open the key", "the admin socket",
                                            "the session bus", "stop it")), owner
    os.kill(broker, signal.SIGCONT)


@needs_root
def test_in_user_mode_nothing_of_the_process_is_open_to_its_own_user(streamhold, plain, folder):
    folder.chmod(0o755)
    for name in ("state", "run"):
        (folder / name).mkdir(mode=0o700)
        os.chown(folder / name, NOBODY.pw_uid, NOBODY.pw_gid)
    daemon = streamhold(build=plain, user="nobody")
    assert owner_of(daemon.broker_pid())[1] == NOBODY.pw_uid
    found = attack(daemon, "nobody", folder / "none")
    assert all(denied for name, denied in found.items() if name not in OF_OTHER_USERS_ONLY), found


@ptraced
def test_in_user_mode_a_front_that_runs_other_code_gets_nothing(streamhold, plain, folder,
                                                                own_bus):
    """The broker's files and the session bus, behind which the keyring is, are its user's own,
    so the sandbox alone keeps the front from them."""
    for name in ("state", "run"):
        (folder / name).mkdir(mode=0o700)
        os.chown(folder / name, NOBODY.pw_uid, NOBODY.pw_gid)
    daemon = streamhold(build=plain, user="nobody", sandbox_kills=True)
    broker = daemon.broker_pid()
    numbers = {name: number for number, name in inject.names().items()}

    def attacks(held):
        key, database, program, memory, bus = held.put(
            str(folder / "state/vault.key").encode(), str(folder / "state/streamhold.db").encode(),
            b"/bin/sh", f"/proc/{broker}/mem".encode(),
            struct.pack("=H108s", socket.AF_UNIX, str(own_bus).encode()))
        return {
            "the key": ("openat", AT_FDCWD, key, 0), "the key, otherwise": ("open", key, 0),
            "the key, later": ("openat2", AT_FDCWD, key, key, 24),
            "the database": ("openat", AT_FDCWD, database, os.O_RDWR),
            "its memory": ("openat", AT_FDCWD, memory, os.O_RDWR),
            "unlinking": ("unlink", database), "renaming": ("rename", database, key),
            "a Unix socket": ("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0),
            "an Internet socket": ("socket", socket.AF_INET, socket.SOCK_STREAM, 0),
            "the session bus": ("connect", 3, bus, 110),
            "a message to the bus": ("sendto", 3, key, 16, 0, bus, 110),
            "connecting": ("connect", 3, key, 16), "sending": ("sendmsg", 3, key, 0),
            "ptrace": ("ptrace", 0x4206, broker, 0, 0),
            "reading its memory": ("process_vm_readv", broker, key, 1, key, 1, 0),
            "a pidfd": ("pidfd_open", broker, 0), "its descriptors": ("pidfd_getfd", 3, 3, 0),
            "a signal": ("kill", broker, signal.SIGKILL),
            "a program": ("execve", program, 0, 0), "a process": ("fork",),
            "io_uring": ("io_uring_setup", 8, key), "code": ("mprotect", held.home.rsp & ~4095,
                                                             4096, 7),
        }

    def front():
        """One that is up, after `up` has started it again."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            pids = daemon.children().get("httpd", [])
            ready = [pid for pid in pids if re.search(r"^Seccomp:\s+2", pathlib.Path(
                f"/proc/{pid}/status").read_text(), re.M)]
            if len(ready) == 2:
                return ready[0]
            time.sleep(0.01)
        raise AssertionError(daemon.text_log())

    names = None
    got = []
    tried = 0
    while names is None or names:
        pid = front()
        held = inject.Injected(pid)
        these = attacks(held)
        names = list(these) if names is None else names
        name = names.pop()
        call, *arguments = these[name]
        outcome = held.call(numbers[call], arguments)
        tried += 1
        if outcome.how == "returned":
            held.leave()
        if outcome.how != "killed" and outcome.value != -errno.EACCES:
            got.append((name, outcome))
    assert not got and tried >= 15
    assert daemon.broker_pid() == broker and daemon.get("/healthz").status == 200
    # The bus is there for everybody else of that user.
    assert not attack(daemon, "nobody", own_bus)["the session bus"]
