"""Secrets go where they must and nowhere else (reliability.md S1, S2): every secret of every flow
(canary_flows.py), failing ones included, is searched in every form in httpd's memory, the link
traffic, logs, database, free pages, backups, environment, arguments and files."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import pytest

from tests.lib import memory
from tests.lib.keyring import Keyring, have
from tests.lib.platforms import NAMES
from tests.system.canary_flows import FLOWS, every_flow, prepare, put_credentials

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of others")
# What a client sends or is handed: it passes the front once. All else never does.
PASSING = ("client_secret", "state", "code")
GONE_S = 1.0


# -- where they must not be ---------------------------------------------------------------


def is_traced(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return not re.search(r"^TracerPid:\s+0$", status, re.M)


@contextlib.contextmanager
def traced(pids, file):
    """What the fronts read and write, as strace tells it: each thread in a file of its own, since
    in one file a call that waits is split where another one makes a call."""
    tracer = subprocess.Popen(
        ["strace", "-ff", "-qq", "-yy", "-xx", "-s", "1000000", "-o", str(file), "-e",
         "trace=read,write,recvfrom,sendto,recvmsg,sendmsg,readv,writev",
         *[word for pid in pids for word in ("-p", str(pid))]],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while tracer.poll() is None and not all(is_traced(pid) for pid in pids):
        time.sleep(0.01)
    time.sleep(0.5)     # for their other threads
    assert tracer.poll() is None, tracer.stderr.read()
    yield
    tracer.send_signal(signal.SIGINT)
    tracer.wait(20)


def link_bytes(file, came=None):
    """The bytes on Unix sockets, from a trace with -yy -xx; pieces of a stream put together. All,
    or those that came, or those that went."""
    streams = {}
    lines = [(part.suffix, line) for part in file.parent.glob(file.name + ".*")
             for line in part.read_text(errors="replace").splitlines()]
    assert not [line for _, line in lines if "resumed>" in line]
    for thread, line in lines:
        found = re.match(r"(\w+)\((\d+)<UNIX[^]]*\]>, (.*)", line)
        if not found or found.group(3).endswith(" EAGAIN"):
            continue
        call, fd, rest = found.groups()
        data = b"".join(bytes.fromhex(text.replace("\\x", ""))
                        for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', rest))
        if came is not None and came != call.startswith("r"):
            continue
        key = (thread, fd, call.startswith("r"))
        streams[key] = streams.get(key, b"") + data
    return b"\0\0\0\0".join(streams.values())


def database_bytes(daemon):
    return b"".join(path.read_bytes() for path in (daemon.folder / "state").iterdir()
                    if path.is_file() and path.name != "vault.key")


def files_bytes(folder):
    return b"\0".join(path.read_bytes() for path in folder.rglob("*")
                      if path.is_file() and path.name != "vault.key"
                      and ".strace" not in path.name)


def pids_of(daemon):
    return [daemon.process.pid, *[pid for pids in daemon.children().values() for pid in pids]]


def process_bytes(pids):
    """Environment, arguments and open files by name of processes."""
    parts = []
    for pid in pids:
        for name in ("environ", "cmdline", "comm"):
            parts.append(pathlib.Path(f"/proc/{pid}/{name}").read_bytes())
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            parts.append(os.readlink(fd).encode())
    return b"\0".join(parts)


def backup_bytes(database, folder):
    """What the two ways of copying a database carry along."""
    copy, tight = folder / "backup.db", folder / "vacuum.db"
    with contextlib.closing(sqlite3.connect(database)) as source:
        with contextlib.closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        source.execute(f"VACUUM INTO '{tight}'")
    return copy.read_bytes() + tight.read_bytes()


def assert_gone_from_fronts(run):
    for pid in run.daemon.children()["httpd"]:
        found = memory.hits(memory.memory(pid), run.secrets)
        assert not found, (found, [memory.places(pid, memory.forms(
            run.secrets[name])[form])[:3] for name, form, _ in found[:3]])


def search_everywhere(run, folder):
    """Runs every flow and looks."""
    daemon, trace = run.daemon, folder / "fronts.strace"
    try:
        with traced(daemon.children()["httpd"], trace):
            every_flow(run)
        done = time.monotonic()
        link = link_bytes(trace)
        # The search finds what does pass, or it would prove nothing.
        assert memory.hits(link, run.of("client_secret"))
        assert memory.hits(link, run.of("code"))
        # What a client sent passes once and does not come back.
        back = link_bytes(trace, came=True)
        assert memory.hits(back, run.of("state"))
        assert memory.hits(back, run.of("client_secret")) == []
        assert memory.hits(back, run.of("code")) == []
        never = {name: value for name, value in run.secrets.items()
                 if name.split(".")[0].split("#")[0] not in PASSING}
        assert memory.hits(link, never) == []
        time.sleep(max(0, done + GONE_S - time.monotonic()))
        assert_gone_from_fronts(run)
        assert memory.hits(daemon.text_log().encode(), run.secrets) == []
        assert memory.hits(process_bytes(pids_of(daemon)), run.secrets) == []
        assert memory.hits(database_bytes(daemon), run.secrets) == []
        assert memory.hits(files_bytes(folder), run.secrets) == []
        expected = {*PASSING, "access", "refresh", "app", "verifier", "vault_key",
                    "device_code", "push"}
        assert expected <= run.kinds(), run.kinds()
        assert len(run.secrets) >= 12
    finally:
        daemon.stop()
    assert memory.hits(database_bytes(daemon), run.secrets) == []
    assert memory.hits(backup_bytes(daemon.database, folder), run.secrets) == []
    assert not list(folder.rglob("core*"))
    assert "CANARY" not in daemon.text_log()


def test_no_secret_is_where_it_must_not_be(plain, folder, fakes):
    search_everywhere(prepare(plain, folder, fakes), folder)


@pytest.mark.skipif(not have(), reason="needs gnome-keyring and dbus")
def test_no_secret_is_where_it_must_not_be_with_a_keyring(plain, folder, fakes):
    """The same with the Secret Service, moved into a file and back; the files of the keyring are
    searched too."""
    ring = Keyring(folder).start()
    try:
        run = prepare(plain, folder, fakes, more={"keystore": {"backend": "auto"}},
                      environment=ring.environment)
        run.keyring = ring
        search_everywhere(run, folder)
        assert list(folder.rglob("*.keyring"))
    finally:
        ring.stop()


# -- the control ------------------------------------------------------------------------------

PLANTED = """
import socket, sys, time
link = socket.socket(fileno=int(sys.argv[1]))
kept = bytearray(sys.stdin.buffer.read())
print("ready", flush=True)
link.recv(1)
link.sendall(kept)
time.sleep(60)
"""


def planted(canary):
    """{form: bytes}, each with something around it."""
    return {form: b"\x01before " + text + b" after\x02"
            for form, text in memory.forms(canary).items()}


@pytest.mark.parametrize("form", ["raw", "hex", "HEX", "base64+0", "base64+1", "base64+2", "url",
                                  "utf16", "piece@16"])
def test_the_search_finds_a_canary_in_every_form_and_place(folder, form):
    """A process that does what ours must not: it holds a canary in memory, has it in its
    arguments and environment, sends it over a socket, and leaves it in files and free pages."""
    canary = b"CANARY/with+signs-" + os.urandom(16).hex().encode()
    text = planted(canary)[form]
    near, far = socket.socketpair()
    word = text.strip(b"\x01\x02").replace(b"\0", b"")
    process = subprocess.Popen(
        [sys.executable.encode(), b"-c", PLANTED.encode(), str(far.fileno()).encode(), word],
        env={**os.environb, b"PLANTED": word}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        pass_fds=[far.fileno()])

    def found(data):
        return (form in {hit[1] for hit in memory.hits(data, {"it": canary})})

    try:
        process.stdin.write(text)
        process.stdin.close()
        process.stdout.readline()
        assert found(memory.memory(process.pid))
        if form != "utf16":     # a zero byte ends an argument
            assert found(process_bytes([process.pid]))
        trace = folder / "planted.strace"
        with traced([process.pid], trace):
            near.send(b"x")
            assert near.recv(1 << 16)
            time.sleep(0.2)
        assert found(link_bytes(trace))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        near.close()
        far.close()
    (folder / "left").mkdir()
    (folder / "left" / "file").write_bytes(text)
    assert found(files_bytes(folder))
    database = folder / "left.db"
    with contextlib.closing(sqlite3.connect(database)) as made:
        made.execute("PRAGMA secure_delete=OFF")
        made.execute("CREATE TABLE t (v BLOB)")
        made.execute("INSERT INTO t VALUES (?)", (text,))
        made.commit()
        assert found(backup_bytes(database, folder))
        made.execute("DELETE FROM t")
        made.commit()
    assert found(database.read_bytes())


WAITING = """
import socket, sys, threading, time
link, other = (socket.socket(fileno=int(word)) for word in sys.argv[1:])
threading.Thread(target=lambda: link.recv(1 << 16)).start()
print("ready", flush=True)
while True:
    other.send(b"x")
    time.sleep(0.01)
