"""What is kept around a refresh: the refresh token before until the new tokens are proven, fresh
tokens that cannot be stored, one broker at a time for a database."""
import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import time

import pytest

from tests.lib.platforms import NAMES, USER, login, put_credentials
from tests.system.test_keyring import (expect_state, keyring, needs_keyring,  # noqa: F401
                                       ready)
from tests.system.test_refresh import SHARED_S, TERMINAL, refresh, refreshes, start, status, until

PREVIOUS = f"previous/kick/{USER}"


@pytest.fixture
def daemon(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder, logging={"level": "debug"}))
    fakes.register(daemon)
    return daemon


def secrets(daemon):
    """{name: sealed} of a daemon that is stopped meanwhile."""
    daemon.stop()
    rows = dict(daemon.sql("SELECT name, sealed FROM secrets"))
    daemon.start()
    return rows


def on_disk(daemon, sealed):
    """Whether the bytes are anywhere in the database's files."""
    return any(sealed in path.read_bytes()
               for path in daemon.database.parent.glob("streamhold.db*"))


def check(daemon):
    done = daemon.cli("accounts", "--ask")
    assert done.returncode == 0, done.stderr


def kill_newest(fake):
    newest = fake.state()["tokens"][-1]
    assert newest["use"] == "refresh"
    fake.kill(token=newest["value"])


# -- the refresh token before -----------------------------------------------------------------


def test_the_token_before_goes_when_the_new_one_is_proven(daemon):
    start(daemon, "kick")
    assert PREVIOUS not in secrets(daemon)
    assert refresh(daemon, "kick").status == 200
    sealed = secrets(daemon)[PREVIOUS]
    assert on_disk(daemon, sealed)
    check(daemon)
    assert PREVIOUS not in secrets(daemon)
    assert not on_disk(daemon, sealed)


def test_a_call_about_subscriptions_is_a_proof(daemon, fakes):
    """A refusal is none; a call that the platform takes with the login's token is."""
    start(daemon, "kick")
    path = f"/subscriptions/kick/{USER}"
    assert daemon.call("PUT", path, {"events": ["channel.followed"]}).status == 200
    until(lambda: daemon.get(path).json()["state"] in ("settling", "active"))
    time.sleep(SHARED_S)
    assert refresh(daemon, "kick").status == 200
    fakes["kick"].next("subscriptions_list", status=500, body="")
    assert daemon.post("/subscriptions/kick/sync").status == 200
    assert "are proven" not in daemon.text_log()
    assert daemon.post("/subscriptions/kick/sync").status == 200
    assert daemon.get(path).json()["token"] == "user"
    daemon.wait_log(f"the tokens of '{USER}' at kick are proven")
    assert PREVIOUS not in secrets(daemon)


def test_the_check_at_start_is_a_proof(daemon, fakes):
    fakes["twitch"].set(rotation="strict")
    start(daemon, "twitch")
    assert refresh(daemon, "twitch").status == 200
    daemon.stop()
    rows = dict(daemon.sql("SELECT name, sealed FROM secrets"))
    assert f"previous/twitch/{USER}" in rows
    fakes["twitch"].next("validate", status=503, body="")
    daemon.start()
    until(lambda: fakes["twitch"].asked("validate"))
    assert f"previous/twitch/{USER}" in secrets(daemon), "an answer that says nothing"
    until(lambda: len(fakes["twitch"].asked("validate")) >= 2)
    daemon.wait_log(f"the tokens of '{USER}' at twitch are proven")
    assert f"previous/twitch/{USER}" not in secrets(daemon)


def test_the_next_refresh_replaces_the_token_before(daemon):
    start(daemon, "kick")
    assert refresh(daemon, "kick").status == 200
    first = secrets(daemon)[PREVIOUS]
    assert refresh(daemon, "kick").status == 200
    second = secrets(daemon)[PREVIOUS]
    assert first != second and not on_disk(daemon, first)


