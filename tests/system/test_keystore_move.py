"""`streamhold keystore`: secrets are moved between the keyring and the file keystore, and
under a new key, with 100 accounts and a broker that is killed meanwhile."""
import json
import os
import random
import signal
import subprocess
import time

import pytest

from tests.lib.keyring import Keyring, have, wait_for
from tests.lib.platforms import USER, login, put_credentials

pytestmark = pytest.mark.skipif(not have(), reason="needs gnome-keyring and dbus")

ACCOUNTS = 100


@pytest.fixture
def keyring(folder):
    ring = Keyring(folder)
    yield ring
    ring.stop()


def status(daemon):
    return json.loads(daemon.cli("--json", "keystore", "status").stdout)


def settled(daemon):
    """Whether the broker is there and moves nothing."""
    done = daemon.cli("--json", "keystore", "status")
    return bool(done.stdout) and json.loads(done.stdout)["moving"] == ""


def fill(daemon, fakes, count=ACCOUNTS):
    """Logins of `count` accounts at Kick."""
    fakes.register(daemon, ["kick"])
    put_credentials(daemon, "kick")
    for number in range(count):
        name = f"someone{number:03}"
        fakes["kick"].add_user(id=5000 + number, login=name, slug=name)
    for number in range(count):
        fakes["kick"].set(identity=f"someone{number:03}")
        answer = login(daemon, "kick", f"someone{number:03}")
        assert answer.status == 200, answer.text


def accounts(daemon):
    return {one["username"]: one["status"]
            for one in json.loads(daemon.cli("--json", "accounts").stdout)["accounts"]}


def sealed(daemon):
    """{name: first byte of what the database holds} of a stopped daemon."""
    return dict(daemon.sql("SELECT name, hex(substr(sealed, 1, 1)) FROM secrets"))


@pytest.fixture
def one_account(streamhold, fakes, folder):
    def make(environment, backend="auto", count=1):
        daemon = streamhold(fakes.config(folder, keystore={"backend": backend}),
                            environment=environment)
        fakes.register(daemon, ["kick"])
        put_credentials(daemon, "kick")
        assert login(daemon, "kick").status == 200
        return daemon
    return make


def test_there_and_back_again(one_account, keyring):
    keyring.start()
    daemon = one_account(keyring.environment)
    assert status(daemon)["backend"] == "secret-service"
    done = daemon.cli("keystore", "migrate", "--to", "file")
    assert done.returncode == 0, done.stderr
    assert status(daemon)["backend"] == "file"
    wait_for(lambda: not keyring.items(), 5)
    assert login(daemon, "kick").status == 200
    done = daemon.cli("keystore", "migrate", "--to", "secret-service")
    assert done.returncode == 0, done.stderr
    assert login(daemon, "kick").status == 200
    daemon.stop()
    assert set(sealed(daemon).values()) == {"02"}
    daemon.start()
    assert status(daemon)["backend"] == "secret-service"


def test_a_new_key(one_account, folder):
    daemon = one_account({})
    key = folder / "state" / "vault.key"
    before = key.read_bytes()
    done = daemon.cli("keystore", "rotate")
    assert done.returncode == 0, done.stderr
    assert key.read_bytes() != before and len(key.read_bytes()) == 32
    assert not key.with_name("vault.key.next").exists()
    assert login(daemon, "kick").status == 200
    daemon.stop()
    daemon.start()
    daemon.stop()
    key.write_bytes(before)             # the old key opens nothing any more
    daemon.spawn()
    assert daemon.wait_exit() == 2
    assert "vault.key" in daemon.text_log()
    key.unlink()
    daemon.spawn()
    assert daemon.wait_exit() == 2
    assert "missing" in daemon.text_log()
    assert not key.exists()


def test_what_cannot_be_is_refused(one_account, keyring):
    daemon = one_account(keyring.environment)       # no bus: file
    done = daemon.cli("keystore", "migrate", "--to", "elsewhere")
    assert done.returncode == 2
    done = daemon.cli("keystore", "migrate", "--to", "file")
    assert done.returncode != 0 and "already" in done.stderr
    done = daemon.cli("keystore", "migrate", "--to", "secret-service")
    assert done.returncode == 1, done.stdout
    assert status(daemon)["backend"] == "file" and status(daemon)["state"] == "healthy"
    assert login(daemon, "kick").status == 200


