"""`streamhold login`: a browser that is opened, a QR code, an address that is typed back."""
import os
import pty
import re
import subprocess
import time

import pytest

from tests.fake.client import approve
from tests.lib.platforms import USER, OTHER, put_credentials
from tests.system.cli_broker import NOW, AdminBroker, failed

URL = "https://id.kick.com/oauth/authorize?state=st4te&scope=user%3Aread"
FINISHED = {"platform": "kick", "username": "Streamer123", "identity": "verified",
            "scopes": "user:read", "missing_scopes": ""}
BACK = "http://localhost:3000/oauth/callback/kick?code=CANARY-c%2Fode&state=st4te"


@pytest.fixture
def broker(folder, build):
    broker = AdminBroker(folder, build)
    broker.answers["login_start"] = [("login_started", {
        "auth_url": URL, "state": "st4te", "expires_at": NOW})]
    broker.answers["login_wait"] = [("login_finished", FINISHED)]
    broker.answers["login_finish"] = [("login_finished", FINISHED)]
    yield broker
    broker.close()


# -- a browser ----------------------------------------------------------------------------

def with_browser(broker, folder, *arguments, user="nobody", **variables):
    """Runs a login on a terminal with an xdg-open that writes down what it was given."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    note = folder / "note"
    note.write_text("")
    note.chmod(0o666)
    folder.chmod(0o755)
    broker.path.chmod(0o666)
    opener = programs / "xdg-open"
    opener.write_text(f'#!/bin/sh\necho "$*" >> {note}\necho noise\necho noise >&2\n')
    opener.chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "DISPLAY": ":0", **variables}
    controller, terminal = pty.openpty()
    result = subprocess.run(
        broker.command("login", "kick", "x", *arguments), stdout=subprocess.PIPE,
        stderr=terminal, stdin=subprocess.DEVNULL, env=environment, timeout=20,
        **({"user": user, "extra_groups": []} if user and os.geteuid() == 0 else {}))
    os.close(terminal)
    time.sleep(0.3)
    talk = os.read(controller, 65536).decode()
    os.close(controller)
    assert result.returncode == 0, talk
    assert b"noise" not in result.stdout and "noise" not in talk
    return note.read_text()


def test_a_browser_is_opened_with_the_address(broker, folder):
    assert with_browser(broker, folder) == URL + "\n"


@pytest.mark.parametrize("arguments,variables", [
    (["--no-browser"], {}), (["--json"], {}), ([], {"SSH_CONNECTION": "10.0.0.1 22"}),
    ([], {"SSH_TTY": "/dev/pts/1"}), ([], {"DISPLAY": ""}), ([], {"PATH": "/nowhere"})])
def test_no_browser_is_opened(broker, folder, arguments, variables):
    assert with_browser(broker, folder, *arguments, **variables) == ""


def test_never_as_root(broker, folder):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    assert with_browser(broker, folder, user=None) == ""


# -- QR -----------------------------------------------------------------------------------

def test_a_qr_code_goes_to_standard_error(broker):
    result = broker.run("login", "kick", "x", "--qr")
    assert result.returncode == 0 and result.stdout == URL + "\n"
    assert "\u2588" in result.stderr and "no QR codes" not in result.stderr
    assert "--paste" in result.stderr


# -- typed back ---------------------------------------------------------------------------

def test_the_address_from_a_pipe(broker):
    result = broker.run("login", "kick", "x", "--paste", stdin=BACK + "\n")
    assert result.returncode == 0, result.stderr
    assert result.stdout == URL + "\n"
    assert "Logged in to kick as Streamer123" in result.stderr
    asked = broker.questions("login_finish")[0]
    assert (asked.platform, asked.state, asked.code) == ("kick", b"st4te", b"CANARY-c/ode")
    assert not broker.questions("login_wait")
    assert "CANARY" not in result.stdout + result.stderr


def test_on_a_terminal_it_is_not_shown(broker):
    controller, terminal = pty.openpty()
    process = subprocess.Popen(broker.command("login", "kick", "x", "--paste"), stdin=terminal,
                               stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    seen = ""
    while "it is not shown" not in seen:
        seen += os.read(controller, 4096).decode()
    time.sleep(0.2)
    os.write(controller, BACK.encode() + b"\n")
    assert process.communicate(timeout=20)[0].decode() == URL + "\n"
    seen += os.read(controller, 65536).decode()
    assert process.returncode == 0 and "CANARY" not in seen
    os.close(controller)


def test_a_refusal_is_passed_on(broker):
    broker.answers["login_finish"] = failed("login_denied", "Kick reported: access_denied")
    result = broker.run("login", "kick", "x", "--paste",
                        stdin="?error=access_denied&error_description=no&state=st4te")
    assert result.returncode == 4 and "access_denied" in result.stderr
    asked = broker.questions("login_finish")[0]
    assert (asked.error, asked.error_description, asked.code) == ("access_denied", "no", None)


@pytest.mark.parametrize("line,status", [
    ("", 2), ("hello", 1), (BACK.replace("st4te", "other"), 1), (BACK + "&code=2", 1),
    ("http://localhost/cb?state=st4te", 1), ("a\nb", 2), ("x" * 5000, 2)])
def test_what_is_no_way_back_is_refused_here(broker, line, status):
    result = broker.run("login", "kick", "x", "--paste", stdin=line)
    assert result.returncode == status and "  -> " in result.stderr
    assert not broker.questions("login_finish") and "CANARY" not in result.stderr


def test_paste_does_not_go_with_timeout(broker):
    assert broker.run("login", "kick", "x", "--paste", "--timeout", "9s").returncode == 2


def test_a_whole_login_typed_back(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    put_credentials(daemon, "twitch")
    process = subprocess.Popen(
        [daemon.program("streamhold"), "--config", str(daemon.config_file), "login", "twitch",
         USER, "--paste"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    location = approve(process.stdout.readline().strip())
    out, talk = process.communicate(location + "\n", timeout=30)
    assert process.returncode == 0 and out == "", talk
    assert "Logged in to twitch" in talk
    assert daemon.get(f"/oauth/status/twitch/{USER}").json()["status"] == "valid"
    code = re.search(r"code=([^&]+)", location)[1]
    assert code not in talk and code not in daemon.text_log()
    again = daemon.cli("login", "twitch", USER, "--paste", stdin=location + "\n")
    assert again.returncode == 1 and "another login" in again.stderr


def test_another_account_is_turned_away_there_too(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    put_credentials(daemon, "kick")
    fakes["kick"].set(identity=OTHER["kick"]["login"])
    process = subprocess.Popen(
        [daemon.program("streamhold"), "--config", str(daemon.config_file), "login", "kick",
         USER, "--paste"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    location = approve(process.stdout.readline().strip())
    _, talk = process.communicate(location + "\n", timeout=30)
    assert process.returncode == 4 and "Another_One" in talk and "--adopt" in talk
    assert daemon.get(f"/oauth/status/kick/{USER}").status == 404
