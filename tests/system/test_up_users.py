"""`streamhold up`: who the programs run as, and what they can reach."""
import grp
import json
import os
import pathlib
import pwd
import stat

import pytest
from tests.system.up_stage import Stage

NOBODY = pwd.getpwnam("nobody")
SOMEBODY = 34567
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def user_of(name, fallback):
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return fallback


@pytest.fixture
def stage(build, folder):
    running = []

    def make(**options):
        running.append(Stage(folder, build, **options))
        return running[-1]

    yield make
    for one in running:
        if one.process and one.process.poll() is None:
            one.stop()


def users(up):
    return {line.split()[1].rstrip(":"): [int(word) for word in line.split()[3::2]]
            for line in up.log if ": user " in line and line.startswith("stub ")}


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_as_root_the_fronts_are_nobody_without_groups(stage):
    up = stage()
    command = up.command()
    up.command = lambda: ["setpriv", "--groups", "4,27", *command]
    up.start()
    found = users(up)
    assert found["api"][0] == user_of("streamhold-api", NOBODY.pw_uid)
    assert found["webhook"][0] == user_of("streamhold-hook", NOBODY.pw_uid)
    assert found["api"][0] != 0 and found["api"][1] != 0
    assert found["api"][2] == 0 and found["webhook"][2] == 0
    assert "as root: the broker runs as '" in up.text_log()


def test_as_root_the_broker_is_the_owner_of_the_state_folder(stage, folder):
    (folder / "state").mkdir(mode=0o700)
    os.chown(folder / "state", SOMEBODY, SOMEBODY)
    folder.chmod(0o755)
    up = stage().start()
    assert users(up)["broker"][:2] == [user_of("streamhold", SOMEBODY)] * 1 + \
        [users(up)["broker"][1]]
    owner = users(up)["broker"][0]
    for name in ("broker.sock", "api/link.sock", "webhook/link.sock"):
        status = os.stat(folder / "run" / name)
        assert status.st_uid == owner and mode(folder / "run" / name) & 0o007 == 0
    for name in ("api/link.sock", "webhook/link.sock"):
        assert mode(folder / "run" / name) == 0o600
    assert mode(folder / "state") == 0o700
    arguments = next(line for line in up.log if "stub api: arguments" in line)
    assert f"--broker-uid {owner}" in arguments
    arguments = next(line for line in up.log if "stub broker: arguments" in line)
    assert f"--api-uid {users(up)['api'][0]}" in arguments
    assert f"--webhook-uid {users(up)['webhook'][0]}" in arguments


def test_fronts_read_a_configuration_that_their_user_cannot_reach(stage, folder):
    """The folder is root's alone: program and configuration reach the front as
    descriptors, and it cannot change what the next one will read."""
    assert mode(folder) == 0o700
    up = stage().start()
    size = len((folder / "config.json").read_bytes())
    assert f"stub api: config {size}" in up.log
    assert f"stub webhook: config {size}" in up.log
    assert f"stub broker: config {size}" in up.log
    assert "stub api: writable 0" in up.log


def test_an_ordinary_user_runs_everything_as_itself(stage, folder):
    folder.chmod(0o755)
    up = stage(user="nobody")
    for name in ("state", "run"):
        (folder / name).mkdir(mode=0o700)
        os.chown(folder / name, NOBODY.pw_uid, NOBODY.pw_gid)
    up.start()
    assert {found[0] for found in users(up).values()} == {NOBODY.pw_uid}
    assert mode(folder / "run" / "broker.sock") == 0o600
    assert "as root" not in up.text_log()
    assert up.stop() == 0


def test_a_user_without_any_xdg_variable_is_served(stage, folder):
    """Home and nothing else: ~/.local/state and a folder of its own in /tmp."""
    home = folder / "home"
    home.mkdir()
    os.chown(home, SOMEBODY, SOMEBODY)
    folder.chmod(0o755)
    up = stage(environment={"HOME": str(home)})
    up.config = {"server": {"port": 0}, "webhooks": {"port": 0}}
    up.user = SOMEBODY
    runtime = pathlib.Path(f"/tmp/streamhold-{SOMEBODY}")
    try:
        up.start()
        assert mode(runtime) == 0o700 and (runtime / "broker.sock").is_socket()
        assert mode(home / ".local/state/streamhold") == 0o700
        assert up.stop() == 0
    finally:
        for path in sorted(runtime.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        if runtime.exists():
            runtime.rmdir()


def test_the_api_socket_has_its_mode_and_group(stage, folder):
    group = grp.getgrgid(NOBODY.pw_gid).gr_name
    path = folder / "api.sock"
    up = stage(config={"server": {"socket": str(path), "socket_mode": "0620",
                                  "socket_group": group}}).start()
    assert mode(path) == 0o620 and os.stat(path).st_gid == NOBODY.pw_gid
    passed = next(line for line in up.log if "stub api: passed" in line)
    assert passed.split()[4].split(":").count("http") == 3
    assert f"socket={path}" in up.text_log()
    assert up.stop() == 0
    assert not path.exists()


def test_no_secret_and_no_listener_leaks_into_the_command_lines(stage):
    up = stage().start()
    for pid in up.pids().values():
        line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        assert set(word for word in line if word.startswith("--")) <= {
            "--role", "--broker-uid", "--api-uid", "--webhook-uid", "--system", "--config"}
        opened = {os.readlink(f"/proc/{pid}/fd/{name}")
                  for name in os.listdir(f"/proc/{pid}/fd")}
        assert not [name for name in opened if "signalfd" in name or "up.lock" in name]
    assert json.loads((up.folder / "config.json").read_text())
