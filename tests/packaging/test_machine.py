"""The deb in a booted Debian: install, sockets, credentials, kill, hang, stop, upgrade, purge."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from tests.packaging.machine import Machine, can_boot

SERVICES = ("streamhold-broker", "streamhold-api", "streamhold-webhook")
# A machine without a network: what is said about that is no fault.
EXPECTED = re.compile(r"could not be looked up|cannot be looked up")

pytestmark = pytest.mark.skipif(can_boot() is not None, reason=str(can_boot()))


@pytest.fixture(scope="module")
def machine(packages, tmp_path_factory):
    """A fresh machine on which the package was installed; one boot for all tests here."""
    import shutil
    import tempfile
    from tests.conftest import ROOT
    folder = tempfile.mkdtemp(prefix="machine-", dir=ROOT / "build")
    try:
        with Machine(folder) as found:
            found.deb = found.copy(packages.deb)
            found.installed = found.run(f"apt-get install -q -y {found.deb}")
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait(ready, what, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


def overall(machine):
    """The word that `streamhold status` begins with, or None."""
    try:
        return json.loads(machine.run("streamhold status --json 2>/dev/null", check=False))["overall"]
    except ValueError:
        return None


def wait_ok(machine, seconds=15):
    wait(lambda: overall(machine) == "ok", "everything to be well", seconds)


def get(machine, url):
    """Status of a GET from within the machine."""
    found = subprocess.run(machine.network("curl", "-s", "--noproxy", "*", "-o", "/dev/null", "-w",
                                           "%{http_code}", "--max-time", "10", url),
                           capture_output=True, text=True)
    return int(found.stdout or 0)


def test_it_runs_after_installing(machine):
    wait_ok(machine)
    for service in SERVICES:
        assert machine.show(service, "ActiveState") == "active"
        assert machine.run(f"systemctl is-enabled {service}.service").strip() == "enabled"
    for url in ("http://localhost:3000/readyz", "http://127.0.0.1:3000/healthz",
                "http://[::1]:3000/healthz"):
        assert get(machine, url) == 200, url
    assert get(machine, "http://127.0.0.1:3001/webhooks/kick") == 405


def test_each_program_has_a_user_of_its_own(machine):
    users = {}
    for service in SERVICES:
        status = machine.run(f"cat /proc/{machine.main_pid(service)}/status")
        users[service] = re.search(r"^Uid:\s+(\d+)", status, re.M)[1]
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        assert re.search(r"^CapBnd:\s+0+$", status, re.M)
        assert re.search(r"^Seccomp:\s+2$", status, re.M)
    assert len(set(users.values())) == 3 and "0" not in users.values()
    assert "streamhold)" not in machine.run("id streamhold-api") .partition("groups=")[2]


def test_the_key_is_a_credential(machine):
    """Sealed on disk, read by the broker alone, not lying about."""
    sealed = machine.root / "etc/credstore.encrypted/streamhold.kek"
    assert oct(sealed.stat().st_mode & 0o777) == "0o600" and len(sealed.read_bytes()) > 32
    opened = machine.run("systemd-creds decrypt --name=streamhold.kek "
                         "/etc/credstore.encrypted/streamhold.kek - | wc -c")
    assert opened.strip() == "32"
    assert "/run/credentials/" in machine.run("streamhold keystore status")
    assert not (machine.root / "var/lib/streamhold/vault.key").exists()
    for user in ("streamhold-api", "streamhold-hook"):
        assert "denied" in machine.run(
            "cat /run/credentials/streamhold-broker.service/streamhold.kek "
            "/var/lib/streamhold/streamhold.db", check=False, user=user)


def test_the_live_scores_are_those_of_the_gates(machine):
    rows = dict(re.findall(r"^(streamhold-\w+)\.service\s+([\d.]+)",
                           machine.run("systemd-analyze security --no-pager"), re.M))
    assert float(rows["streamhold-api"]) <= 0.5 and float(rows["streamhold-webhook"]) <= 0.5
    assert float(rows["streamhold-broker"]) <= 1.5


@pytest.mark.parametrize("service", SERVICES)
def test_killed_it_comes_back(machine, service):
    wait_ok(machine)
    before = machine.main_pid(service)
    machine.run(f"kill -9 {before}")
    wait(lambda: machine.main_pid(service) not in (0, before), "another process")
    wait_ok(machine)


def test_a_front_is_started_by_its_first_connection(machine):
    wait_ok(machine)
    machine.run("systemctl stop streamhold-api.service")
    assert machine.show("streamhold-api", "ActiveState") == "inactive"
    assert get(machine, "http://localhost:3000/readyz") == 200
    assert machine.show("streamhold-api", "ActiveState") == "active"


def test_a_program_that_hangs_is_replaced(machine):
    """SIGSTOP: the loop stands still, the watchdog notices within its ten seconds."""
    wait_ok(machine)
    before = {service: machine.main_pid(service) for service in SERVICES}
    machine.run("kill -STOP " + " ".join(map(str, before.values())))
    wait(lambda: all(machine.main_pid(one) not in (0, pid) for one, pid in before.items()),
         "the watchdog", 25)
    wait_ok(machine)
    for service in SERVICES:
        assert "watchdog" in machine.journal("-u", service).lower()


def test_stopping_takes_no_time(machine):
    wait_ok(machine)
    begun = time.monotonic()
    machine.run("systemctl stop 'streamhold-*'")
    assert time.monotonic() - begun < 5
    assert machine.run("systemctl list-units --state=active --no-legend 'streamhold-*'") == ""
    machine.run("systemctl start streamhold-broker streamhold-api streamhold-webhook")
    wait_ok(machine)


def test_purge_keeps_the_state_unless_told(machine):
    wait_ok(machine)
    said = machine.run("apt-get purge -q -y streamhold")
    assert "kept in /var/lib/streamhold" in said
    assert (machine.root / "var/lib/streamhold/streamhold.db").exists()
    assert (machine.root / "etc/credstore.encrypted/streamhold.kek").exists()
    assert not (machine.root / "etc/streamhold").exists()
    assert machine.run("systemctl list-units --all --no-legend 'streamhold-*'") == ""
    assert get(machine, "http://127.0.0.1:3000/healthz") == 0

    machine.run(f"apt-get install -q -y {machine.deb}")     # finds its key and its state again
    wait_ok(machine)
    machine.run("echo streamhold streamhold/remove-state boolean true | debconf-set-selections")
    machine.run("apt-get purge -q -y streamhold")
    assert not (machine.root / "var/lib/streamhold").exists()
    assert not (machine.root / "etc/credstore.encrypted/streamhold.kek").exists()
    machine.run(f"apt-get install -q -y {machine.deb}")
    wait_ok(machine)
