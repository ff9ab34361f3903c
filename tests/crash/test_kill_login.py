"""kill -9 of the broker while the tokens of a login are being stored: between a real gnome-keyring
and the commit that refers to them, before the keyring has them, and with the file keystore. What
was handed out is kept, or it is said that it is lost; a login of before is never touched."""
import contextlib
import os
import re
import signal
import socket
import threading
import time
import types
import urllib.error
import urllib.request

import pytest

from tests.crash.test_refresh_calls import Tracer
from tests.fake.client import approve
from tests.lib.keyring import Keyring, have, wait_for
from tests.lib.platforms import CLIENT_ID, USER, follow, put_credentials

pytestmark = pytest.mark.skipif(os.geteuid() != 0,
                                reason="the broker is not dumpable: tracing it needs root")
needs_keyring = pytest.mark.skipif(not have(), reason="needs gnome-keyring and dbus")

TOKEN = f"token/kick/{USER}"
KEPT = re.compile(r"that was cut off are in the keyring and are kept")
LOST = re.compile(r"was cut off before its tokens were stored: they are lost and cannot be revoked")
PWRITE, SENDTO = "18", "44"


class Stage:
    def __init__(self, daemon, fake, build, ring=None):
        self.daemon, self.fake, self.build, self.ring = daemon, fake, build, ring

    @contextlib.contextmanager
    def tracer(self, place=None):
        """It looks from the next connection to the admin socket on, so one is made."""
        process = types.SimpleNamespace(pid=self.daemon.broker_pid())
        tracer = Tracer(types.SimpleNamespace(process=process), self.build, place)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(10)
            link.connect(str(self.daemon.folder / "run" / "broker.sock"))
            assert link.recv(1), "the broker says hello"
            yield tracer

    def come_back(self):
        """To the address that the browser brings back."""
        started = self.daemon.get(f"/oauth/start/kick/{USER}")
        return approve(started.json()["auth_url"])

    def login(self):
        answer = follow(self.daemon, self.come_back())
        assert answer.status == 200, answer.text

    def places(self):
        """Where to kill: before the write of the pages that make the login durable (the last
        of the database's thread), and before the tokens go to the keyring (the last message of
        the main thread before that). The very first login writes more, that there was one, so
        another comes before."""
        self.login()
        location = self.come_back()
        with self.tracer() as tracer:
            assert follow(self.daemon, location).status == 200
            assert not tracer.end()
        stops = [line.split() for line in tracer.lines]
        writes = [line for line in stops if line[1] == PWRITE]
        assert [line[3] for line in writes[-2:]] == ["enter", "exit"]
        sends = [line for line in stops[:stops.index(writes[-2])]
                 if line[0] == "0" and line[1] == SENDTO and line[3] == "enter"]
        return " ".join(writes[-2]), " ".join(sends[-1])

    @contextlib.contextmanager
    def killed_at(self, place):
        """The broker is dead, and is started again at the end. The browser is not told that
        nothing was stored."""
        location = self.come_back()
        up = self.daemon.process.pid
        ready = len(re.findall("streamhold-broker .* is ready", self.daemon.text_log()))
        os.kill(up, signal.SIGSTOP)
        try:
            with self.tracer(place) as tracer:
                pages = []
                browser = threading.Thread(
                    target=lambda: pages.append(follow(self.daemon, location)))
                browser.start()
                tracer.process.wait(20)
                assert tracer.end(), f"'{place}' was not reached"
            yield
        finally:
            os.kill(up, signal.SIGCONT)
        browser.join(30)
        [page] = pages
        assert page.status == 503 and page.headers["Streamhold-Error"] == "outcome_unknown"
        assert "It is not known whether access tokens were stored" in page.text
        assert "No access tokens" not in page.text
        self.daemon.wait_log(r"streamhold-broker .* is ready", count=ready + 1)

    def status(self):
        return self.daemon.get(f"/oauth/status/kick/{USER}")

    def works(self):
        """Whether the token that is handed out is good, and the refresh token too."""
        assert self.daemon.cli("token", "allow", f"kick/{USER}").returncode == 0
        handed = self.daemon.cli("token", "get", f"kick/{USER}")
        assert handed.returncode == 0, handed.stderr
        asked = urllib.request.Request(
            self.fake.url("api") + "/public/v1/users",
            headers={"Authorization": f"Bearer {handed.stdout.strip()}"})
        try:
            with urllib.request.urlopen(asked, timeout=10) as reply:
                assert reply.status == 200
        except urllib.error.HTTPError:
            return False
        return self.daemon.post(f"/oauth/refresh/kick/{USER}").status == 200

    def generations(self):
        return sorted(int(generation) for _, generation in self.ring.items(TOKEN))

    def settle(self):
        """Stops; nothing is left lying about."""
        assert self.fake.asked("revoke") == []
        assert self.daemon.stop() == 0
        assert self.daemon.sql("SELECT count(*) FROM login_notes") == [(0,)]
        [(known,)] = self.daemon.sql("SELECT generation FROM accounts")
        assert self.daemon.sql(f"SELECT generation FROM secrets WHERE name = '{TOKEN}'") == [
            (known,)]
        return known


