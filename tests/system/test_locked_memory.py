"""What holds a secret in the broker and its helper is locked, undumpable, and stays so when the
limit on locked memory is small."""
import os
import shutil
import subprocess
import threading
import time

import pytest

from tests.lib import memory, smaps
from tests.lib.keyring import Keyring, have, wait_for
from tests.lib.lone_broker import LoneBroker
from tests.lib.platforms import NAMES
from tests.lib.tls_front import TlsFront
from tests.system.canary_flows import (SHARED_S, USER, prepare, put_credentials,
                                       tokens_handed_out)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of others")
KINDS = ("access", "refresh", "app", "client_secret", "verifier", "code", "device_code",
         "vault_key")
ALL_KB = 7168       # of common/locked_memory.h: OWN and LIBRARY
HELD_S = 0.7


@pytest.fixture
def tls(folder):
    front = TlsFront(folder)
    yield front
    front.stop()


class Watch:
    """Looks into a process again and again, and remembers what lies where."""

    def __init__(self, run, pid):
        self.run, self.pid, self.seen = run, pid, {}

    def look(self):
        self.run.collect()
        for mapping, names in smaps.holders(self.pid, self.run.of(*KINDS)):
            key = (mapping.label, "lo" in mapping.flags and mapping.locked_kb > 0,
                   "dd" in mapping.flags)
            self.seen.setdefault(key, set()).update(name.split("#")[0] for name in names)

    def assert_kept(self, *kinds, locked=True):
        wrong = {key: names for key, names in self.seen.items()
                 if not key[2] or (locked and not key[1])}
        assert not wrong, wrong
        found = {name for names in self.seen.values() for name in names}
        assert set(kinds) <= found, (kinds, found)


def during(run, name, fault, act):
    """Does something while the platform takes its time, and comes back in the middle of it."""
    fake = run.fakes[name]
    before = len(fake.asked(fault[0]))
    fake.next(*fault[:1], **fault[1])
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    wait_for(lambda: len(fake.asked(fault[0])) > before, 10, 0.01)
    return thread


def refresh_under_watch(run, watch, *names):
    """Looks while the request is out, and while the answer comes in byte for byte."""
    for fault in ({"mode": "slow", "delay_s": HELD_S}, {"mode": "drip", "interval_s": 0.002}):
        time.sleep(SHARED_S)
        for name in names:
            thread = during(run, name, ("token", fault),
                            lambda: run.daemon.post(f"/oauth/refresh/{name}/{USER}"))
            while thread.is_alive():
                watch.look()
            thread.join()
    for name in names:
        assert run.daemon.get(f"/oauth/status/{name}/{USER}").json()["status"] == "valid"


def test_secrets_at_rest_and_under_way_lie_in_locked_memory(plain, folder, fakes, tls):
    """The request with the refresh token and the client secret, the answer with both new tokens
    while it comes in, and what is kept."""
    run = prepare(plain, folder, fakes, tls)
    try:
        pid = run.daemon.broker_pid()
        watch = Watch(run, pid)
        put_credentials(run)
        for name in NAMES:
            assert run.login(name)[0].status == 200
        watch.look()
        refresh_under_watch(run, watch, *NAMES)
        tokens_handed_out(run)
        watch.look()
        watch.assert_kept("vault_key", *[f"{kind}.{name}" for name in NAMES
                                         for kind in ("refresh", "client_secret")])
        assert any(name.startswith("access.") for names in watch.seen.values()
                   for name in names)
        assert smaps.status_kb(pid, "VmLck") >= ALL_KB
        assert smaps.status_kb(pid, "RssAnon") < 12000
        assert "out of swap" not in run.daemon.text_log()
    finally:
        run.daemon.stop()