"""


def test_the_search_finds_what_a_call_brings_that_waited(folder):
    """While another thread makes calls all the time."""
    near, far = socket.socketpair()
    sink, source = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(far.fileno()), str(source.fileno())],
        stdout=subprocess.PIPE, pass_fds=[far.fileno(), source.fileno()])
    try:
        process.stdout.readline()
        trace = folder / "waiting.strace"
        with traced([process.pid], trace):
            time.sleep(0.2)
            near.send(b"CANARY-of-one-that-waited")
            time.sleep(0.2)
        assert b"CANARY-of-one-that-waited" in link_bytes(trace)
        assert sink.recv(1) == b"x"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        for one in (near, far, sink, source):
            one.close()


def test_every_flow_has_a_name_and_is_in_the_table_once():
    from tests.system import canary_flows
    assert len({flow.__name__ for flow in FLOWS}) == len(FLOWS) >= 15
    assert all(getattr(canary_flows, flow.__name__) is flow for flow in FLOWS)


def test_deleted_secrets_leave_nothing_in_the_free_pages(plain, folder, fakes):
    """The sealed bytes that the database held are overwritten when they go."""
    run = prepare(plain, folder, fakes)
    daemon = run.daemon
    put_credentials(run)
    for name in NAMES:
        assert run.login(name)[0].status == 200
    daemon.stop()
    sealed = {name: bytes(value) for name, value in daemon.sql(
        "SELECT name, sealed FROM secrets")}
    assert len(sealed) == 6
    assert memory.hits(database_bytes(daemon), sealed)
    daemon.start()
    for name in NAMES:
        assert daemon.delete(f"/oauth/{name}/streamer123").status == 200
        assert daemon.delete(f"/oauth/credentials/{name}").status == 200
    daemon.stop()
    assert daemon.sql("SELECT count(*) FROM secrets") == [(0,)]
    assert memory.hits(database_bytes(daemon), sealed) == []