@pytest.fixture
def ring(folder):
    ring = Keyring(folder).start()
    yield ring
    ring.stop()


@pytest.fixture
def make(streamhold, fakes, folder, plain):
    def start(ring=None):
        more = {"keystore": {"backend": "secret-service"}} if ring else {}
        daemon = streamhold(fakes.config(folder, **more), build=plain,
                            environment=ring.environment if ring else {})
        fakes.register(daemon, ["kick"])
        put_credentials(daemon, "kick")
        return Stage(daemon, fakes["kick"], plain, ring)
    return start


@needs_keyring
@pytest.mark.parametrize("before", [False, True])
def test_tokens_that_the_keyring_has_are_kept(make, ring, before):
    stage = make(ring)
    place, _ = stage.places()
    if not before:
        assert stage.daemon.delete(f"/oauth/kick/{USER}").status == 200
        stage.fake.script.requests.clear()
    known = stage.generations()
    with stage.killed_at(place):
        left = [one for one in stage.generations() if one not in known]
        assert len(left) == 1, "the keyring has them"
    stage.daemon.wait_log(KEPT.pattern)
    wait_for(lambda: stage.status().status == 200, 10)
    assert stage.status().json()["status"] == "valid"
    [account] = stage.daemon.get("/oauth/accounts").json()["accounts"]
    assert account["identity"] == "verified" and account["user_id"] and account["scope"]
    assert stage.works()
    assert not LOST.search(stage.daemon.text_log())
    wait_for(lambda: len(stage.generations()) == 1, 10)
    assert stage.settle() > left[0]


@needs_keyring
def test_a_locked_keyring_is_waited_for(make, ring):
    stage = make(ring)
    place, _ = stage.places()
    before = stage.status().json()
    with stage.killed_at(place):
        ring.lock()
    time.sleep(3)
    assert stage.status().json()["expires_at"] == before["expires_at"], "that of before"
    log = stage.daemon.text_log()
    assert not LOST.search(log) and not KEPT.search(log)
    ring.unlock()
    stage.daemon.wait_log(KEPT.pattern)
    wait_for(lambda: stage.status().json()["expires_at"] > before["expires_at"], 10)
    assert stage.works()
    stage.settle()


@needs_keyring
def test_tokens_that_never_came_into_the_keyring_are_told_to_be_lost(make, ring):
    stage = make(ring)
    _, place = stage.places()
    before, known = stage.status().json(), stage.generations()
    with stage.killed_at(place):
        assert stage.generations() == known
    stage.daemon.wait_log(LOST.pattern)
    assert stage.status().json() == before
    assert stage.works()
    stage.settle()


TRIGGERS = {"kept": "BEFORE INSERT ON accounts", "noted": "BEFORE DELETE ON login_notes"}


@needs_keyring
def test_what_could_not_be_kept_does_not_come_back(make, ring):
    """The keyring has the tokens, the account cannot be stored, and the note stays: the person
    was told that the login failed and the tokens are revoked, so the next start leaves the login
    of before alone."""
    stage = make(ring)
    stage.login()
    before, known = stage.status().json(), stage.generations()
    assert stage.daemon.stop() == 0
    for name, when in TRIGGERS.items():
        stage.daemon.sql(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, 'no'); END")
    stage.daemon.start()
    # The app stays the one that the tokens of before are of; the port is another.
    stage.fake.store.apps[CLIENT_ID].redirect_uris.append(
        f"http://localhost:{stage.daemon.api_port}/oauth/callback/kick")
    answer = follow(stage.daemon, stage.come_back())
    assert answer.status >= 500 and "were dropped" in answer.text
    assert stage.fake.asked("revoke")
    assert stage.daemon.stop() == 0
    assert stage.daemon.sql("SELECT count(*) FROM login_notes") == [(1,)]
    for name in TRIGGERS:
        stage.daemon.sql(f"DROP TRIGGER {name}")
    stage.daemon.start()
    stage.daemon.wait_log(LOST.pattern)
    assert not KEPT.search(stage.daemon.text_log())
    assert stage.status().json() == before and stage.generations() == known
    assert stage.works()


@pytest.mark.parametrize("before", [False, True])
def test_with_the_file_keystore_they_are_told_to_be_lost(make, before):
    """Value and reference are one row: what is not committed is nowhere."""
    stage = make()
    place, _ = stage.places()
    known = stage.status().json()
    if not before:
        assert stage.daemon.delete(f"/oauth/kick/{USER}").status == 200
    with stage.killed_at(place):
        pass
    stage.daemon.wait_log(LOST.pattern)
    if before:
        assert stage.status().json() == known
        assert stage.works()
        stage.settle()
    else:
        assert stage.status().status == 404
        stage.login()
        assert stage.works()
    assert f"streamhold login kick '{USER}'" in stage.daemon.text_log()