@pytest.mark.skipif(not have(), reason="needs gnome-keyring and dbus")
def test_all_memory_of_the_keystore_helper_is_locked(plain, folder, fakes):
    ring = Keyring(folder).start()
    run = prepare(plain, folder, fakes, more={"keystore": {"backend": "secret-service"}},
                  environment=ring.environment)
    try:
        put_credentials(run)
        for name in NAMES:
            assert run.login(name)[0].status == 200
            time.sleep(0.1)
            assert run.daemon.post(f"/oauth/refresh/{name}/{USER}").status == 200
        pids = subprocess.run(["pgrep", "-P", str(run.daemon.broker_pid())], check=True,
                              capture_output=True, text=True).stdout.split()
        assert len(pids) == 1
        watch = Watch(run, int(pids[0]))
        watch.look()
        watch.assert_kept()
        assert smaps.status_kb(pids[0], "VmLck") >= ALL_KB
        # malloc(3) is ours: there is no heap, and GLib's data lies in the locked range.
        assert "[heap]" not in {one.label for one in smaps.mappings(pids[0])}
        held = [one for one in smaps.mappings(pids[0]) if {"lo", "dd"} <= one.flags]
        assert any(b"org.freedesktop.secrets" in memory.contents(pids[0], one.start, one.end) for one in held)
    finally:
        run.daemon.stop()
        ring.stop()


@pytest.mark.skipif(not shutil.which("gcore"), reason="needs gdb")
def test_a_core_dump_holds_no_secret(plain, folder, fakes, tls):
    """A dump that root makes, while a refresh is under way."""
    run = prepare(plain, folder, fakes, tls)
    try:
        pid = run.daemon.broker_pid()
        put_credentials(run)
        assert run.login("youtube")[0].status == 200
        time.sleep(SHARED_S)
        during(run, "youtube", ("token", {"mode": "slow", "delay_s": 8}),
               lambda: run.daemon.cli("refresh", f"youtube/{USER}"))
        run.collect()
        secrets = run.of(*KINDS)
        found = {name for _, names in smaps.holders(pid, secrets) for name in names}
        kinds = {name.split(".")[0].split("#")[0] for name in found}
        assert {"refresh", "client_secret", "vault_key"} <= kinds, found
        dump = folder / "dump"
        said = subprocess.run(["gcore", "-o", str(dump), str(pid)], capture_output=True,
                              text=True)
        core = dump.with_name(f"dump.{pid}")
        assert core.exists(), said.stdout + said.stderr
        data = core.read_bytes()
        core.unlink()
        assert USER.encode() in data        # it is a dump of that process
        assert memory.hits(data, secrets) == []
    finally:
        run.daemon.stop()


def test_a_broker_that_aborts_leaves_no_core(plain, folder):
    broker = LoneBroker(folder, plain)
    os.kill(broker.pid, 6)
    _, status = os.waitpid(broker.pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == 6
    assert not os.WCOREDUMP(status)
    assert not list(folder.rglob("core*"))


class Limited:
    """The fixture's programs under a limit on locked memory, without the right to exceed it."""

    def __init__(self, folder, plain, limit_kb):
        self.bin = folder / "limited" / "bin"
        self.bin.mkdir(parents=True)
        for program in (plain / "bin").iterdir():
            if program.name.startswith("streamhold"):
                (self.bin / program.name).symlink_to(program)
        up = self.bin / "streamhold"
        up.unlink()
        up.write_text(f"#!/bin/bash\nulimit -l {limit_kb}\n"
                      "exec setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock "
                      f"{plain}/bin/streamhold \"$@\"\n")
        up.chmod(0o755)


@pytest.mark.parametrize("limit_kb", [8192, 64, 0])
def test_under_a_limit_secrets_are_undumpable_and_it_is_said(plain, folder, fakes, limit_kb):
    limited = Limited(folder, plain, limit_kb)
    run = prepare(limited.bin.parent, folder, fakes)
    try:
        pid = run.daemon.broker_pid()
        watch = Watch(run, pid)
        put_credentials(run)
        assert run.login("kick")[0].status == 200
        refresh_under_watch(run, watch, "kick")
        watch.assert_kept("vault_key", "refresh.kick", "client_secret.kick",
                          locked=limit_kb >= 8192)
        locked = smaps.status_kb(pid, "VmLck")
        assert locked <= limit_kb
        assert (locked >= ALL_KB) == (limit_kb >= 8192)
        told = f"only {min(limit_kb, 64)} of {ALL_KB} KiB for secrets can be kept out of swap"
        places = (run.daemon.text_log(), run.daemon.cli("status").stdout,
                  run.daemon.cli("inspect").stdout,
                  run.daemon.get("/status").text)
        for text in places:
            assert (told in text) == (limit_kb < 8192), text
        assert run.daemon.get("/status").json()["status"] in ("healthy", "degraded")
        key = [names for key, names in watch.seen.items() if key[1]]
        assert bool(key) == (limit_kb > 0)
    finally:
        run.daemon.stop()
