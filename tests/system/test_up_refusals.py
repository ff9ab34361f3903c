"""`streamhold up`: what it cannot start with, and what it then says."""
import os
import socket
import subprocess

import pytest
from tests.system.up_stage import Stage


@pytest.fixture
def stage(build, folder):
    running = []

    def make(config=None, **options):
        running.append(Stage(folder, build, config=config, **options))
        return running[-1]

    yield make
    for one in running:
        if one.process and one.process.poll() is None:
            one.stop()


def refused(up, status):
    up.spawn()
    assert up.wait_exit() == status, up.text_log()
    assert not [line for line in up.log if line.startswith("stub ")]
    return up.text_log()


@pytest.mark.parametrize("section", ["server", "webhooks"])
def test_a_port_in_use_is_named_with_the_way_out(stage, section):
    other = socket.create_server(("127.0.0.1", 0))
    port = other.getsockname()[1]
    text = refused(stage({section: {"port": port}}), 3)
    assert f"port {port}: it is in use" in text and f"{section}.port" in text


def test_an_address_of_another_machine_is_named(stage):
    text = refused(stage({"webhooks": {"host": "192.0.2.1"}}), 3)
    assert "192.0.2.1" in text and "webhooks.host" in text


def test_a_second_up_is_refused_and_the_first_goes_on(stage):
    first = stage().start()
    second = stage()
    second.spawn()
    assert second.wait_exit() == 3
    assert f"another `streamhold up` (process {first.process.pid}) already runs" in \
        second.text_log()
    assert len(first.pids()) == 3
    assert (first.folder / "run" / "broker.sock").is_socket()
    assert first.stop() == 0


def test_a_service_that_runs_already_is_told_apart(stage, folder):
    (folder / "run").mkdir(mode=0o700)
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(folder / "run" / "broker.sock"))
    other.listen()
    assert "broker.sock' is in use" in refused(stage(), 3)


def test_a_file_in_the_place_of_a_socket_is_left_alone(stage, folder):
    path = folder / "precious"
    path.write_text("keep me")
    text = refused(stage({"server": {"socket": str(path)}}), 3)
    assert "is no socket" in text and path.read_text() == "keep me"


def test_an_unknown_group_is_named(stage, folder):
    text = refused(stage({"server": {"socket": str(folder / "s"),
                                     "socket_group": "nosuchgroup"}}), 3)
    assert "no group 'nosuchgroup'" in text


def test_a_wrong_configuration_is_refused_with_file_and_key(stage):
    text = refused(stage({"server": {"prot": 1}}), 1)
    assert "config.json" in text and "prot" in text and "port" in text


def test_a_missing_configuration_file_is_refused(stage, folder):
    up = stage()
    up.write_config = lambda: None
    assert "config.json" in refused(up, 1)


def test_a_state_folder_that_others_may_write_is_refused(stage, folder):
    (folder / "state").mkdir()
    (folder / "state").chmod(0o777)
    assert "state" in refused(stage(), 2)


def test_a_runtime_folder_that_others_may_write_is_refused(stage, folder):
    (folder / "run").mkdir()
    (folder / "run").chmod(0o777)
    assert "run" in refused(stage(), 3)


def test_a_missing_program_is_named(stage):
    up = stage()
    (up.build / "bin" / "streamhold-httpd").unlink()
    assert "streamhold-httpd" in refused(up, 3)


def test_checking_starts_nothing(stage, folder):
    up = stage(arguments=["-n"])
    assert refused(up, 0) == ""
    assert not (folder / "run").exists() and not (folder / "state").exists()
    assert "port" in refused(stage({"server": {"port": 70000}}, arguments=["-n"]), 1)


def test_a_refused_start_leaves_no_socket(stage, folder):
    other = socket.create_server(("127.0.0.1", 0))
    refused(stage({"webhooks": {"port": other.getsockname()[1]}}), 3)
    assert not list((folder / "run").rglob("*.sock"))


def test_without_ipv6_it_warns_and_serves_ipv4(stage):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    prepare = "ip link set lo up && sysctl -qw net.ipv6.conf.lo.disable_ipv6=1"
    if subprocess.run(["unshare", "-n", "sh", "-c", prepare],
                      capture_output=True).returncode != 0:
        pytest.skip("network namespaces cannot be made here")
    up = stage()
    command = up.command()
    up.command = lambda: ["unshare", "-n", "sh", "-c", f'{prepare} && exec "$@"', "sh",
                          *command]
    up.start()
    assert "no IPv6 loopback" in up.text_log()
    passed = next(line for line in up.log if "stub api: passed" in line)
    assert passed.split()[4].split(":").count("http") == 1
    assert up.stop() == 0


