"""Secrets go where they must and nowhere else (reliability.md S1 to S3): every secret of
every flow, failing ones included, is searched in every form in httpd's memory, the link
traffic, logs, database, environment, arguments and files; and copies of a used token in
the broker's memory are counted, beside a control run whose wiping is switched off."""
import contextlib
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fake.client import approve
from tests.lib import memory
from tests.lib.daemon import Streamhold
from tests.lib.platforms import NAMES, OTHER, USERS, follow
from tests.lib.tls_front import TlsFront

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of others")
SECRETS = {name: f"CANARY-{name}-client-secret-{os.urandom(16).hex()}" for name in NAMES}
# What a client sends or is handed: it passes the front once. All else never does.
PASSING = ("client_secret", "state", "code")
GONE_S = 1.0
NO_WIPING = r"""
#include <stddef.h>
void explicit_bzero(void *at, size_t size) { (void)at; (void)size; }
void __explicit_bzero_chk(void *at, size_t size, size_t most) { (void)at; (void)size; (void)most; }
"""


class Run:
    """A daemon, its fakes, and every secret that came up: {name: bytes}."""

    def __init__(self, daemon, fakes):
        self.daemon, self.fakes, self.secrets = daemon, fakes, {}

    def note(self, name, value):
        if value:
            value = value if isinstance(value, bytes) else value.encode()
            self.secrets.setdefault(f"{name}#{len(self.secrets)}", value)

    def of(self, *kinds):
        return {name: value for name, value in self.secrets.items()
                if name.split(".")[0] in kinds}

    def login(self, platform, username="streamer123", query=""):
        started = self.daemon.get(f"/oauth/start/{platform}/{username}{query}").json()
        self.note(f"state.{platform}", started["state"])
        location = approve(started["auth_url"])
        code = parse_qs(urlsplit(location).query).get("code", [None])[0]
        self.note(f"code.{platform}", code)
        return follow(self.daemon, location), location

    def collect(self):
        """What the platforms have seen and handed out."""
        known = set(self.secrets.values())
        for name in self.fakes.fakes:
            for token in self.fakes[name].state()["tokens"]:
                if token["value"].encode() not in known:
                    self.note(f"{token['use']}.{name}", token["value"])
            for asked in self.fakes[name].asked():
                form = parse_qs(asked.get("body") or "")
                for field, kind in (("code_verifier", "verifier"),
                                    ("device_code", "device_code")):
                    for value in form.get(field, []):
                        if value.encode() not in known:
                            known.add(value.encode())
                            self.note(f"{kind}.{name}", value)
        self.note("vault_key", (self.daemon.folder / "state" / "vault.key").read_bytes())


def prepare(plain, folder, fakes, tls=None, **options):
    config = fakes.config(folder, logging={"level": "debug"})
    if tls:
        config["platforms"] = tls.config(config["platforms"])
    daemon = Streamhold(folder, config, build=plain, **options).start()
    run = Run(daemon, fakes)
    base = f"http://localhost:{daemon.api_port}"
    for name in NAMES:
        fake = fakes[name]
        fake.add_app("canary-client", SECRETS[name], [f"{base}/oauth/callback/{name}"],
                     kind="web" if name == "youtube" else "confidential")
        fake.add_user(**USERS[name])
        fake.add_user(**OTHER[name])
        fake.set(authorize="auto")
        run.note(f"client_secret.{name}", SECRETS[name])
    return run


def put_credentials(run):
    body = {"client_id": "canary-client", "client_secret": SECRETS["kick"]}
    assert run.daemon.post("/oauth/credentials/kick", body).status == 200
    body["client_secret"] = SECRETS["youtube"]
    assert run.daemon.post("/oauth/credentials/youtube", body).status == 200
    added = run.daemon.cli("app", "add", "twitch", "--client-id", "canary-client",
                           "--secret-stdin", stdin=SECRETS["twitch"] + "\n")
    assert added.returncode == 0, added.stderr


def refused_credentials(run):
    """Bodies that httpd or the broker turn away, with a secret in them."""
    secret = SECRETS["kick"]
    for body in ('{"client_id": "x", "client_secret": "%s"' % secret,
                 '{"client_id": "x", "client_secret": "%s", "client_secret": 1}' % secret,
                 '{"client_id": 7, "client_secret": "%s"}' % secret,
                 '{"client_id": "a b", "client_secret": "%s"}' % secret,
                 '{"client_id": "x", "client_secret": "%s", "scopes": 7}' % secret):
        answer = run.daemon.post("/oauth/credentials/kick", body,
                                 headers={"Content-Type": "application/json"})
        assert answer.status == 400
        assert secret not in answer.text


