"""The sandbox of the broker and its helper: what the kernel refuses them."""
import errno
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess

import pytest
from tests.lib import inject
from tests.lib.keyring import Keyring, have
from tests.lib.lone_broker import LoneBroker
from tests.system.test_sandbox import Row, limits

ptraced = pytest.mark.skipif(not inject.POSSIBLE, reason=inject.WHY_NOT)
AT_FDCWD = -100


@pytest.fixture
def broker(plain, folder):
    """A function that makes a call in a broker, which is started when there is none."""
    running = []

    def start():
        if not running:
            running.append(LoneBroker(folder, plain))
            running.append(inject.Injected(running[0].pid, 60))
        return running[1]

    def call(number, arguments=()):
        outcome = start().call(number, arguments)
        if outcome.how != "returned":
            running[0].stop()
            running.clear()
        return outcome

    call.start = start
    call.landlock = lambda: int(re.search(
        r"in force: (?:.* landlock-(\d+))?", (start(), running[0].log.read_text())[1])[1] or 0)
    yield call
    if running:
        running[0].stop()


def rows(plain):
    lines = subprocess.run([plain / "bin" / "streamhold-broker", "-Q", "sandbox"], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    assert lines[-1].startswith("*\tallow")
    return [Row(line) for line in lines[:-1]]


def matching(row):
    """Arguments that the row is about."""
    arguments = [0] * 6
    for place, mask, sign, value in row.tests:
        arguments[int(place)] = int(value, 16) + (0 if sign == "==" else 1)
    return arguments


@ptraced
def test_the_broker_dies_of_every_call_on_the_list(broker, plain):
    numbers = {name: number for number, name in inject.names().items()}
    listed = rows(plain)
    assert {"ptrace", "bpf", "mount", "keyctl", "kexec_load", "io_uring_setup", "unshare",
            "process_vm_readv", "userfaultfd", "perf_event_open", "setns"} <= \
        {row.name for row in listed if row.action == "kill" and not row.tests}
    wrong = []
    for row in listed:
        outcome = broker(numbers[row.name], matching(row))
        good = outcome.how == "killed" if row.action == "kill" else outcome.value == -row.error
        if not good:
            wrong.append((row.name, matching(row), outcome))
    assert not wrong


@ptraced
def test_high_halves_of_arguments_hide_nothing(broker):
    """The kernel looks at 32 bits of these; a filter that looks at 64 would be passed by."""
    numbers = {name: number for number, name in inject.names().items()}
    assert broker(numbers["prctl"], (1 << 32 | 4, 1)).how == "killed"
    assert broker(numbers["ioctl"], (0, 1 << 32 | 0x5412)).how == "killed"
    assert broker(numbers["socket"], (1 << 32 | socket.AF_PACKET, 3)).value == -errno.EAFNOSUPPORT


@ptraced
def test_what_it_needs_is_left(broker):
    numbers = {name: number for number, name in inject.names().items()}
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
        assert broker(numbers["socket"], (family, socket.SOCK_DGRAM)).value > 0
    assert broker(numbers["prctl"], (4, 0)).value == 0
    assert broker(inject.X32 | numbers["getpid"]).how == "killed"


@ptraced
def test_it_writes_in_its_own_folder_only_and_starts_nothing(broker, folder):
    """Landlock, as far as this kernel has it."""
    numbers = {name: number for number, name in inject.names().items()}
    abi = broker.landlock()
    if abi < 1:
        pytest.skip("this kernel has no Landlock")
    held = broker.start()
    outside, inside, program, config, address = held.put(
        str(folder / "outside").encode(), str(folder / "state/inside").encode(), b"/bin/true",
        str(folder / "config.json").encode(), struct.pack("=HH12x", socket.AF_INET, 0))
    create = os.O_CREAT | os.O_WRONLY
    assert broker(numbers["openat"], (AT_FDCWD, outside, create, 0o600)).value == -errno.EACCES
    assert broker(numbers["openat"], (AT_FDCWD, config, os.O_WRONLY)).value == -errno.EACCES
    assert broker(numbers["openat"], (AT_FDCWD, config, os.O_RDONLY)).value > 0
    assert broker(numbers["openat"], (AT_FDCWD, inside, create, 0o600)).value > 0
    assert broker(numbers["unlink"], (config,)).value == -errno.EACCES
    assert broker(numbers["execve"], (program, 0, 0)).value == -errno.EACCES
    assert not (folder / "outside").exists() and (folder / "state/inside").exists()
    if abi >= 4:
        fd = broker(numbers["socket"], (socket.AF_INET, socket.SOCK_STREAM)).value
        assert broker(numbers["bind"], (fd, address, 16)).value == -errno.EACCES
    if abi >= 6:
        assert broker(numbers["kill"], (os.getpid(), 0)).value == -errno.EPERM


def confined(task):
    status = pathlib.Path(task, "status").read_text()
    return all(re.search(line, status, re.M) for line in
               (r"^NoNewPrivs:\s+1$", r"^Seccomp:\s+2$"))


def test_the_limits_of_the_broker_are_in_force(streamhold, plain):
    found = limits(streamhold(build=plain).broker_pid())
    for name in ("Max core file size", "Max msgqueue size"):
        assert found[name] == ("0", "0"), name


def test_every_thread_of_the_broker_is_confined(streamhold):
    daemon = streamhold()
    tasks = list(pathlib.Path(f"/proc/{daemon.broker_pid()}/task").iterdir())
    assert len(tasks) >= 2      # the loop and the database
    assert all(confined(task) for task in tasks)
    found = daemon.cli("inspect", "--json").stdout
    layers = next(line for line in daemon.log if " broker sandbox: in force: " in line)
    assert layers.split("in force: ")[1] in found


@pytest.mark.skipif(not have(), reason="needs gnome-keyring and dbus")
def test_the_keystore_helper_is_confined_too(streamhold, folder, plain):
    """By the list of the broker, which started it."""
    keyring = Keyring(folder)
    try:
        keyring.start()
        daemon = streamhold({"keystore": {"backend": "secret-service"}}, build=plain,
                            sandbox_kills=True, environment=keyring.environment)
        broker = daemon.broker_pid()
        helpers = [int(child) for child in pathlib.Path(
            f"/proc/{broker}/task/{broker}/children").read_text().split()]
        assert helpers and all(confined(f"/proc/{helper}") for helper in helpers)
        assert all("streamhold-vault" in os.readlink(f"/proc/{helper}/exe") for helper in helpers)
        for helper in helpers:
            found = limits(helper)
            assert found["Max core file size"] == found["Max msgqueue size"] == ("0", "0")
        if not inject.POSSIBLE:
            pytest.skip(inject.WHY_NOT)
        numbers = {name: number for number, name in inject.names().items()}
        held = inject.Injected(helpers[0])
        assert held.call(numbers["socket"], (socket.AF_PACKET, socket.SOCK_RAW)).value == \
            -errno.EAFNOSUPPORT
        assert held.call(numbers["socket"], (socket.AF_UNIX, socket.SOCK_STREAM)).value > 0
        assert held.call(numbers["ptrace"], (0,)) == ("killed", signal.SIGSYS)
    finally:
        keyring.stop()
