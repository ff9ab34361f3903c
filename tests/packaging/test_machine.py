"""The deb in a booted Debian: install, sockets, credentials, kill, hang, stop, upgrade, purge."""
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from tests.conftest import ROOT
from tests.fake.delivery import build
from tests.fake.keys import Signer
from tests.fake.sender import write_private
from tests.lib.stopwatch import Stopwatch
from tests.packaging.machine import PROGRAMS, SERVICES, can_boot, get, stop_all, wait, wait_ok

# In a machine without a network the platforms cannot be asked; that is said, and no fault.
NO_NETWORK = re.compile(r"Kick's public key could not be looked up")
RATE, SECONDS, CONNECTIONS = 500, 20, 16

pytestmark = pytest.mark.skipif(can_boot() is not None, reason=str(can_boot()))


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


def test_what_the_units_take_is_what_the_kernel_holds_them_to(machine):
    """The machine has the last word on values, drop-ins and names that it does not know."""
    for service in SERVICES:
        wanted = {"MemoryMax": str(256 * 2**20), "MemorySwapMax": "0", "LimitCORE": "0",
                  "TasksMax": "32" if service == "streamhold-broker" else "16",
                  "WatchdogUSec": "10s", "Restart": "always", "ProtectSystem": "strict",
                  "CPUSchedulingPolicy": "3",
                  "MemoryDenyWriteExecute": "yes", "PrivateNetwork": "no" if
                  service == "streamhold-broker" else "yes"}
        assert {name: machine.show(service, name) for name in wanted} == wanted
        limits = machine.run(f"cat /proc/{machine.main_pid(service)}/limits")
        assert re.search(r"^Max core file size\s+0\s+0\s", limits, re.M)


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


CONNECTING = """
import collections, http.client, json, sys, time
seen, end = collections.Counter(), time.monotonic() + float(sys.argv[2])
print("begun", flush=True)
while time.monotonic() < end:
    way = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
    try:
        way.connect()
    except OSError as error:
        seen["refused: " + str(error)] += 1
        continue
    try:
        way.request("GET", "/healthz")
        seen[str(way.getresponse().status)] += 1
    except (OSError, http.client.HTTPException):
        seen["ended"] += 1      # it was open when the front was killed
    way.close()
    time.sleep(0.002)
print(json.dumps(seen))
"""


@pytest.mark.parametrize("service, port, status", [("streamhold-api", 3000, "200"),
                                                   ("streamhold-webhook", 3001, "404")])
