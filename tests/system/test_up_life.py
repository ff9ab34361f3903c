"""`streamhold up`: starting, watching, starting again, stopping."""
import os
import pathlib
import signal
import socket
import time

import pytest
from tests.lib.stopwatch import Stopwatch
from tests.system.up_stage import Stage


@pytest.fixture
def stage(build, folder):
    running = []

    def make(orders=None, config=None, **options):
        running.append(Stage(folder, build, orders, config, **options))
        return running[-1]

    yield make
    for one in running:
        if one.process and one.process.poll() is None:
            one.process.kill()
            one.process.wait()
    problems = [line for one in running for line in one.sanitizer_reports()]
    assert not problems, "\n".join(problems)


def is_alive(pid):
    try:
        return "Z" not in pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]
    except OSError:
        return False


def test_it_tells_once_where_everything_listens(stage):
    up = stage().start()
    up.wait_log("stub webhook: passed")
    assert up.api_port > 0 and up.webhook_port > 0
    for port in (up.api_port, up.webhook_port):
        socket.create_connection(("127.0.0.1", port), 5).close()
    socket.create_connection(("::1", up.api_port), 5).close()
    assert len([line for line in up.log if " listening api=" in line]) == 1
    assert up.stop() == 0


def test_listeners_are_handed_over_by_name(stage):
    up = stage().start()
    for who in ("broker", "api", "webhook"):
        up.wait_log(f"stub {who}: passed")
    passed = {line.split()[1].rstrip(":"): line.split("passed ")[1]
              for line in up.log if ": passed" in line}
    assert passed["broker"] == "2 admin:notify for me"
    assert passed["api"].split()[1].split(":")[:3] == ["http", "http", "link"]
    assert passed["webhook"].split()[1].split(":")[:2] == ["http", "link"]


def test_it_waits_for_all_before_it_calls_itself_listening(stage):
    up = stage({"webhook": "mute"}).spawn()
    up.wait_log("stub broker: notify")
    up.wait_log("stub webhook: notify")
    time.sleep(0.3)
    assert not [line for line in up.log if " listening " in line]


def test_nobody_else_can_say_that_a_child_is_ready(stage):
    """Each child has a socket of its own, which no name leads to."""
    up = stage({"webhook": "mute"}).spawn()
    assert up.wait_log("stub webhook: notify (.*)").group(1) == "by the socket that was passed"
    up.wait_log("stub broker: notify")
    own = {os.readlink(f"/proc/{up.process.pid}/fd/{fd}").strip("socket:[]")
           for fd in os.listdir(f"/proc/{up.process.pid}/fd")
           if os.readlink(f"/proc/{up.process.pid}/fd/{fd}").startswith("socket:")}
    named = [line.split()[-1] for line in pathlib.Path("/proc/net/unix").read_text().splitlines()
             if len(line.split()) == 8 and line.split()[6] in own]
    assert named and all(str(up.folder) in name for name in named), named
    time.sleep(0.3)
    assert not [line for line in up.log if " listening " in line]


def test_ready_is_passed_on_to_its_own_supervisor(stage, folder):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(folder / "notify"))
    listener.settimeout(10)
    stage(environment={"NOTIFY_SOCKET": str(folder / "notify")}).start()
    assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize("status", [1, 2, 3, 65])
@pytest.mark.parametrize("who", ["broker", "api", "webhook"])
def test_a_child_that_refuses_to_run_ends_up_with_its_status(stage, who, status):
    up = stage({who: f"exit={status}"}).spawn()
    assert up.wait_exit() == status
    assert f"{who} (process" in up.text_log() and f"ended with status {status}" in up.text_log()


def test_a_child_that_gives_up_later_also_ends_up(stage):
    up = stage({"broker": "told=2"}).start()
    children = up.pids()
    up.process.send_signal(signal.SIGUSR1)
    assert up.wait_exit() == 2
    assert not [pid for pid in children.values() if is_alive(pid)]
    assert sorted(up.said("leaves")) == ["api", "webhook"]


@pytest.mark.parametrize("who", ["broker", "api", "webhook"])
def test_a_killed_child_is_started_again_and_that_is_said(stage, who):
    up = stage().start()
    before = up.pids()
    os.kill(before[who], signal.SIGKILL)
    up.wait_log(rf"{who} \(process {before[who]}\) was killed by signal 9 \(Killed\); "
                "starting it again in 100 ms")
    up.wait_log(rf"{who} is ready again")
    after = up.pids()
    assert after[who] != before[who]
    assert {name: pid for name, pid in after.items() if name != who} == \
        {name: pid for name, pid in before.items() if name != who}
    socket.create_connection(("127.0.0.1", up.api_port), 5).close()
    assert up.stop() == 0


def test_a_child_that_has_worked_is_wanted_back_at_once(stage):
    up = stage().start()
    for turn in range(1, 5):
        os.kill(up.pids()["broker"], signal.SIGKILL)
        up.wait_log("broker is ready again", count=turn)
    waits = [line.split(" in ")[-1] for line in up.log if "starting it again" in line]
    assert waits == ["100 ms"] * 4


def test_a_lost_commit_starts_the_broker_again_with_growing_waits(stage):
    up = stage({"broker": "exit=74"}).spawn()
    for wait in (100, 200, 400, 800):
        up.wait_log(rf"broker \(process \d+\) ended with status 74; starting it again in {wait} ms")
    assert up.stop() == 0


