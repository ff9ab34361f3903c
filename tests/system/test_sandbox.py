"""The sandbox of the fronts: what the kernel lets a locked-down httpd do, call by call."""
import errno
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess

import pytest
from tests.lib import front as front_module
from tests.lib import inject
from tests.lib.front import Front
from tests.lib.stopwatch import Stopwatch

ptraced = pytest.mark.skipif(not inject.POSSIBLE, reason=inject.WHY_NOT)
LAST = 470
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
PRIVATE_ANONYMOUS = 0x22
# uretprobe and uprobe: later kernels show them to no filter. Outside of a probe that root has set
# they do nothing.
UNFILTERED = {335: ("signal", signal.SIGILL), 336: ("returned", -errno.ENXIO)}
SOL_SOCKET, SO_PEERCRED, SO_ERROR, SO_SNDBUF, SO_RCVBUF = 1, 17, 4, 7, 8


class Row:
    """A row of `streamhold-httpd -Q sandbox`."""

    def __init__(self, line):
        self.name, action, tests, self.reason = line.split("\t")
        self.action, _, error = action.partition(" ")
        self.error = getattr(errno, error) if error else 0
        self.tests = re.findall(r"arg(\d)(?:&(0x\w+))?(==|!=|>)(\w+|own-pid)", tests)

    def allows(self, arguments, pid):
        for place, mask, sign, value in self.tests:
            found = arguments[int(place)] & (int(mask, 16) if mask else 2**64 - 1)
            wanted = pid if value == "own" else int(value, 16)
            if not {"==": found == wanted, "!=": found != wanted, ">": found > wanted}[sign]:
                return False
        return True


