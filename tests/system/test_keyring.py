"""Secrets in a real gnome-keyring: what is kept there, which keystore is chosen, and what
happens when a person or the helper fails. The grid of its states is in
test_keyring_grid.py."""
import json
import os
import signal
import subprocess

import pytest

from tests.fake.client import approve
from tests.fake.sender import build, send
from tests.lib.keyring import Keyring, have, wait_for
from tests.lib.platforms import OTHER, USER, follow, login, put_credentials
from tests.lib.stopwatch import Stopwatch

needs_keyring = pytest.mark.skipif(not have(), reason="needs gnome-keyring and dbus")
pytestmark = needs_keyring

STATE_S = 3.0       # promised
SLACK_S = 0.7       # of this machine


@pytest.fixture
def keyring(folder):
    made = []

    def make(activation=True):
        made.append(Keyring(folder, activation))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def keystore(daemon):
    return daemon.get("/status").json()["components"]["keystore"]


def inspect(daemon):
    done = daemon.cli("--json", "inspect")
    return json.loads(done.stdout)["sections"]["keystore"]


def is_state(daemon, code):
    component = keystore(daemon)
    if code == "healthy":
        return component["status"] == "healthy"
    return component["status"] == "unhealthy" and component["detail"].startswith(code + ":")


def expect_state(daemon, code):
    took = wait_for(lambda: is_state(daemon, code), STATE_S + SLACK_S)
    shown = inspect(daemon)
    assert shown["state"] == code, shown
    return took


def stored_accounts(daemon):
    done = daemon.cli("--json", "accounts")
    return [(one["username"], one["status"])
            for one in json.loads(done.stdout)["accounts"]]


def deliver(daemon, fakes, count=2):
    """Deliveries are accepted whatever the keystore does."""
    for _ in range(count):
        reply = send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick",
                     build("channel.followed", fakes.signer))
        assert reply.status == 200


@pytest.fixture
def ready(streamhold, fakes, folder, keyring):
    """A daemon with one login in an open keyring."""
    ring = keyring().start()
    daemon = streamhold(fakes.config(folder, keystore={"backend": "auto"}),
                        environment=ring.environment)
    fakes.register(daemon)
    put_credentials(daemon, "kick")
    answer = login(daemon, "kick")
    assert answer.status == 200, answer.text
    assert stored_accounts(daemon) == [(USER, "valid")]
    return daemon, ring


def login_again(daemon):
    answer = login(daemon, "kick")
    assert answer.status == 200, answer.text


def test_auto_takes_an_open_keyring_and_keeps_one_item_for_each_secret(ready):
    daemon, ring = ready
    assert inspect(daemon)["backend"] == "secret-service"
    names = [name for name, _ in ring.items()]
    assert "client/kick" in names and f"token/kick/{USER}" in names
    login_again(daemon)
    wait_for(lambda: len(ring.items(f"token/kick/{USER}")) == 1, 5)
    assert not (daemon.folder / "state" / "vault.key").exists()


def test_the_database_holds_no_secret_but_a_reference(ready):
    daemon, _ = ready
    daemon.stop()
    rows = daemon.sql("SELECT name, hex(sealed) FROM secrets")
    assert rows and all(sealed == "02" for _, sealed in rows)


def test_a_locked_keyring_is_told_and_used_again_after_unlocking(ready, fakes):
    daemon, ring = ready
    ring.lock()
    expect_state(daemon, "keystore_locked")
    answer = daemon.get(f"/oauth/start/kick/{USER}")
    assert answer.status == 503
    assert answer.headers["Streamhold-Error"] == "keystore_locked"
    deliver(daemon, fakes)
    assert stored_accounts(daemon) == [(USER, "valid")]
    ring.unlock()
    expect_state(daemon, "healthy")
    login_again(daemon)


def test_a_keyring_that_gives_another_value_back_is_not_relied_on(
        streamhold, fakes, folder, keyring, plain):
    """What was written is read back before anything refers to it."""
    ring, lies = keyring().start(), folder / "lies"
    daemon = streamhold(
        fakes.config(folder, keystore={"backend": "auto"}), build=plain, environment={
            **ring.environment, "LD_PRELOAD": str(plain / "tests" / "keyring_lies.so"),
            "STREAMHOLD_LIES": str(lies)})
    fakes.register(daemon)
    put_credentials(daemon, "kick")
    assert login(daemon, "kick").status == 200
    lies.touch()
    for count, platform in enumerate(("twitch", "youtube"), 1):
        answer = daemon.post(f"/oauth/credentials/{platform}", json.dumps(
            {"client_id": "x", "client_secret": "CANARY-that-comes-back-changed"}),
            headers={"Content-Type": "application/json"})
        assert answer.status == 503, answer.text
        daemon.wait_log("the keyring gave another value back than was written", count=count)
        assert daemon.get(f"/oauth/credentials/{platform}").status == 404
    lies.unlink()
    expect_state(daemon, "healthy")
    assert stored_accounts(daemon) == [(USER, "valid")]
    assert daemon.post(f"/oauth/refresh/kick/{USER}").status == 200
    assert daemon.stop() == 0
    assert daemon.sql("SELECT name FROM secrets WHERE name LIKE 'client/%'") == [("client/kick",)]