def test_a_disk_that_fails_again_and_again_is_left_alone_longer_each_time(stage):
    """Also when the broker becomes ready each time: it fails as soon as it reads that place."""
    up = stage({"broker": "later=74"}).spawn()
    for wait in (100, 200, 400):
        up.wait_log(rf"broker \(process \d+\) ended with status 74; starting it again in {wait} ms")
    assert up.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_fronts_stop_before_the_broker(stage, how):
    up = stage({"webhook": "linger", "api": "linger"}).start()
    assert up.stop(how) == 0
    told = [line for line in up.log if line.startswith("stub ") and
            line.split(": ")[1] in ("term", "leaves")]
    assert sorted(told[:2]) == ["stub api: term", "stub webhook: term"]
    assert told[-2:] == ["stub broker: term", "stub broker: leaves"]
    assert sorted(up.said("leaves")) == ["api", "broker", "webhook"]
    assert up.log[-1].endswith("up: stopped")


def test_ctrl_c_reaches_the_children_only_through_up(stage):
    up = stage({"webhook": "linger"})
    up.spawn()
    up.wait_log(" listening ")
    for pid in up.pids().values():
        assert os.getpgid(pid) != os.getpgid(up.process.pid)
    up.process.send_signal(signal.SIGINT)
    assert up.wait_exit() == 0
    assert not up.said("int")


def test_a_child_that_does_not_stop_is_killed_after_the_timeout(stage):
    up = stage({"api": "deaf"}, {"server": {"shutdown_timeout_ms": 100}}).start()
    begun = time.monotonic()
    assert up.stop() == 0
    assert 1.0 < time.monotonic() - begun < 8, "the default is 10 s"
    assert "killing api" in up.text_log()
    assert up.log.index("stub broker: term") > \
        next(i for i, line in enumerate(up.log) if "killing api" in line)


def test_a_second_ctrl_c_hurries(stage):
    up = stage({"api": "deaf"}).start()
    up.process.send_signal(signal.SIGINT)
    up.wait_log("stub api: term")
    up.process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    assert up.wait_exit() == 0
    assert time.monotonic() - begun < 8, "the default is 10 s"


def test_nothing_listens_while_the_fronts_drain(stage):
    up = stage({"api": "deaf"}).start()
    os.kill(up.pids()["api"], signal.SIGSTOP)   # a front that keeps its own copy open
    hook = up.pids()["webhook"]
    up.process.send_signal(signal.SIGTERM)
    up.wait_log("stub broker: term|stub webhook: leaves")
    Stopwatch().wait(lambda: not is_alive(hook), 5, 0.01)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", up.webhook_port), 2)
    os.kill(up.pids()["api"], signal.SIGCONT)
    up.process.send_signal(signal.SIGINT)
    assert up.wait_exit() == 0


def test_sockets_are_gone_after_stopping(stage, folder):
    up = stage().start()
    assert (folder / "run" / "broker.sock").is_socket()
    up.stop()
    assert not list((folder / "run").rglob("*.sock"))


def test_nothing_stays_behind_when_up_itself_is_killed(stage):
    up = stage({"webhook": "linger"}).start()
    children = up.pids()
    assert len(children) == 3
    up.process.kill()
    up.process.wait()
    Stopwatch().wait(lambda: not [pid for pid in children.values() if is_alive(pid)], 5)


def test_it_can_be_started_right_after_being_killed(stage):
    up = stage().start()
    up.process.kill()
    up.process.wait()
    again = stage().start()
    assert again.stop() == 0


def test_signals_for_reloading_and_looking_are_passed_on(stage):
    up = stage().start()
    for number, word in ((signal.SIGHUP, "hup"), (signal.SIGUSR1, "usr1"),
                         (signal.SIGUSR2, "usr2")):
        up.process.send_signal(number)
        Stopwatch().wait(lambda: sorted(up.said(word)) == ["api", "broker", "webhook"], 5)
    up.wait_log("up: broker: process")
    assert up.stop() == 0


def test_lines_of_children_are_bounded_whole_and_harmless(stage):
    up = stage({"api": "noise"}).start()
    up.wait_log("red ")
    os.kill(up.pids()["api"], signal.SIGKILL)
    up.wait_log("^no line end$")
    long_line = next(line for line in up.log if line.startswith("xxx"))
    assert len(long_line) == 4096 + 3 and long_line.endswith("x...")
    assert "red \\x1b[31m text" in up.log


def test_without_webhooks_there_is_no_webhook_front(stage):
    up = stage(config={"webhooks": {"enabled": False}}).start()
    assert sorted(up.pids()) == ["api", "broker"]
    assert "webhook=off" in up.text_log()
    assert up.stop() == 0


def test_a_closed_terminal_stops_it(stage, folder):
    controller, terminal = os.openpty()
    up = stage()
    up.write_config()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.dup2(terminal, 2)
        os.close(controller)
        os.execve(up.command()[0], up.command(),
                  {**os.environ, **up.environment})
    os.close(terminal)
    seen = b""
    while b" listening " not in seen:
        seen += os.read(controller, 4096)
    os.close(controller)
    os.kill(pid, signal.SIGHUP)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