def test_a_configured_keystore_is_not_left(one_account, keyring):
    keyring.start()
    daemon = one_account(keyring.environment, "file")
    done = daemon.cli("keystore", "migrate", "--to", "secret-service")
    assert done.returncode != 0 and "auto" in done.stderr
    assert status(daemon)["backend"] == "file"


@pytest.mark.parametrize("to", ["file", "secret-service", "rotate"])
def test_killed_at_random(streamhold, fakes, folder, keyring, to):
    """Every account's secret opens afterwards, wherever the kills fell. At least one of them
    falls into the move: a start that finds one cut off says so."""
    seed = random.randrange(1 << 30)
    dice = random.Random(seed)
    print("seed", seed)
    if to != "rotate":
        keyring.start()
    daemon = streamhold(
        fakes.config(folder, keystore={"backend": "auto"}, server={"port": 0}),
        environment=keyring.environment)
    fill(daemon, fakes)
    if to == "secret-service":
        assert daemon.cli("keystore", "migrate", "--to", "file").returncode == 0
        daemon.wait_log("items were removed from the keyring")     # till then it is refused
    names = accounts(daemon)
    assert len(names) == ACCOUNTS
    what = ["rotate"] if to == "rotate" else ["migrate", "--to", to]
    kills, moves = 1, daemon.text_log().count("moving all secrets")
    asking = subprocess.Popen(
        [daemon.program("streamhold"), "--config", str(daemon.config_file), "keystore", *what],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pid = daemon.broker_pid()
    daemon.wait_log("moving all secrets", count=moves + 1)
    os.kill(pid, signal.SIGKILL)
    for longest in (0.3, 0.4, 0.4):
        time.sleep(dice.uniform(0.02, longest))
        try:
            os.kill(daemon.broker_pid(), signal.SIGKILL)
            kills += 1
        except (KeyError, ProcessLookupError):
            pass
    asking.wait(30)
    wait_for(lambda: settled(daemon), 60)
    if not settled(daemon) or status(daemon)["backend"] != {"rotate": "file"}.get(to, to):
        assert daemon.cli("keystore", *what).returncode == 0    # killed before it began
    log = daemon.text_log()
    hits = log.count("that was cut off goes on")
    print(f"{kills} kills, {hits} during the move")
    assert 0 < hits <= kills
    assert accounts(daemon) == names
    daemon.stop()
    kinds = sealed(daemon)
    assert len(kinds) == ACCOUNTS + 1
    assert set(kinds.values()) == {"02" if to == "secret-service" else "01"}
    daemon.start()
    fakes.register(daemon, ["kick"])
    for name in names:
        gone = daemon.delete(f"/oauth/kick/{name}")
        assert gone.status == 200 and gone.json()["revocation"] == "ok", gone.text
    # What was opened were the tokens that Kick knows.
    assert not [one for one in fakes["kick"].state()["tokens"] if one["live"] and one["user"]]
    fakes["kick"].set(identity=USER)
    assert login(daemon, "kick", USER).status == 200


@pytest.mark.parametrize("to", ["file", "secret-service", "rotate"])
def test_stopped_in_mid_move(streamhold, fakes, folder, keyring, to):
    """The broker stops in order, without a leak (sanitizers), and goes on when it starts."""
    if to == "file":
        keyring.start()
    daemon = streamhold(fakes.config(folder, keystore={"backend": "auto"}),
                        environment=keyring.environment)
    fill(daemon, fakes)
    if to == "secret-service":      # which was not there at first
        keyring.start()
    names = accounts(daemon)
    what = ["rotate"] if to == "rotate" else ["migrate", "--to", to]
    asking = subprocess.Popen(
        [daemon.program("streamhold"), "--config", str(daemon.config_file), "keystore", *what],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: status(daemon)["moved"] > 0 and status(daemon)["moving"], 20, 0)
    assert daemon.stop() == 0, daemon.text_log()
    asking.wait(30)
    assert not daemon.sanitizer_reports()
    done = "02" if to == "secret-service" else "01"
    if to != "rotate":
        assert set(sealed(daemon).values()) == {"01", "02"}, "stopped in the middle"
    daemon.start()
    wait_for(lambda: settled(daemon), 30)
    assert accounts(daemon) == names
    fakes.register(daemon, ["kick"])
    gone = daemon.delete("/oauth/kick/someone007")
    assert gone.status == 200 and gone.json()["revocation"] == "ok", gone.text
    assert daemon.stop() == 0
    assert set(sealed(daemon).values()) == {done}