def test_an_item_that_a_person_removed_is_said(ready):
    daemon, ring = ready
    ring.clear("client/kick")
    started = daemon.get(f"/oauth/start/kick/{USER}")
    assert started.status == 200        # needs a verifier only
    answer = follow(daemon, approve(started.json()["auth_url"]))
    assert answer.status == 503 and "removed from the keyring" in answer.text
    assert stored_accounts(daemon) == [(USER, "valid")]
    put_credentials(daemon, "kick")
    login_again(daemon)


def app_token(daemon):
    """What the comparison of a channel without a login says, and what failed."""
    path = f"/subscriptions/kick/{OTHER['kick']['login']}"
    assert daemon.post("/subscriptions/kick/sync").status == 200
    done = daemon.cli("--json", "inspect")
    rows = json.loads(done.stdout)["sections"]["accounts"]
    return daemon.get(path).json(), rows.get("app_token.kick.error"), \
        rows.get("app_token.kick.trouble")


def test_the_app_token_tells_a_locked_keyring_from_one_that_cannot_be_used(ready, fakes):
    """Neither costs a request, and neither is remembered beyond its end."""
    daemon, ring = ready
    ring.lock()
    expect_state(daemon, "keystore_locked")
    path = f"/subscriptions/kick/{OTHER['kick']['login']}"
    assert daemon.call("PUT", path, {"events": ["channel.followed"]}).status == 200
    asked = len(fakes["kick"].asked("token"))
    channel, error, trouble = app_token(daemon)
    assert channel["state"] == "unavailable" and channel["token"] == "app", channel
    assert error == "keystore_locked" and "is locked" in trouble
    ring.unlock()
    expect_state(daemon, "healthy")
    ring.clear("client/kick")
    channel, error, trouble = app_token(daemon)
    assert channel["state"] == "unavailable", channel
    assert error == "keystore_unavailable" and "removed from the keyring" in trouble
    assert "locked" not in trouble
    ring.stop()
    expect_state(daemon, "keystore_unavailable")
    channel, error, trouble = app_token(daemon)
    assert channel["state"] == "unavailable", channel
    assert error == "keystore_unavailable" and "locked" not in trouble
    assert len(fakes["kick"].asked("token")) == asked
    (ring.runtime / "bus").unlink(missing_ok=True)
    ring.start()
    wait_for(lambda: is_state(daemon, "healthy"), 10)
    put_credentials(daemon, "kick")
    channel, error, _ = app_token(daemon)
    assert channel["state"] in ("settling", "active") and not error, channel
    assert len(fakes["kick"].asked("token")) == asked + 1


@pytest.mark.parametrize("case", ["no bus", "no service", "never unlocked"])
def test_start_without_a_usable_keyring(streamhold, fakes, folder, keyring, case):
    """A configured keyring that is not there: the daemon starts, says so, and takes
    deliveries; nothing is kept elsewhere."""
    ring = keyring(activation=case == "never unlocked")
    if case != "no bus":
        ring.start_bus()
    watch = Stopwatch()
    daemon = streamhold(fakes.config(folder, keystore={"backend": "secret-service"}),
                        environment=ring.environment)
    assert watch.within(10)
    fakes.register(daemon)
    expect_state(daemon, "keystore_unavailable")
    assert daemon.get("/readyz").status == 503
    answer = daemon.post("/oauth/credentials/kick",
                         {"client_id": "a", "client_secret": "b"})
    assert answer.status == 503
    assert answer.headers["Streamhold-Error"] == "keystore_unavailable"
    deliver(daemon, fakes)
    assert not (folder / "state" / "vault.key").exists()
    ring.stop()
    (ring.runtime / "bus").unlink(missing_ok=True)
    ring.activation = True
    ring.start()        # the person logs in
    wait_for(lambda: is_state(daemon, "healthy"), 10)
    put_credentials(daemon, "kick")
    login_again(daemon)


def test_auto_is_the_file_without_a_keyring_and_stays_so(streamhold, folder, keyring):
    ring = keyring()
    daemon = streamhold({"keystore": {"backend": "auto"}}, environment=ring.environment)
    assert inspect(daemon)["backend"] == "file"
    daemon.stop()
    ring.start()
    daemon.start()
    assert inspect(daemon)["backend"] == "file"


def test_auto_never_leaves_a_keyring_that_is_away(ready, fakes):
    daemon, ring = ready
    daemon.stop()
    ring.lock()
    daemon.start()
    assert inspect(daemon)["backend"] == "secret-service"
    expect_state(daemon, "keystore_locked")
    assert not (daemon.folder / "state" / "vault.key").exists()
    ring.unlock()
    expect_state(daemon, "healthy")
    fakes.register(daemon)      # its port is another
    login_again(daemon)


def test_another_backend_in_the_configuration_is_refused(ready):
    daemon, _ = ready
    daemon.stop()
    daemon.config["keystore"]["backend"] = "file"
    daemon.spawn()
    assert daemon.wait_exit() == 2
    assert "secret-service" in daemon.text_log()


def test_a_stuck_helper_is_killed_and_started_again(ready):
    daemon, _ = ready

    def helpers():
        done = subprocess.run(["pgrep", "-P", str(daemon.broker_pid()), "-f",
                               "streamhold-vault"], capture_output=True, text=True)
        return [int(pid) for pid in done.stdout.split()]

    def replaced(pid):
        wait_for(lambda: helpers() and pid not in helpers(), 10)
        wait_for(lambda: is_state(daemon, "healthy"), 10)
        login_again(daemon)

    (pid,) = helpers()
    os.kill(pid, signal.SIGSTOP)
    replaced(pid)
    (pid,) = helpers()
    os.kill(pid, signal.SIGKILL)
    replaced(pid)
