"""The rpm's scripts do their work in a running machine: install, upgrade, removal.

It is a Debian with rpm's own program, whose libraries the package was built against; that the
package runs on the distributions it is for is not shown by this.
"""
import re

import pytest

from tests.packaging.machine import SERVICES, can_boot, get, wait, wait_ok

pytestmark = pytest.mark.skipif(can_boot() is not None, reason=str(can_boot()))
RPM = "rpm --force-debian --nodeps"
UNITS = [f"{name}.service" for name in SERVICES] + ["streamhold.target"] + [
    f"streamhold-{name}.socket" for name in ("broker", "api", "api-link", "webhook", "webhook-link")]


@pytest.fixture
def rpm(machine, packages):
    """The package's file in a machine from which the deb is gone; it is back afterwards."""
    if not (machine.root / "usr/bin/rpm").exists():
        pytest.skip("this machine has no rpm")
    purge = "echo streamhold streamhold/remove-state boolean true | debconf-set-selections; " \
            "apt-get purge -q -y streamhold"
    machine.run(purge)
    for user in ("streamhold", "streamhold-api", "streamhold-hook"):
        machine.run(f"userdel {user}; groupdel {user}", check=False)
    yield machine.copy(packages.rpm)
    machine.run(f"{RPM} -e streamhold", check=False)
    machine.run("rm -rf /var/lib/streamhold /etc/credstore.encrypted/streamhold.kek "
                "/etc/streamhold /run/streamhold")
    machine.run(f"apt-get install -q -y {machine.deb}")
    wait_ok(machine)


def test_the_scripts_of_the_rpm_install_upgrade_and_remove_it(machine, rpm):
    said = machine.run(f"{RPM} -ivh {rpm}")
    assert "scriptlet failed" not in said
    wait_ok(machine)
    for unit in UNITS:
        assert machine.run(f"systemctl is-enabled {unit}").strip() == "enabled", unit
    users = {re.search(r"^Uid:\s+(\d+)", machine.run(f"cat /proc/{machine.main_pid(one)}/status"),
                       re.M)[1] for one in SERVICES}
    assert len(users) == 3 and "0" not in users
    sealed = machine.root / "etc/credstore.encrypted/streamhold.kek"
    assert oct(sealed.stat().st_mode & 0o777) == "0o600"
    assert "/run/credentials/" in machine.run("streamhold keystore status")
    assert get(machine, "http://localhost:3000/readyz") == 200

    # An upgrade restarts all three, stops no socket, and leaves key and configuration.
    before = {one: machine.main_pid(one) for one in SERVICES}
    sockets = {one: machine.show(one, "ActiveEnterTimestampMonotonic")
               for one in UNITS if one.endswith(".socket")}
    key = sealed.read_bytes()
    config = machine.root / "etc/streamhold/config.json"
    config.write_text('{"logging": {"level": "debug"}}\n')
    said = machine.run(f"{RPM} -Uvh --force {rpm}")
    assert "scriptlet failed" not in said
    wait(lambda: all(machine.main_pid(one) not in (0, pid) for one, pid in before.items()),
         "new processes")
    wait_ok(machine)
    assert sockets == {one: machine.show(one, "ActiveEnterTimestampMonotonic") for one in sockets}
    assert sealed.read_bytes() == key and "debug" in config.read_text()

    # Removed, it is gone but for what belongs to the user.
    said = machine.run(f"{RPM} -e streamhold")
    assert "scriptlet failed" not in said
    assert machine.run("systemctl list-units --no-legend --state=active 'streamhold*'") == ""
    assert not list((machine.root / "etc/systemd/system").rglob("streamhold*"))
    assert get(machine, "http://127.0.0.1:3000/healthz") == 0
    assert (machine.root / "var/lib/streamhold/streamhold.db").exists() and sealed.exists()