def table(build, program="streamhold-httpd"):
    lines = subprocess.run([build / "bin" / program, "-Q", "sandbox"], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    assert lines[-1].startswith("*\t")
    return {row.name: row for row in map(Row, lines[:-1])}


class Fronts:
    """A locked-down front that is started again whenever a call has ended it."""

    def __init__(self):
        self.front = self.held = None
        self.started = 0

    def call(self, number, arguments=(), code=inject.SYSCALL):
        if self.front is None:
            self.front = Front()
            self.held = inject.Injected(self.front.pid)
            self.started += 1
        self.pid = self.front.pid
        self.held.end += 10
        outcome = self.held.call(number, arguments, code)
        if outcome.how != "returned":
            self.end()
        return outcome

    def end(self):
        front, self.front = self.front, None
        if front is None:
            return
        try:
            os.kill(front.pid, signal.SIGKILL)
            os.waitpid(front.pid, inject.WALL)
        except (ProcessLookupError, ChildProcessError):
            pass
        front_module.shutil.rmtree(front.folder, ignore_errors=True)


@pytest.fixture
def fronts(plain, monkeypatch):
    """Of the build without sanitizers, whose table is the one that is shipped."""
    monkeypatch.setattr(front_module, "BUILD", plain)
    made = Fronts()
    yield made
    made.end()


@ptraced
def test_of_all_system_calls_only_the_listed_ones_return(fronts, plain):
    rows, names = table(plain), inject.names()
    assert {"read", "accept4", "write"} <= set(rows) <= set(names.values())
    returned, wrong = [], []
    for number in range(LAST + 1):
        outcome = fronts.call(number)
        if outcome == UNFILTERED.get(number):
            continue
        name = names.get(number, "")
        row = rows.get(name)
        listed = row is not None and row.allows([0] * 6, fronts.pid)
        if listed != (outcome.how != "killed"):
            wrong.append((number, name, outcome))
        if listed and row.action == "answer" and outcome.value != -row.error:
            wrong.append((number, name, outcome))
        if outcome.how != "killed":
            returned.append(name)
    assert not wrong
    print(f"{len(returned)} of {LAST + 1} calls return, by {fronts.started} fronts: "
          + " ".join(returned))
    forbidden = {"socket", "connect", "open", "execve", "execveat", "fork", "vfork", "clone",
                 "clone3", "bind", "listen", "ptrace", "kill", "process_vm_readv", "io_uring_setup",
                 "pidfd_getfd", "unlink", "rename", "sendmsg", "dup", "dup2", "memfd_create"}
    assert not forbidden & set(returned)


@ptraced
@pytest.mark.parametrize("name, arguments, wanted", [
    ("mmap", (0, 4096, PROT_READ | PROT_WRITE, PRIVATE_ANONYMOUS, -1, 0), "returned"),
    ("mmap", (0, 4096, PROT_READ | PROT_EXEC, PRIVATE_ANONYMOUS, -1, 0), "killed"),
    ("mprotect", (0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), "killed"),
    ("sendto", (99, 0, 0, 0, 0, 0), "returned"),
    ("sendto", (99, 0, 0, 0, 1, 0), "killed"),
    ("getsockopt", (99, SOL_SOCKET, SO_PEERCRED), "returned"),
    ("getsockopt", (99, SOL_SOCKET, SO_ERROR), "killed"),
    ("getsockopt", (99, SOL_SOCKET + 1, SO_PEERCRED), "killed"),
    ("setsockopt", (99, SOL_SOCKET, SO_SNDBUF), "returned"),
    ("setsockopt", (99, SOL_SOCKET, SO_RCVBUF), "killed"),
    ("setsockopt", (99, SOL_SOCKET + 1, SO_SNDBUF), "killed"),
    ("tgkill", (1, 1, 0), "killed"),
    ("rt_sigaction", (signal.SIGTERM, 0, 0, 8), "returned"),
    ("rt_sigaction", (signal.SIGSYS, 0, 0, 8), "killed"),
])
def test_arguments_decide_where_the_list_says_so(fronts, name, arguments, wanted):
    number = {name: number for number, name in inject.names().items()}[name]
    assert fronts.call(number, arguments).how == wanted


@ptraced
def test_calls_that_libraries_probe_are_answered_and_not_done(fronts):
    number = {name: number for number, name in inject.names().items()}
    assert fronts.call(number["openat"], (-100, 0, 0)).value == -errno.EACCES
    assert fronts.call(number["newfstatat"], (-100, 0, 0)).value == -errno.EACCES
    assert fronts.call(number["prctl"], (4, 1)).value == -errno.EINVAL
    # What is newer than this list, libraries must be able to do without.
    for later in (LAST + 1, 490, 511):
        assert fronts.call(later).value == -errno.ENOSYS
    assert fronts.started == 1


@ptraced
def test_other_ways_into_the_kernel_are_closed(fronts):
    """Calls of the x32 and the 32-bit interface have numbers of their own."""
    number = {name: number for number, name in inject.names().items()}
    assert fronts.call(number["getpid"]).value == fronts.pid
    assert fronts.call(inject.X32 | number["getpid"]).how == "killed"
    assert fronts.call(20, code=inject.INT80).how in ("killed", "signal")   # its getpid


def test_a_front_says_what_is_in_force(streamhold):
    daemon = streamhold()
    report = daemon.cli("inspect", "--json").stdout
    for pid in daemon.children()["httpd"]:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
        assert re.search(r"^Seccomp:\s+2$", status, re.M)
    # The broker says it too, before or after them.
    lines = [line for line in daemon.log if "sandbox: in force: " in line
             and (" api " in line or " webhook " in line)]
    assert len(lines) == 2
    for line in lines:
        layers = line.split("in force: ")[1]
        assert {"no-new-privs", "no-core", "limits", "seccomp"} <= set(layers.split())
        assert layers in report
    shown = daemon.get("/status").json()["sandbox"].split()
    assert {"no-new-privs", "no-core", "limits", "seccomp"} <= set(shown)
    told = daemon.cli("doctor").stdout
    for who in ("broker", "api", "webhook"):
        assert re.search(rf"^(ok|warning) +sandbox +{who}: .*seccomp", told, re.M)


@pytest.mark.parametrize("program", ["streamhold-httpd", "streamhold-broker", "streamhold-vault",
                                     "streamhold"])
def test_there_is_no_switch_to_turn_it_off(plain, program):
    """Among what each takes there is none, and one that sounds like it is a mistake."""
    up = ["up"] if program == "streamhold" else []
    wanted = {"streamhold": 2}.get(program, 1)
    refused = subprocess.run([plain / "bin" / program, *up, "--no-sandbox"], capture_output=True,
                             text=True, timeout=10)
    assert refused.returncode == wanted
    assert "no-sandbox" in refused.stderr or "usage: " in refused.stderr.lower()
    helped = subprocess.run([plain / "bin" / program, *(["help", "up"] if up else ["--help"])],
                            capture_output=True, text=True, timeout=10)
    assert not re.search(r"--[a-z-]*(sandbox|seccomp|landlock)", helped.stdout + helped.stderr)


@ptraced
def test_builds_for_tests_name_the_call_that_they_die_of(build):
    """A bare SIGSYS is no help when a library makes a new call."""
    programs = subprocess.run(["grep", "-c", "STREAMHOLD_TEST_BUILD", build / "build.ninja"],
                              capture_output=True, text=True)
    if programs.stdout.strip() in ("", "0"):
        pytest.skip("a build as it is shipped kills without a word")
    front = Front()
    number = {name: number for number, name in inject.names().items()}
    outcome = inject.Injected(front.pid).call(number["socket"], (2, 1, 0))
    assert outcome == ("killed", signal.SIGSYS)
    assert f"the system call 'socket' ({number['socket']}) is not allowed" in front.log.read_text()
    front_module.shutil.rmtree(front.folder)


@ptraced
def test_a_front_that_the_sandbox_kills_comes_back_and_is_told_of(streamhold):
    """Whoever runs it must learn of it, and the fixture of these tests does."""
    daemon = streamhold(sandbox_kills=True)
    before = daemon.children()["httpd"]
    number = {name: number for number, name in inject.names().items()}
    outcome = inject.Injected(before[0]).call(number["socket"], (2, 1, 0))
    assert outcome == ("killed", signal.SIGSYS)
    daemon.wait_log("was killed by the sandbox")
    assert any("was killed by the sandbox" in line for line in daemon.killed)
    Stopwatch().wait(lambda: len(daemon.children().get("httpd", [])) == 2 and
                     before[0] not in daemon.children()["httpd"], 10)


def limits(pid):
    """{resource: (soft, hard)} as the kernel tells them."""
    text = pathlib.Path(f"/proc/{pid}/limits").read_text()
    return {name: (soft, hard) for name, soft, hard in
            re.findall(r"^(Max [a-z ]+?)\s{2,}(\w+)\s+(\w+)", text, re.M)}


def test_the_limits_of_a_front_are_in_force(streamhold, plain):
    """Of the build that is shipped, whose log is a pipe as the journal is."""
    daemon = streamhold(build=plain)
    none = ("0", "0")
    for pid in daemon.children()["httpd"]:
        found = limits(pid)
        for name in ("Max core file size", "Max file size", "Max processes", "Max locked memory",
                     "Max msgqueue size"):
            assert found[name] == none, name
        assert found["Max address space"] == (str(2**30), str(2**30))
        soft, hard = found["Max open files"]
        assert soft == hard != "unlimited"


def test_nothing_that_runs_is_interrupted_for_it(streamhold, plain):
    """Every thread is batch work to the scheduler (sched(7))."""
    for pids in streamhold(build=plain).children().values():
        for pid in pids:
            threads = [int(thread.name) for thread in pathlib.Path(f"/proc/{pid}/task").iterdir()]
            assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_BATCH}