def failing_logins(run):
    daemon, fakes = run.daemon, run.fakes
    for name in NAMES:
        for fault in ({"mode": "answer", "status": 401, "body": {"error": "invalid_grant"}},
                      {"mode": "html502"}, {"mode": "truncate"}, {"mode": "drop_after_commit"},
                      {"mode": "pass", "patch": {"token_type": "mac"}}):
            fakes[name].next("token", **fault)
            answer, location = run.login(name)
            assert answer.status == 502, answer.text
        assert follow(daemon, location).status == 400      # used up
        fakes[name].set(authorize="deny")
        answer, _ = run.login(name)
        assert answer.status == 400
        fakes[name].set(authorize="auto", identity=str(OTHER[name]["id"]))
        answer, _ = run.login(name)
        assert answer.status == 409, answer.text
        fakes[name].set(identity=None)
        # An unfinished one, with a code that is turned away for its state.
        state = daemon.get(f"/oauth/start/{name}/streamer123").json()["state"]
        run.note(f"state.{name}", state)
        run.note(f"code.{name}", f"CANARY-code-{os.urandom(16).hex()}")
        code = list(run.secrets.values())[-1].decode()
        other = NAMES[(NAMES.index(name) + 1) % 3]
        assert daemon.get(f"/oauth/callback/{other}?state={state}&code={code}").status == 400
        assert daemon.get(f"/oauth/callback/{name}?state={state}x&code={code}").status == 400


def every_flow(run):
    daemon = run.daemon
    refused_credentials(run)
    put_credentials(run)
    failing_logins(run)
    for name in NAMES:
        answer, _ = run.login(name)
        assert answer.status == 200, answer.text
    daemon.post("/oauth/refresh/kick/streamer123")
    for path in ("/status", "/oauth/accounts", "/oauth/credentials", "/events", "/nothing",
                 *[f"/oauth/status/{name}/streamer123" for name in NAMES]):
        daemon.get(path)
    for verb in (["accounts", "--ask", "--json"], ["status", "--json"], ["inspect", "--json"],
                 ["app", "list"], ["login", "kick", "streamer123", "--timeout", "1s"]):
        said = daemon.cli(*verb)
        if verb[0] == "login":      # the person is handed the state
            for state in re.findall(r"state=([\w.~-]+)", said.stdout + said.stderr):
                run.note("state.kick", state)
            continue
        run.collect()
        assert not memory.hits((said.stdout + said.stderr).encode(), run.secrets)
    run.fakes["twitch"].set(device_interval_s=1)
    daemon.cli("login", "twitch", "streamer123", "--device", "--timeout", "4s")
    daemon.process.send_signal(signal.SIGUSR1)
    assert daemon.delete("/oauth/youtube/streamer123").json()["revocation"] == "ok"
    run.collect()


# -- where they must not be ---------------------------------------------------------------


