"""The units of a user: a keyring of the desktop, ports of the user's own, and no front without
seccomp, which alone stands between it and the user's files."""
import json
import re
import time

import pytest

from tests.packaging.machine import SERVICES, can_boot, get, wait

pytestmark = pytest.mark.skipif(can_boot() is not None, reason=str(can_boot()))
USER, UID = "streamer", 1500
CONFIG = {"server": {"port": 3200}, "webhooks": {"port": 3201},
          "platforms": {"kick": {"api_url": "http://127.0.0.1:9/public/v1"}}}


class Session:
    """A user who is logged in for good, with a keyring that is unlocked."""

    def __init__(self, machine):
        self.machine = machine
        self.home = machine.root / "home" / USER
        self.environment = {"HOME": f"/home/{USER}", "XDG_RUNTIME_DIR": f"/run/user/{UID}",
                            "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{UID}/bus"}

    def run(self, script, **options):
        return self.machine.run(script, user=UID, env=self.environment, **options)

    def begin(self):
        machine = self.machine
        machine.run(f"useradd --create-home --uid {UID} {USER} && loginctl enable-linger {USER}")
        wait(lambda: self.run("systemctl --user is-system-running", check=False).strip()
             in ("running", "degraded"), "the user's manager")
        # As the login of a desktop does it, which has the password.
        self.run("systemctl --user mask --now gnome-keyring-daemon.socket "
                 "gnome-keyring-daemon.service 2>/dev/null", check=False)
        self.run("systemd-run --user --unit=keyring sh -c 'printf secret | "
                 "gnome-keyring-daemon --unlock --components=secrets --foreground'")
        wait(lambda: "true" in self.run(
            "busctl --user call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus "
            "NameHasOwner s org.freedesktop.secrets", check=False), "the keyring")
        self.configure(CONFIG)
        self.run("systemctl --user enable --now streamhold.target")

    def configure(self, content):
        """Written by the user; the sockets are told by the generator."""
        self.run(f"mkdir -p ~/.config/streamhold && cat > ~/.config/streamhold/config.json <<END\n"
                 f"{json.dumps(content)}\nEND\nsystemctl --user daemon-reload")

    def status(self):
        try:
            return json.loads(self.run("streamhold status --json 2>/dev/null", check=False))
        except ValueError:
            return {}

    def wait_ok(self):
        wait(lambda: self.status().get("overall") == "ok", "everything of the user to be well")

    def main_pid(self, unit):
        return int(self.run(f"systemctl --user show --value --property=MainPID {unit}"))

    def stop(self):
        self.run("systemctl --user stop streamhold.target")
        wait(lambda: not self.run("systemctl --user list-units --no-legend "
                                  "--state=active,deactivating 'streamhold*'"), "all to stop")

    def journal(self, unit):
        return self.machine.run(f"journalctl -q --no-pager _SYSTEMD_USER_UNIT={unit}.service")

    def end(self):
        self.stop()
        self.machine.run(f"loginctl disable-linger {USER}; loginctl terminate-user {USER}; true")
        wait(lambda: not self.machine.run(f"pgrep -u {UID} . || true"), "the user to be gone")
        self.machine.run(f"userdel --remove {USER} 2>/dev/null", check=False)


@pytest.fixture(scope="module")
def session(machine):
    """Beside the units of the system, which go on."""
    found = Session(machine)
    found.begin()
    yield found
    found.end()


def test_a_user_runs_it_with_the_keyring_of_the_desktop(session):
    session.wait_ok()
    assert "secret-service" in session.run("streamhold keystore status")
    for url in ("http://localhost:3200/readyz", "http://[::1]:3200/readyz"):
        assert get(session.machine, url) == 200, url
    assert get(session.machine, "http://127.0.0.1:3201/webhooks/kick") == 405
    session.run("printf hush | streamhold app add kick --client-id mine --secret-stdin")
    found = session.run("secret-tool search --all name client/kick 2>&1")
    assert "client/kick" in found and "hush" in found
    assert not (session.home / ".local/state/streamhold/vault.key").exists()
    database = session.home / ".local/state/streamhold/streamhold.db"
    assert oct(database.stat().st_mode & 0o777) == "0o600"


def test_all_of_them_are_confined(session):
    session.wait_ok()
    for service in SERVICES:
        status = session.machine.run(f"cat /proc/{session.main_pid(service)}/status")
        assert re.search(rf"^Uid:\s+{UID}\b", status, re.M)
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        assert re.search(r"^Seccomp:\s+2$", status, re.M)
        # Not dumpable: even its own user may not look into it.
        assert "denied" in session.run(f"cat /proc/{session.main_pid(service)}/environ",
                                       check=False)


@pytest.mark.parametrize("service", SERVICES)
def test_killed_it_comes_back_for_the_user_too(session, service):
    session.wait_ok()
    before = session.main_pid(service)
    session.run(f"kill -9 {before}")
    wait(lambda: session.main_pid(service) not in (0, before), "another process")
    session.wait_ok()


def test_without_seccomp_no_front_serves(session):
    """A container or an old kernel forbids it: said by name, and nothing is served."""
    session.wait_ok()
    folder = "~/.config/systemd/user/streamhold-api.service.d"
    session.run(f"mkdir -p {folder} && printf '[Service]\\nSystemCallFilter=~seccomp\\n' > "
                f"{folder}/none.conf && systemctl --user daemon-reload")
    try:
        session.run("systemctl --user restart streamhold-api.service", check=False)
        wait(lambda: "a front does not run without one" in session.journal("streamhold-api"),
             "the refusal")
        refusal = [line for line in session.journal("streamhold-api").splitlines()
                   if "a front does not run without one" in line][-1]
        assert "Operation not permitted" in refusal and "container" in refusal
        assert get(session.machine, "http://localhost:3200/healthz", seconds=2) == 0
        assert session.status().get("overall") != "ok"
    finally:
        session.run(f"rm -r {folder} && systemctl --user daemon-reload")
    session.run("systemctl --user restart streamhold-api.service")
    session.wait_ok()


def test_the_user_stops_it_in_no_time(session):
    session.wait_ok()
    begun = time.monotonic()
    session.stop()
    assert time.monotonic() - begun < 5
    assert get(session.machine, "http://localhost:3200/healthz") == 0
    session.run("systemctl --user start streamhold.target")
    session.wait_ok()