@pytest.mark.parametrize("end", ["login", "logout", "loss"])
def test_the_token_before_ends_with_its_login(daemon, fakes, end):
    start(daemon, "kick")
    assert refresh(daemon, "kick").status == 200
    if end == "login":
        assert login(daemon, "kick").status == 200
    elif end == "logout":
        assert daemon.delete(f"/oauth/kick/{USER}").status == 200
    else:
        code, body = TERMINAL["kick"]
        fakes["kick"].next("token", status=code, body=body, count=-1)
        time.sleep(SHARED_S)
        assert refresh(daemon, "kick").status == 404
    assert PREVIOUS not in secrets(daemon)


@pytest.mark.parametrize("proven", [False, True])
def test_the_token_before_is_tried_until_the_new_one_is_proven(daemon, fakes, proven):
    fake = fakes["kick"]
    fake.set(rotation="grace", grace_s=3600)
    start(daemon, "kick")
    assert refresh(daemon, "kick").status == 200
    if proven:
        check(daemon)
    time.sleep(SHARED_S)
    kill_newest(fake)
    answer = refresh(daemon, "kick")
    used = [one["form"]["refresh_token"] for one in refreshes(fake)]
    if proven:
        assert answer.status == 404 and answer.json()["status"] == "reauth_required"
        assert len(used) == 3 and used[1] == used[2] != used[0]
    else:
        assert answer.status == 200
        assert len(used) == 4 and used[3] == used[0]


def test_a_platform_with_single_use_is_not_asked_with_the_token_before(daemon, fakes):
    fake = fakes["twitch"]
    fake.set(rotation="strict")
    start(daemon, "twitch")
    assert refresh(daemon, "twitch").status == 200
    time.sleep(SHARED_S)
    fake.kill(use="refresh")
    assert refresh(daemon, "twitch").status == 404
    first, *more = [one["form"]["refresh_token"] for one in refreshes(fake)]
    assert len(more) == 2 and first not in more


