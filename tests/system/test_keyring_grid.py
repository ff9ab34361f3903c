"""The grid of reliability.md E6 with a real gnome-keyring: nine ways in which a keyring fails a
program, each met at the start of the daemon, during a refresh and during a login. Within 3 s
the state is told right in /readyz, /status and by the command; deliveries are accepted
meanwhile; no token is lost; and it is used again by itself."""
import json
import os
import re
import signal

import pytest

from tests.fake.client import approve
from tests.fake.sender import build, send
from tests.lib.keyring import Keyring, have, wait_for
from tests.lib.platforms import USER, follow, login, put_credentials
from tests.lib.stopwatch import Stopwatch

pytestmark = pytest.mark.skipif(not have(), reason="needs gnome-keyring and dbus")

STATE_S = 3.0       # promised
SLACK_S = 0.7       # of this machine
TOKEN = f"token/kick/{USER}"
SESSION = "/org/freedesktop/secrets/collection/session"


# -- the nine cases ---------------------------------------------------------------------------


class Case:
    """enter() makes the keyring fail, leave() is what a person then does."""
    state = "keystore_unavailable"
    at_first = None     # what may be said the moment it begins

    def __init__(self, ring):
        self.ring = ring

    def end_bus(self):
        self.ring.stop()
        (self.ring.runtime / "bus").unlink(missing_ok=True)


class AbsentBus(Case):
    def enter(self):
        self.end_bus()

    def leave(self):
        self.ring.start()


class NoService(Case):
    """A session bus where nobody offers a keyring, nor could be started to."""

    def enter(self):
        self.end_bus()
        (self.ring.folder / "services" / "org.freedesktop.secrets.service").unlink()
        self.ring.activation = False
        self.ring.start_bus()

    def leave(self):
        self.ring.start_daemon()


class Locked(Case):
    state = "keystore_locked"

    def enter(self):
        self.ring.lock()

    def leave(self):
        self.ring.unlock()


class Unlocked(Case):
    """Never unlocked since the session began: the daemon of the keyring is another one, and
    the collection is opened in mid run."""
    state = "keystore_locked"
    at_first = "keystore_unavailable"

    def enter(self):
        self.end_bus()
        self.ring.start_bus()
        self.ring.service("ReadAlias", "default")       # activates it, locked
        wait_for(lambda: self.ring.locked() is True, 5)

    def leave(self):
        self.ring.unlock()


class Stopped(Case):
    """libsecret would wait for 50 s."""

    def enter(self):
        self.pid = self.ring.pid()
        os.kill(self.pid, signal.SIGSTOP)

    def leave(self):
        os.kill(self.pid, signal.SIGCONT)


class Killed(Case):
    """The bus starts another one, which is locked: no item is found, and none is absent."""
    state = "keystore_locked"

    def enter(self):
        self.ring.kill()

    def leave(self):
        self.ring.unlock()


class OtherDefault(Case):
    """The default collection is the one that is forgotten at the end of the session."""

    def enter(self):
        self.before = self.ring.collection()
        self.ring.service("SetAlias", "default", SESSION)
        assert self.ring.collection() == SESSION

    def leave(self):
        self.ring.service("SetAlias", "default", self.before)


class PromptDismissed(Case):
    """Somebody is asked for the password and closes the window."""
    state = "keystore_locked"

    def enter(self):
        self.ring.lock()
        asked = self.ring.service("Unlock", f"['{self.ring.collection()}']")
        prompt = re.search(r"objectpath '(/[^']*prompt[^']*)'|'(/[^']*prompt[^']*)'", asked)
        assert prompt, asked
        path = prompt.group(1) or prompt.group(2)
        self.ring.call("org.freedesktop.secrets", path, "org.freedesktop.Secret.Prompt.Prompt",
                       "")
        self.ring.call("org.freedesktop.secrets", path, "org.freedesktop.Secret.Prompt.Dismiss")
        assert self.ring.locked() is True

    def leave(self):
        self.ring.unlock()


class ItemDeleted(Case):
    """A person removed the item: the keyring is well, and one login is not."""
    state = "healthy"

    def enter(self):
        self.ring.clear(TOKEN)
        assert self.ring.items(TOKEN) == []

    def leave(self):
        pass


CASES = [AbsentBus, NoService, Locked, Unlocked, Stopped, Killed, OtherDefault,
         PromptDismissed, ItemDeleted]


# -- what is looked at ------------------------------------------------------------------------


def component(daemon):
    return daemon.get("/status").json()["components"]["keystore"]


def shows(daemon, state):
    """Whether /status and /readyz agree on a state."""
    found = component(daemon)
    ready = daemon.get("/readyz")
    if state == "healthy":
        return found["status"] == "healthy" and ready.status == 200
    return (found["status"] == "unhealthy" and found["detail"].startswith(state + ":")
            and ready.status == 503 and state in ready.text)


def expect_state(daemon, state, since):
    since.wait(lambda: shows(daemon, state), STATE_S + SLACK_S)
    said = daemon.cli("status")
    told = json.loads(daemon.cli("--json", "keystore", "status").stdout)
    assert told["state"] == state, told
    if state != "healthy":
        assert state in said.stdout, said.stdout
        assert daemon.cli("status", "--check").returncode == 7