def test_a_crash_of_a_front_refuses_no_connection(machine, service, port, status):
    """The listeners are the machine's: who comes while nobody is there waits."""
    wait_ok(machine)
    client = subprocess.Popen(
        machine.network(sys.executable, "-c", CONNECTING, str(port), "6"),
        stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "begun\n"
    for _ in range(3):
        before = machine.main_pid(service)
        machine.run(f"kill -9 {before}")
        wait(lambda: machine.main_pid(service) not in (0, before), "another process")
        wait_ok(machine)
    seen = json.loads(client.communicate(timeout=60)[0])
    print(seen)
    assert set(seen) <= {status, "ended"} and seen[status] > 100 and seen.get("ended", 0) <= 3
    wait_ok(machine)


def test_a_front_is_started_by_its_first_connection(machine):
    wait_ok(machine)
    # The broker first: it would connect to the link and be the first.
    machine.run("systemctl stop streamhold-broker.service && systemctl stop streamhold-api.service")
    assert machine.show("streamhold-api", "ActiveState") == "inactive"
    assert get(machine, "http://localhost:3000/healthz") == 200
    assert machine.show("streamhold-api", "ActiveState") == "active"
    wait_ok(machine)        # the front wants the broker, so that is started too


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


def test_the_journal_is_clean_after_a_boot(machine):
    """It starts at boot, and nothing is said at start that somebody would have to look at."""
    machine.reboot()
    wait_ok(machine)
    for service in SERVICES:
        assert machine.show(service, "NRestarts") == "0"
        assert "watchdog" not in machine.journal("-b", "-u", service).lower()
    units = " ".join(f"-u {one}.service -u {one}.socket" for one in SERVICES)
    said = [line for line in machine.journal("-b", "-q", units).splitlines()
            if re.search(r"warn|error|fail|cannot|denied|unknown|ignor", line, re.I)]
    assert not [line for line in said if not NO_NETWORK.search(line)], said
    loud = machine.journal("-b", "-q", "--priority=warning", units).splitlines()
    assert not [line for line in loud if not NO_NETWORK.search(line)], loud
    assert "streamhold" not in machine.run("systemctl --failed --no-legend")


def restart_all(machine):
    """As the manual says it, for changed addresses."""
    machine.run("systemctl restart streamhold.target")


@pytest.fixture
def config(machine):
    """Writes the configuration; puts the old one back afterwards."""
    file = machine.root / "etc/streamhold/config.json"
    before = file.read_text()

    def write(content):
        file.write_text(json.dumps(content) + "\n")
        machine.run("streamhold config check && systemctl daemon-reload")

    yield write
    file.write_text(before)
    machine.run("systemctl daemon-reload")
    restart_all(machine)
    wait_ok(machine)


def test_the_sockets_listen_where_the_configuration_says(machine, config):
    wait_ok(machine)
    config({"server": {"port": 3100, "socket": "/run/streamhold/api.sock", "socket_mode": "0666"},
            "webhooks": {"port": 3101}})
    restart_all(machine)
    wait(lambda: get(machine, "http://localhost:3100/readyz") == 200, "the new port")
    assert get(machine, "http://[::1]:3100/healthz") == 200
    assert get(machine, "http://127.0.0.1:3101/webhooks/kick") == 405
    assert get(machine, "http://127.0.0.1:3000/healthz") == 0
    assert get(machine, "http://127.0.0.1:3001/webhooks/kick") == 0
    assert machine.run("stat -c %a /run/streamhold/api.sock").strip() == "666"
    config({"webhooks": {"enabled": False}})
    restart_all(machine)
    assert machine.show("streamhold-webhook.service", "LoadState") == "masked"
    assert get(machine, "http://127.0.0.1:3001/webhooks/kick") == 0


def test_a_wrong_configuration_is_said_once(machine, config):
    wait_ok(machine)
    file = machine.root / "etc/streamhold/config.json"
    file.write_text('{"server": {"prot": 1}}')
    machine.run("systemctl restart streamhold-broker", check=False)
    wait(lambda: machine.show("streamhold-broker", "ActiveState") == "failed", "the refusal")
    time.sleep(0.5)         # it would have been started again by now
    assert machine.show("streamhold-broker", "ActiveState") == "failed"
    assert "server.port" in machine.journal("-u streamhold-broker -n 10")


HOST = "platforms.test"


def test_the_broker_calls_platforms_from_within_its_unit(machine, config, tmp_path):
    """A name is looked up in a thread, a certificate checked, tokens come and are exchanged: under
    the filters, limits and folders of the service as it is installed."""
    wait_ok(machine)
    hosts = machine.root / "etc/hosts"
    before = hosts.read_text() if hosts.exists() else None
    hosts.write_text(f"127.0.0.1 localhost {HOST}\n")
    person = subprocess.Popen(
        machine.network(sys.executable, "-m", "tests.packaging.tls_login", tmp_path, HOST),
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        platforms = json.loads(person.stdout.readline())
        shutil.copy(platforms["kick"]["ca_file"], machine.root / "etc/platforms.pem")
        shutil.copy(platforms["kick"]["public_key_file"], machine.root / "etc/kick.pem")
        assert platforms["kick"]["token_url"].startswith(f"https://{HOST}:")
        config({"platforms": {name: {**section, "ca_file": "/etc/platforms.pem",
                                     **({"public_key_file": "/etc/kick.pem"} if name == "kick"
                                        else {})} for name, section in platforms.items()}})
        machine.run("systemctl restart streamhold-broker.service")
        wait_ok(machine)
        print("go", file=person.stdin, flush=True)
        found = json.loads(person.communicate(timeout=60)[0])
    finally:
        person.kill()
        person.wait()
        if before is not None:
            hosts.write_text(before)
    # Token, whose account it is, and the refresh.
    assert found.pop("connections") >= 3
    assert found == {"stored": 200, "login": 200, "refresh": 200, "status": "valid"}
    assert "streamer123" in machine.run("streamhold accounts").lower()
    machine.run("streamhold logout kick/streamer123 --yes", check=False)
    machine.run("streamhold app remove kick --yes", check=False)


# A message of the table, and another name for it. Its end stays: linkers keep one copy of words
# that end alike.
NAME, OTHER_NAME = b"\0keystore_move\0", b"\0xeystore_move\0"


def newer(deb, folder):
    """The same package with a higher version, whose processes do not speak with the old ones: a
    message has another name."""
    tree = folder / "newer"
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    for program in PROGRAMS:
        raw = (tree / program).read_bytes()
        assert raw.count(NAME) == 1, program
        (tree / program).write_bytes(raw.replace(NAME, OTHER_NAME))
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+upgrade", control.read_text(), flags=re.M))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, folder / "newer.deb"], check=True,
                   stdout=subprocess.DEVNULL)
    return folder / "newer.deb"


def protocol(machine):
    return json.loads(machine.run("streamhold version --json"))["protocol"]


class HalfABody:
    """A stranger in the machine's network: a delivery whose body does not come to its end."""

    def __init__(self, machine):
        wire = build("chat.message.sent", Signer()).wire("/webhooks/kick", "localhost")
        script = ("import socket, sys\n"
                  "with socket.create_connection(('127.0.0.1', 3001)) as client:\n"
                  "    client.sendall(bytes.fromhex(sys.argv[1]))\n"
                  "    print('sent', flush=True)\n"
                  "    client.settimeout(60)\n"
                  "    print(client.recv(1000))\n")
        self.process = subprocess.Popen(
            machine.network(sys.executable, "-c", script, wire[:-10].hex()),
            stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "sent\n"

    def end(self):
        """What it was answered."""
        return self.process.communicate(timeout=60)[0].strip()


def send(machine, key, acked):
    """500 deliveries a second through the webhook listener; the tally."""
    done = subprocess.run(
        machine.network(sys.executable, "-m", "tests.fake.sender", "--url",
                        "http://127.0.0.1:3001/webhooks/kick", "--key", key, "--load", "--rate",
                        RATE, "--seconds", 90, "--count", RATE * SECONDS,
                        "--connections", CONNECTIONS, "--acked", acked),
        cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def away_ms(machine):
    """How long the broker was away when it was started last."""
    def at(name):
        return int(machine.show("streamhold-broker", name + "Monotonic"))
    return (at("ActiveEnterTimestamp") - at("ActiveExitTimestamp")) / 1000


def stored_ids(machine):
    stop_all(machine)
    shutil.rmtree(machine.folder / "copy", ignore_errors=True)
    shutil.copytree(machine.root / "var/lib/streamhold", machine.folder / "copy")
    with sqlite3.connect(machine.folder / "copy" / "streamhold.db") as database:
        rows = database.execute("SELECT message_id FROM events").fetchall()
    database.close()
    machine.run("systemctl start streamhold.target")
    return [row[0] for row in rows]


def test_an_upgrade_under_load_loses_and_refuses_nothing(machine, config, tmp_path):
    wait_ok(machine)
    signer = Signer()
    key = tmp_path / "key.pem"
    write_private(key, signer.private_pem)
    (machine.root / "etc/kick.pem").write_text(signer.public_pem)
    config({"platforms": {"kick": {"public_key_file": "/etc/kick.pem",
                                   "api_url": "http://127.0.0.1:9/public/v1"}}})
    machine.run("systemctl restart streamhold-broker.service")
    wait_ok(machine)
    package = machine.copy(newer(machine.package, tmp_path))
    before = {service: machine.main_pid(service) for service in SERVICES}
    spoken = protocol(machine)
    tally = {}
    watch = Stopwatch()
    sending = threading.Thread(target=lambda: tally.update(
        send(machine, key, tmp_path / "acked")))
    sending.start()
    time.sleep(3)
    stranger = HalfABody(machine)
    machine.run(f"dpkg --install {package}")
    assert sending.is_alive(), "the load ended before the upgrade"
    assert stranger.end() == "b''"
    assert protocol(machine) != spoken
    sending.join()
    print(f"{tally['per_second']} deliveries a second, the broker was away {away_ms(machine):.0f} ms")
    # The rate that is asked for, less what a machine that is busy with other things did not give.
    assert watch.within(SECONDS * 1.3), tally
    assert machine.run("dpkg-query -W -f='${Version}' streamhold").endswith("+upgrade")
    assert all(machine.main_pid(one) not in (0, pid) for one, pid in before.items())
    # One after the other: the webhook front last, before the broker.
    order = sorted(SERVICES, key=lambda one: int(
        machine.show(one, "ActiveEnterTimestampMonotonic")))
    assert order == ["streamhold-api", "streamhold-webhook", "streamhold-broker"]
    assert away_ms(machine) < 2000
    wait_ok(machine)
    # Nothing was refused, reset or left without an answer.
    assert tally["statuses"] == {"200": RATE * SECONDS}, tally
    assert tally["errors"] == 0 and tally["sent"] == RATE * SECONDS, tally
    acked = (tmp_path / "acked").read_text().split()
    stored = stored_ids(machine)
    assert len(set(acked)) == len(acked) == RATE * SECONDS
    assert set(acked) <= set(stored) and len(set(stored)) == len(stored)
    wait_ok(machine)


def test_stopping_takes_no_time(machine):
    """Also not because of a stranger who does not finish a request."""
    wait_ok(machine)
    stranger = HalfABody(machine)
    begun = time.monotonic()
    stop_all(machine)
    assert time.monotonic() - begun < 5
    assert stranger.end() == "b''"
    for service in SERVICES:
        assert machine.show(service, "Result") == "success"
    machine.run("systemctl start streamhold.target")
    wait_ok(machine)


def purge_at_a_terminal(machine, word):
    """Somebody is there and types the answer when it is asked for; what was shown."""
    process = subprocess.Popen(
        machine.inside("script", "-q", "-e", "-c", "dpkg --purge streamhold", "/dev/null"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb",
             "DEBIAN_FRONTEND": "teletype"})
    said = ""
    while "[yes/no]" not in said:
        more = process.stdout.read(1)
        assert more, said
        said += more
    print(word, file=process.stdin, flush=True)
    said += process.stdout.read()
    assert process.wait(60) == 0, said
    return said


def left_over(machine):
    """Names on the disk of the machine, the package that the tests put there aside. Logs stay, as
    those of every service do, and users, since files of theirs may be anywhere."""
    found = machine.run("find / -xdev -name '*streamhold*' -not -path '/root/*' -not -path '/proc/*' "
                        "-not -path '/sys/*' -not -path '/tmp/*'")
    asked = machine.run("debconf-show streamhold")
    return found.split() + asked.split()


def test_purge_keeps_the_state_unless_told(machine):
    wait_ok(machine)
    # Nobody is there to answer; but there was a question, in a box that people do see.
    said = machine.run("apt-get purge -q -y streamhold", env={"DEBCONF_DEBUG": "developer"})
    assert "<-- INPUT high streamhold/remove-state" in said and "<-- GO" in said
    assert "kept in /var/lib/streamhold" in said
    assert (machine.root / "var/lib/streamhold/streamhold.db").exists()
    assert (machine.root / "etc/credstore.encrypted/streamhold.kek").exists()
    assert not (machine.root / "etc/streamhold").exists()
    assert machine.run("systemctl list-units --all --no-legend 'streamhold-*'") == ""
    assert get(machine, "http://127.0.0.1:3000/healthz") == 0

    machine.run(f"apt-get install -q -y {machine.deb}")     # finds its key and its state again
    wait_ok(machine)
    said = purge_at_a_terminal(machine, "no")
    assert "Remove all logins and events" in said and "kept in /var/lib/streamhold" in said
    assert (machine.root / "var/lib/streamhold/streamhold.db").exists()

    machine.run(f"apt-get install -q -y {machine.deb}")
    wait_ok(machine)
    said = purge_at_a_terminal(machine, "yes")
    assert "Remove all logins and events" in said
    assert not (machine.root / "var/lib/streamhold").exists()
    assert not (machine.root / "etc/credstore.encrypted/streamhold.kek").exists()
    assert left_over(machine) == []
    machine.run(f"apt-get install -q -y {machine.deb}")
    wait_ok(machine)


def test_a_credential_that_cannot_be_opened_is_not_replaced(machine):
    """The disk is in another machine: no TPM knows the key, and the one of systemd is another."""
    wait_ok(machine)
    assert not (machine.root / "dev/tpmrm0").exists()       # the key of systemd alone seals it
    secret = machine.root / "var/lib/systemd/credential.secret"
    kept = secret.rename(secret.with_suffix(".kept"))
    try:
        machine.run("systemctl restart streamhold-broker.service", check=False)
        wait(lambda: "CREDENTIALS" in machine.run(
            "systemctl status streamhold-broker.service", check=False), "the refusal")
        assert get(machine, "http://localhost:3000/readyz") == 503
        assert not (machine.root / "var/lib/streamhold/vault.key").exists()
    finally:
        secret.unlink(missing_ok=True)
        kept.rename(secret)
    machine.run("systemctl restart streamhold-broker.service")
    wait_ok(machine)


def test_without_systemd_creds_the_keystore_has_a_key_file(machine):
    """In a container for instance, or with a systemd before 250."""
    machine.run("echo streamhold streamhold/remove-state boolean true | debconf-set-selections; "
                "apt-get purge -q -y streamhold")
    program = machine.root / "usr/bin/systemd-creds"
    kept = program.rename(program.with_suffix(".kept"))
    try:
        program.write_text("#!/bin/sh\necho this machine has no key >&2\nexit 1\n")
        program.chmod(0o755)
        said = machine.run(f"apt-get install -q -y {machine.deb}")
        assert "the keystore gets a key file" in said
        wait_ok(machine)
        assert not (machine.root / "etc/credstore.encrypted/streamhold.kek").exists()
        key = machine.root / "var/lib/streamhold/vault.key"
        assert oct(key.stat().st_mode & 0o777) == "0o600"
        assert str(key.relative_to(machine.root)) in machine.run("streamhold keystore status")
        for user in ("streamhold-api", "streamhold-hook"):
            assert "denied" in machine.run(f"cat /{key.relative_to(machine.root)}", check=False,
                                           user=user)
        # Once there is a key, it stays: what it has sealed could not be opened by another.
        program.unlink()
        kept.rename(program)
        before = key.read_bytes()
        machine.run(f"dpkg --install {machine.deb}")
        wait_ok(machine)
        assert key.read_bytes() == before
        assert not (machine.root / "etc/credstore.encrypted/streamhold.kek").exists()
    finally:
        if kept.exists():
            kept.replace(program)
        machine.run("apt-get purge -q -y streamhold")
        machine.run(f"apt-get install -q -y {machine.deb}")
    wait_ok(machine)