# -- fresh tokens that cannot be stored -------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder):
    """A file system of its own for the state folder; gives a function that fills it and one that
    makes room."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", state]).returncode:
        pytest.skip("needs to mount a file system")
    filler = state / "filler"

    def fill():
        with open(filler, "wb", buffering=0) as out:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while out.write(b"x" * size) == size:
                        pass

    try:
        yield fill, lambda: filler.unlink()
    finally:
        subprocess.run(["umount", "-l", state], check=True)


def refresh_onto_full_disk(daemon, fake, fill):
    """The disk fills up between the request and the reply; the answer to who asked."""
    fake.next("token", mode="slow", delay_s=0.7)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pending = pool.submit(refresh, daemon, "kick")
        until(lambda: refreshes(fake))
        fill()
        return pending.result()


def begin_on(streamhold, fakes, folder, rotation):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    fakes["kick"].set(rotation=rotation, old_access="kept")
    start(daemon, "kick")
    assert daemon.cli("token", "allow", f"kick/{USER}").returncode == 0
    daemon.stop()       # so that the write-ahead log has to grow again
    daemon.start()
    return daemon, fakes["kick"]


def test_tokens_that_a_full_disk_does_not_take_are_held(streamhold, fakes, folder):
    with small_disk(folder) as (fill, make_room):
        daemon, fake = begin_on(streamhold, fakes, folder, "strict")
        before = status(daemon, "kick").json()
        answer = refresh_onto_full_disk(daemon, fake, fill)
        assert answer.status == 503
        assert answer.headers["Streamhold-Error"] == "storage_failed"
        assert "held in memory" in answer.json()["error"]
        # Whoever looks is told, and the old token goes on being the one that is served.
        shown = status(daemon, "kick").json()
        assert "held in memory" in shown.pop("trouble") and shown == before
        assert "held in memory" in daemon.cli("accounts").stdout
        assert refresh(daemon, "kick").status == 503
        assert len(refreshes(fake)) == 1
        make_room()
        until(lambda: "trouble" not in status(daemon, "kick").json(), 30)
        assert status(daemon, "kick").json()["expires_at"] > before["expires_at"]
        token = daemon.cli("token", "get", f"kick/{USER}").stdout.strip()
        newest = [one for one in fake.state()["tokens"] if one["use"] == "access"][-1]
        assert token == newest["value"]
        time.sleep(SHARED_S)
        assert refresh(daemon, "kick").status == 200, "with the token that was held"
        assert len(refreshes(fake)) == 2
        daemon.stop()


@pytest.fixture
def disk(folder, plain):
    """The environment of a daemon whose disk can be made read-only, and the switch for that."""
    path = folder / "switch"
    path.write_bytes(b"0")
    with open(path, "r+b", buffering=0) as file:
        yield ({"LD_PRELOAD": str(plain / "tests" / "read_only_disk.so"),
                "READ_ONLY_SWITCH": str(path)},
               lambda on: os.pwrite(file.fileno(), b"1" if on else b"0", 0))


def test_tokens_that_a_read_only_disk_does_not_take_are_held(streamhold, fakes, folder, plain,
                                                             disk):
    """The disk becomes read-only between the requests and the replies; with single use the fresh
    pair is all there is."""
    environment, read_only = disk
    daemon = streamhold(fakes.config(folder), build=plain, environment=environment)
    fakes.register(daemon)
    before = {}
    for platform in NAMES:
        fakes[platform].set(rotation="strict", old_access="kept")
        start(daemon, platform)
        assert daemon.cli("token", "allow", f"{platform}/{USER}").returncode == 0
        before[platform] = status(daemon, platform).json()
        fakes[platform].next("token", mode="slow", delay_s=0.7)
    pid = daemon.broker_pid()
    with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
        pending = [pool.submit(refresh, daemon, platform) for platform in NAMES]
        until(lambda: all(refreshes(fakes[platform]) for platform in NAMES))
        read_only(True)
        answers = [one.result() for one in pending]
    for answer in answers:
        assert answer.status == 503 and answer.headers["Streamhold-Error"] == "storage_failed"
        assert "held in memory" in answer.json()["error"]
        assert "Read-only" in answer.json()["error"]
    assert daemon.get("/readyz").status == 503
    daemon.wait_log("cannot be stored", count=2 * len(NAMES))
    for platform in NAMES:
        shown = status(daemon, platform).json()
        assert "held in memory" in shown.pop("trouble") and shown == before[platform]
        # Nothing more is asked for while it could not be stored.
        assert refresh(daemon, platform).status == 503
        assert len(refreshes(fakes[platform])) == 1
    read_only(False)
    for platform in NAMES:
        until(lambda one=platform: "trouble" not in status(daemon, one).json(), 30)
        assert status(daemon, platform).json()["expires_at"] > before[platform]["expires_at"]
        newest = [one["value"] for one in fakes[platform].state()["tokens"]
                  if one["use"] == "access"][-1]
        assert daemon.cli("token", "get", f"{platform}/{USER}").stdout.strip() == newest
    assert daemon.get("/readyz").status == 200
    assert daemon.broker_pid() == pid, "the broker has lived through it"
    daemon.stop()
    daemon.start()
    for platform in NAMES:
        assert refresh(daemon, platform).status == 200, "with the token that was held"
        assert len(refreshes(fakes[platform])) == 2


def test_nothing_is_sent_from_a_read_only_disk(streamhold, fakes, folder, plain, disk):
    """A token that is used up for one that cannot be stored is a lost login."""
    environment, read_only = disk
    fake = fakes["kick"]
    daemon = streamhold(fakes.config(folder), build=plain, environment=environment)
    fakes.register(daemon)
    start(daemon, "kick")
    read_only(True)
    answer = refresh(daemon, "kick")
    assert answer.status == 503 and "Read-only" in answer.json()["error"]
    assert refreshes(fake) == []
    read_only(False)
    until(lambda: "trouble" not in status(daemon, "kick").json())
    assert len(refreshes(fake)) == 1


@pytest.mark.parametrize("room", [True, False])
def test_a_stop_tries_once_more_to_store_what_is_held(streamhold, fakes, folder, room):
    """Without room the loss is told, and the next start asks once more."""
    with small_disk(folder) as (fill, make_room):
        daemon, fake = begin_on(streamhold, fakes, folder, "grace")
        assert refresh_onto_full_disk(daemon, fake, fill).status == 503
        # Several tries that fail: the next one is some seconds away.
        daemon.wait_log("cannot be stored", count=3)
        if room:
            make_room()
        daemon.stop()
        assert ("are gone with this stop" in daemon.text_log()) != room
        if not room:
            make_room()
        daemon.start()
        assert ("was cut off" in daemon.text_log()) != room
        until(lambda: "trouble" not in status(daemon, "kick").json()
              and len(refreshes(fake)) == (1 if room else 2))
        assert status(daemon, "kick").json()["status"] == "valid"
        daemon.stop()


def test_a_stop_waits_for_a_refresh_that_is_under_way(daemon, fakes):
    """A refresh token that works once is gone with the answer that replaces it."""
    fake = fakes["kick"]
    fake.set(rotation="strict")
    start(daemon, "kick")
    fake.next("token", mode="slow", delay_s=1.5)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pending = pool.submit(refresh, daemon, "kick", timeout=10)
        until(lambda: refreshes(fake))
        os.kill(daemon.broker_pid(), signal.SIGTERM)
        with contextlib.suppress(OSError):
            pending.result()
    until(lambda: "refreshed" in daemon.text_log())
    assert daemon.stop() == 0
    assert daemon.sql("SELECT count(*) FROM refreshes") == [(0,)]
    daemon.start()
    assert status(daemon, "kick").json()["status"] == "valid"
    assert refresh(daemon, "kick").status == 200
    assert len(refreshes(fake)) == 2


# -- a keyring that is locked -----------------------------------------------------------------


@needs_keyring
def test_nothing_is_refreshed_while_the_keyring_is_locked(ready, fakes):
    daemon, ring = ready
    assert daemon.cli("token", "allow", f"kick/{USER}").returncode == 0
    ring.lock()
    expect_state(daemon, "keystore_locked")
    answer = refresh(daemon, "kick")
    assert answer.status == 503
    assert answer.headers["Streamhold-Error"] == "keystore_locked"
    assert "locked" in answer.json()["error"]
    assert "locked" in status(daemon, "kick").json()["trouble"]
    assert status(daemon, "kick").json()["status"] == "valid"
    done = daemon.cli("--json", "token", "get", f"kick/{USER}")
    assert done.returncode != 0 and "locked" in done.stderr
    assert not refreshes(fakes["kick"]), "no token was spent"
    ring.unlock()
    until(lambda: "trouble" not in status(daemon, "kick").json(), 30)
    assert len(refreshes(fakes["kick"])) == 1
    handed = daemon.cli("token", "get", f"kick/{USER}")
    assert handed.returncode == 0, handed.stderr


@needs_keyring
def test_tokens_that_a_locked_keyring_does_not_take_are_held(ready, fakes):
    daemon, ring = ready
    fake = fakes["kick"]
    fake.set(rotation="strict")
    fake.next("token", mode="slow", delay_s=2.5)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pending = pool.submit(refresh, daemon, "kick")
        until(lambda: refreshes(fake))
        ring.lock()
        answer = pending.result()
    assert answer.status == 503
    assert answer.headers["Streamhold-Error"] == "keystore_locked"
    assert "held in memory" in status(daemon, "kick").json()["trouble"]
    ring.unlock()
    until(lambda: "trouble" not in status(daemon, "kick").json(), 30)
    assert len(refreshes(fake)) == 1
    until(lambda: len(ring.items(f"token/kick/{USER}")) == 1)
    assert len(ring.items(PREVIOUS)) == 1
    time.sleep(SHARED_S)
    assert refresh(daemon, "kick").status == 200, "with the token that was held"
    check(daemon)
    until(lambda: not ring.items(PREVIOUS))


# -- one broker ---------------------------------------------------------------------------------


def test_a_second_broker_on_the_same_database_never_refreshes(streamhold, fakes, folder, build):
    """It names the process that has the database, and the first alone asks the platforms."""
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    for platform in NAMES:
        fakes[platform].set(access_life_s=7)
        start(daemon, platform)
        fakes[platform].set(access_life_s=7200)
    other = folder / "other"
    other.mkdir()
    second = type(daemon)(other, {**daemon.config,
                                  "paths": {"state_dir": str(folder / "state"),
                                            "runtime_dir": str(other / "run")}}, build=build)
    holder = daemon.broker_pid()
    second.spawn()
    assert second.wait_exit() == 2
    assert f"process {holder}" in second.text_log(), second.text_log()
    assert "locked" in second.text_log() or "in use" in second.text_log()
    for platform in NAMES:
        until(lambda one=platform: refreshes(fakes[one]))
        until(lambda one=platform: status(daemon, one).json()["status"] == "valid")
    time.sleep(1)
    for platform in NAMES:
        assert len(refreshes(fakes[platform])) == 1
    assert json.loads(daemon.cli("--json", "accounts").stdout)["accounts"]


def test_of_two_brokers_that_start_at_once_one_refreshes(streamhold, fakes, folder, build):
    """Three times; tokens are due the moment that either is ready."""
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    for platform in NAMES:
        start(daemon, platform)
    other = folder / "other"
    other.mkdir()
    second = type(daemon)(other, {**daemon.config,
                                  "paths": {"state_dir": str(folder / "state"),
                                            "runtime_dir": str(other / "run")}}, build=build)
    for number in range(3):
        daemon.stop()
        daemon.sql("UPDATE accounts SET expires_at = 1768042800000")
        both = [daemon, second] if number % 2 else [second, daemon]
        for one in both:
            one.log.clear()
            one.spawn()
        try:
            until(lambda: any(one.process.poll() is not None for one in both))
            [loser] = [one for one in both if one.process.poll() is not None]
            [winner] = [one for one in both if one is not loser]
            assert loser.wait_exit() == 2
            winner.wait_log(r"streamhold-broker .* is ready")
            assert f"process {winner.broker_pid()}" in loser.text_log()
            for platform in NAMES:
                until(lambda one=platform: len(refreshes(fakes[one])) == number + 1)
            time.sleep(0.5)
            for platform in NAMES:
                assert len(refreshes(fakes[platform])) == number + 1
        finally:
            second.stop()


# -- many callers -----------------------------------------------------------------------------


CALLERS = 50
ROUNDS = 100
# So many that no result is young enough to be shared when an account's turn comes again.
IN_TURN = 50


def many_logins(daemon, fakes, platform):
    fake = fakes[platform]
    put_credentials(daemon, platform)
    names = [f"someone{number:02}" for number in range(IN_TURN)]
    for number, name in enumerate(names):
        fake.add_user(f"UCsomeone{number:02}0123456789abc" if platform == "youtube"
                      else 5000 + number, name)
        fake.set(identity=name)
        assert login(daemon, platform, name).status == 200
    return names


@pytest.mark.parametrize("platform", NAMES)
def test_fifty_callers_cause_one_request_each_round(streamhold, fakes, folder, plain, platform):
    """All of them get its result, a hundred times."""
    daemon = streamhold(fakes.config(folder), build=plain)
    fakes.register(daemon)
    fake = fakes[platform]
    names = many_logins(daemon, fakes, platform)
    last = dict.fromkeys(names, 0.0)
    fake.set(latency_ms=40)
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        for number in range(ROUNDS):
            name = names[number % len(names)]
            time.sleep(max(0.0, last[name] + SHARED_S - time.monotonic()))
            answers = list(pool.map(lambda _, name=name: daemon.post(
                f"/oauth/refresh/{platform}/{name}"), range(CALLERS)))
            last[name] = time.monotonic()
            assert {answer.status for answer in answers} == {200}
            assert len({answer.json()["expires_at"] for answer in answers}) == 1
            assert len(refreshes(fake)) == number + 1