def filters(pid):
    """How many filters of system calls a process is under."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^Seccomp_filters:\s+(\d+)$", status, re.M)[1])


@ptraced
def test_landlock_alone_keeps_a_front_in(plain, monkeypatch):
    """The filter refuses the same calls first, so this is the build of the benchmarks that has
    none."""
    monkeypatch.setattr(front_module, "program", lambda name="streamhold-httpd":
                        plain / "bench/open" / name)
    number = {name: number for number, name in inject.names().items()}
    with Front() as front, socket.create_server(("127.0.0.1", 0)) as listener:
        abi = re.search(r"in force: .*landlock-(\d+)", front.log.read_text())
        if not abi:
            pytest.skip("this kernel has no Landlock")
        # None of its own; a container may have given all of us some.
        assert filters(front.pid) == filters("self")
        held = inject.Injected(front.pid)
        file, address = held.put(b"/etc/hostname", struct.pack(
            "=H", socket.AF_INET) + struct.pack(">H4s8x", listener.getsockname()[1],
                                                socket.inet_aton("127.0.0.1")))
        refused = {"openat": held.call(number["openat"], (-100, file, os.O_RDONLY)).value}
        if int(abi[1]) >= 4:
            caller = held.call(number["socket"], (socket.AF_INET, socket.SOCK_STREAM, 0)).value
            assert caller >= 0          # nothing but Landlock is in the way
            refused["connect"] = held.call(number["connect"], (caller, address, 16)).value
            held.call(number["close"], (caller,))
        if int(abi[1]) >= 6:
            refused["kill"] = held.call(number["kill"], (os.getpid(), 0)).value
        held.leave()
    wanted = {"openat": -errno.EACCES, "connect": -errno.EACCES, "kill": -errno.EPERM}
    assert refused == {name: wanted[name] for name in refused}