def deliver(daemon, fakes):
    reply = send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick",
                 build("channel.followed", fakes.signer))
    assert reply.status == 200


def account(daemon):
    [one] = json.loads(daemon.cli("--json", "accounts").stdout)["accounts"]
    return one


def refreshes(fakes):
    return [one for one in fakes["kick"].asked("token")
            if one["form"].get("grant_type") == "refresh_token"]


def refresh(daemon):
    return daemon.post(f"/oauth/refresh/kick/{USER}")


def live_refresh_tokens(fakes):
    return [one["value"] for one in fakes["kick"].state()["tokens"]
            if one["use"] == "refresh" and one["live"]]


# -- the grid ---------------------------------------------------------------------------------


@pytest.fixture
def stage(streamhold, fakes, folder):
    """A daemon with one login in an open keyring, and the keyring."""
    fakes["kick"].set(rotation="strict")        # a token that is lost is lost
    ring = Keyring(folder).start()
    daemon = streamhold(fakes.config(folder, keystore={"backend": "auto"}),
                        environment=ring.environment)
    fakes.register(daemon, ["kick"])
    put_credentials(daemon, "kick")
    assert login(daemon, "kick").status == 200
    assert account(daemon)["status"] == "valid"
    yield daemon, ring
    ring.stop()


def recovers(daemon, fakes, case):
    """After leave(): by itself, with the token that was there."""
    wait_for(lambda: shows(daemon, "healthy"), 10)
    if isinstance(case, ItemDeleted):
        fakes.register(daemon, ["kick"])
        assert login(daemon, "kick").status == 200
    else:
        assert account(daemon)["status"] == "valid"
    live, sent = live_refresh_tokens(fakes), len(refreshes(fakes))
    wait_for(lambda: refresh(daemon).status == 200 and len(refreshes(fakes)) > sent,
                     10, 0.3)
    assert refreshes(fakes)[-1]["form"]["refresh_token"] in live
    assert account(daemon)["status"] == "valid"


@pytest.mark.parametrize("kind", CASES)
def test_at_the_start(stage, fakes, kind):
    daemon, ring = stage
    case = kind(ring)
    daemon.stop()
    case.enter()
    daemon.start()
    since = Stopwatch()
    deliver(daemon, fakes)
    expect_state(daemon, case.state, since)
    assert account(daemon)["status"] == "valid"
    assert not (daemon.folder / "state" / "vault.key").exists()
    case.leave()
    recovers(daemon, fakes, case)


@pytest.mark.parametrize("kind", CASES)
def test_during_a_refresh(stage, fakes, kind):
    """The keyring fails the moment before: nobody has noticed yet."""
    daemon, ring = stage
    case = kind(ring)
    case.enter()
    since = Stopwatch()
    answer = refresh(daemon)
    assert since.within(STATE_S + SLACK_S)
    assert answer.status == 503, answer.text
    assert answer.headers["Streamhold-Error"].startswith("keystore_")
    assert refreshes(fakes) == [], "nothing is sent that could not be kept"
    deliver(daemon, fakes)
    expect_state(daemon, case.state, since)
    case.leave()
    recovers(daemon, fakes, case)


@pytest.mark.parametrize("kind", CASES)
def test_a_refresh_after_the_state_is_shown(stage, fakes, kind):
    """It is known already: nothing is sent, whoever asks, and a crash costs nothing."""
    daemon, ring = stage
    case = kind(ring)
    case.enter()
    Stopwatch().wait(lambda: shows(daemon, case.state), STATE_S + SLACK_S)
    answer = refresh(daemon)
    assert answer.status == 503, answer.text
    assert answer.headers["Streamhold-Error"].startswith("keystore_")
    assert refreshes(fakes) == [], "nothing is sent that could not be kept"
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    case.leave()
    recovers(daemon, fakes, case)


@pytest.mark.parametrize("kind", CASES)
def test_during_a_login(stage, fakes, kind):
    """The keyring fails while the person is in the browser."""
    daemon, ring = stage
    case = kind(ring)
    location = approve(daemon.get(f"/oauth/start/kick/{USER}").json()["auth_url"])
    before = live_refresh_tokens(fakes)
    case.enter()
    since = Stopwatch()
    answer = follow(daemon, location)
    assert since.within(STATE_S + SLACK_S)
    if kind is ItemDeleted:
        assert answer.status == 200, "a login needs no token of before"
    else:
        assert answer.status == 503
        assert answer.headers["Streamhold-Error"] in (case.state, case.at_first)
        assert "keyring" in answer.text or "collection" in answer.text, answer.text
        assert live_refresh_tokens(fakes) == before, "what cannot be kept is revoked"
    deliver(daemon, fakes)
    expect_state(daemon, case.state, since)
    if kind is not ItemDeleted:
        refused = daemon.get(f"/oauth/start/kick/{USER}")
        assert refused.status == 503
        assert refused.headers["Streamhold-Error"] == case.state
        assert account(daemon)["status"] == "valid"
    case.leave()
    recovers(daemon, fakes, case)