@contextlib.contextmanager
def traced(pids, file):
    """What the fronts read and write, as strace tells it."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-yy", "-xx", "-s", "1000000", "-o", str(file), "-e",
         "trace=read,write,recvfrom,sendto,recvmsg,sendmsg,readv,writev",
         *[word for pid in pids for word in ("-p", str(pid))]],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(0.7)
    assert tracer.poll() is None, tracer.stderr.read()
    yield
    tracer.send_signal(signal.SIGINT)
    tracer.wait(20)


def link_bytes(file):
    """The bytes on Unix sockets, from a trace with -yy -xx; pieces of a stream put together."""
    streams = {}
    for line in pathlib.Path(file).read_text(errors="replace").splitlines():
        found = re.match(r"(\d+) +(\w+)\((\d+)<UNIX[^]]*\]>, (.*)", line)
        if not found or found.group(4).endswith(" EAGAIN"):
            continue
        pid, call, fd, rest = found.groups()
        data = b"".join(bytes.fromhex(text.replace("\\x", ""))
                        for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', rest))
        key = (pid, fd, call.startswith("r"))
        streams[key] = streams.get(key, b"") + data
    return b"\0\0\0\0".join(streams.values())


def database_bytes(daemon):
    return b"".join(path.read_bytes() for path in (daemon.folder / "state").iterdir()
                    if path.is_file() and path.name != "vault.key")


def files_bytes(folder):
    return b"\0".join(path.read_bytes() for path in folder.rglob("*")
                      if path.is_file() and path.name != "vault.key"
                      and path.suffix != ".strace")


def process_bytes(daemon):
    """Environment, arguments and open files by name of all processes."""
    parts = []
    for pid in [daemon.process.pid, *[pid for pids in daemon.children().values()
                                      for pid in pids]]:
        for name in ("environ", "cmdline", "comm"):
            parts.append(pathlib.Path(f"/proc/{pid}/{name}").read_bytes())
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            parts.append(os.readlink(fd).encode())
    return b"\0".join(parts)


def test_no_secret_is_where_it_must_not_be(plain, folder, fakes):
    run = prepare(plain, folder, fakes)
    daemon = run.daemon
    try:
        trace = folder / "fronts.strace"
        with traced(daemon.children()["httpd"], trace):
            every_flow(run)
        done = time.monotonic()
        link = link_bytes(trace)
        kinds = {name.split(".")[0].split("#")[0] for name in run.secrets}
        assert {*PASSING, "access", "refresh", "verifier", "vault_key", "device_code"} <= kinds
        assert len(run.secrets) >= 12
        # The search finds what does pass, or it would prove nothing.
        assert memory.hits(link, run.of("client_secret"))
        assert memory.hits(link, run.of("code"))
        never = {name: value for name, value in run.secrets.items()
                 if name.split(".")[0].split("#")[0] not in PASSING}
        assert memory.hits(link, never) == []
        time.sleep(max(0, done + GONE_S - time.monotonic()))
        for pid in daemon.children()["httpd"]:
            found = memory.hits(memory.memory(pid), run.secrets)
            assert not found, (found, [memory.places(pid, memory.forms(
                run.secrets[name])[form])[:3] for name, form, _ in found[:3]])
        assert memory.hits(daemon.text_log().encode(), run.secrets) == []
        assert memory.hits(process_bytes(daemon), run.secrets) == []
        assert memory.hits(database_bytes(daemon), run.secrets) == []
        assert memory.hits(files_bytes(folder), run.secrets) == []
    finally:
        daemon.stop()
    assert memory.hits(database_bytes(daemon), run.secrets) == []
    assert not list(folder.rglob("core*"))
    assert "CANARY" not in daemon.text_log()


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


def test_ten_thousand_updates_leave_nothing_in_the_free_pages(folder):
    """The pragma of the store on this SQLite, with a control without it."""
    left = {}
    for secure in ("ON", "OFF"):
        path = folder / f"{secure}.db"
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(f"PRAGMA secure_delete={secure}")
            database.execute("CREATE TABLE secrets (name TEXT PRIMARY KEY, sealed BLOB)")
            for number in range(10000):
                value = b"CANARY%010d" % number * (1 + number % 40)
                database.execute("INSERT OR REPLACE INTO secrets VALUES (?, ?)",
                                 (f"token/{number % 7}", value))
            database.execute("DELETE FROM secrets")
            database.commit()
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        left[secure] = path.read_bytes().count(b"CANARY")
    assert left["ON"] == 0 and left["OFF"] > 0


# -- copies in the broker -----------------------------------------------------------------


def copies(run, kinds):
    """{name: full copies in the broker's memory}"""
    data = memory.memory(run.daemon.broker_pid())
    return {name: data.count(value) for name, value in run.of(*kinds).items()}


def use_tokens(run, rounds):
    put_credentials(run)
    for name in NAMES:
        assert run.login(name)[0].status == 200
    for _ in range(rounds):
        assert run.daemon.cli("accounts", "--ask").returncode == 0
        for name in NAMES:
            run.daemon.post(f"/oauth/refresh/{name}/streamer123")
    run.collect()
    time.sleep(5)


@pytest.fixture
def tls(folder):
    front = TlsFront(folder)
    yield front
    front.stop()


def test_of_a_used_token_at_most_one_copy_is_left(plain, folder, fakes, tls):
    run = prepare(plain, folder, fakes, tls)
    try:
        use_tokens(run, 5)
        assert tls.connections > 20
        found = copies(run, ("access", "refresh", "verifier", "code", "client_secret"))
        assert len(found) >= 9
        too_many = {name: count for name, count in found.items() if count > 1}
        assert not too_many, [(name, memory.places(run.daemon.broker_pid(),
                                                   run.secrets[name])[:4])
                              for name in too_many]
    finally:
        run.daemon.stop()


def test_without_wiping_more_copies_are_left(plain, folder, fakes, tls):
    """The control: the same run with a library that makes wiping do nothing."""
    source, library = folder / "no_wiping.c", folder / "no_wiping.so"
    source.write_text(NO_WIPING)
    subprocess.run(["cc", "-shared", "-fPIC", "-fno-builtin", "-w", "-o", str(library),
                    str(source)], check=True)
    run = prepare(plain, folder, fakes, tls, environment={"LD_PRELOAD": str(library)})
    try:
        use_tokens(run, 5)
        maps = pathlib.Path(f"/proc/{run.daemon.broker_pid()}/maps").read_text()
        assert "no_wiping.so" in maps
        found = copies(run, ("access", "refresh"))
        print(json.dumps(sorted(found.values())))
        assert max(found.values()) > 1
    finally:
        run.daemon.stop()
