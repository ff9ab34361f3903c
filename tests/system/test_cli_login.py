"""`streamhold login`: the address, the wait, what was granted."""
import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from tests.lib.link import encode
from tests.system.cli_broker import NOW, AdminBroker, failed

URL = "https://id.kick.com/oauth/authorize?state=st4te&scope=user%3Aread"
STARTED = [("login_started", {"auth_url": URL, "state": "st4te", "expires_at": NOW})]
FINISHED = {"platform": "kick", "username": "Streamer123", "identity": "verified",
            "scopes": "user:read", "missing_scopes": ""}


@pytest.fixture
def broker(folder, build):
    broker = AdminBroker(folder, build)
    broker.answers["login_start"] = STARTED
    broker.answers["login_wait"] = [("login_finished", FINISHED)]
    yield broker
    broker.close()


def test_standard_output_is_the_address_and_nothing_else(broker):
    result = broker.run("login", "kick", "streamer123")
    assert result.returncode == 0
    assert result.stdout == URL + "\n"
    assert "Logged in to kick as Streamer123 (verified)" in result.stderr
    assert "granted: user:read" in result.stderr and "not granted" not in result.stderr
    start = broker.questions("login_start")[0]
    assert (start.platform, start.username, start.adopt) == ("kick", "streamer123", False)
    assert broker.questions("login_wait")[0].state == b"st4te"


def test_what_was_not_granted_is_said(broker):
    broker.answers["login_wait"] = [("login_finished", {
        **FINISHED, "missing_scopes": "chat:write", "identity": "unverified",
        "warning": "The name could not be looked up."})]
    result = broker.run("login", "kick", "streamer123")
    assert result.returncode == 0
    assert "not granted: chat:write" in result.stderr
    assert "(unverified)" in result.stderr and "could not be looked up" in result.stderr


def test_as_json_each_step_is_a_line(broker):
    lines = broker.run("login", "kick", "x", "--json").stdout.splitlines()
    first, second = map(json.loads, lines)
    assert first == {"format_version": 1, "step": "started", "auth_url": URL,
                     "expires_at": "2026-01-18T10:00:00.000Z"}
    assert second["format_version"] == 1 and second["step"] == "finished"
    assert second["username"] == "Streamer123" and second["scope"] == ["user:read"]
    assert second["missing_scope"] == [] and second["warning"] is None


def test_adopt_is_passed_on(broker):
    broker.run("login", "kick", "x", "--adopt")
    assert broker.questions("login_start")[0].adopt is True


@pytest.mark.parametrize("code,status,next_command", [
    ("login_denied", 4, "streamhold login kick x"),
    ("other_account", 4, "streamhold login kick x --adopt"),
    ("exchange_failed", 6, "streamhold login kick x"),
    ("invalid_state", 1, "streamhold login kick x")])
def test_a_login_that_ends_badly(broker, code, status, next_command):
    broker.answers["login_wait"] = failed(code, "Access was denied.")
    result = broker.run("login", "kick", "x")
    assert result.returncode == status and result.stdout == URL + "\n"
    assert "streamhold: Access was denied." in result.stderr
    assert f"  -> {next_command}\n" in result.stderr


def test_without_credentials_it_names_app_add(broker):
    broker.answers["login_start"] = failed("no_credentials", "None are stored.")
    result = broker.run("login", "kick", "x")
    assert result.returncode == 5 and "-> streamhold app add kick\n" in result.stderr
    assert result.stdout == ""


def test_nobody_finishing_is_status_4(broker):
    broker.answers["login_wait"] = None
    begun = time.monotonic()
    result = broker.run("login", "kick", "x", "--timeout", "1s")
    assert result.returncode == 4 and 0.8 < time.monotonic() - begun < 15
    assert "in time\n  -> streamhold login kick x\n" in result.stderr and result.stdout == URL + "\n"


@pytest.mark.parametrize("arguments", [
    ["login", "kick"], ["login"], ["login", "kick", "a", "b"], ["login", "kik", "a"],
    ["login", "kick", "a/b"], ["login", "kick", ""], ["login", "kick", "x" * 101],
    ["login", "kick", "a\x01b"], ["login", "kick", "a", "--timeout", "soon"],
    ["login", "kick", "a", "--timeout", "0s"], ["login", "kick", "a", "--timeout", "8d"],
    ["login", "kick", "a", "--check"]])
def test_usage_errors(broker, arguments):
    result = broker.run(*arguments)
    assert result.returncode == 2 and result.stdout == "" and result.stderr
    assert "  -> " in result.stderr
    assert broker.connections == 0


def test_ctrl_c_is_status_130(broker):
    broker.answers["login_wait"] = None
    process = subprocess.Popen(broker.command("login", "kick", "x"), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == URL + "\n"     # at once, although nothing ended
    while not broker.questions("login_wait"):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=10)
    assert process.returncode == 130 and "streamhold accounts" in talk


def test_a_restarted_broker_is_asked_again(broker, folder, build):
    process = None
    broker.answers["login_wait"] = "hang up"
    process = subprocess.Popen(broker.command("login", "kick", "x"), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not broker.questions("login_wait"):
        time.sleep(0.01)
    broker.close()
    time.sleep(0.5)
    second = AdminBroker(folder, build)
    second.answers["login_wait"] = [("login_finished", FINISHED)]
    out, talk = process.communicate(timeout=20)
    assert process.returncode == 0 and out == URL + "\n"
    assert "Logged in to kick" in talk
    assert second.questions("login_wait")[0].state == b"st4te"
    assert not second.questions("login_start")


def test_on_a_terminal_the_time_left_counts_down(broker):
    broker.answers["login_wait"] = None
    controller, terminal = pty.openpty()
    process = subprocess.Popen(broker.command("login", "kick", "x", "--timeout", "90s"),
                               stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    seen = ""
    end = time.monotonic() + 30
    while len(set(re.findall(r"1:\d\d left", seen))) < 2:
        assert time.monotonic() < end, seen
        seen += os.read(controller, 4096).decode()
    peer, question = broker.held[0]
    peer.sendall(encode("login_finished", question.rid, **FINISHED))
    while "Logged in to kick" not in seen:
        seen += os.read(controller, 4096).decode()
    assert process.wait(10) == 0
    os.close(controller)
