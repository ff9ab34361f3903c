"""`streamhold token`, `exec` and `audit`: a token leaves only where that is allowed."""
import json
import os
import subprocess

import pytest

from tests.lib.platforms import USER, login, put_credentials
from tests.system.cli_broker import NOW, AdminBroker, failed

TOKEN = 'CANARY-"t\\oken'
NAME = f"kick/{USER}"


@pytest.fixture
def broker(folder, build):
    broker = AdminBroker(folder, build)
    broker.answers["token_get"] = [("token_given", {
        "platform": "kick", "username": "Streamer123", "access_token": TOKEN.encode(),
        "expires_at": NOW})]
    broker.answers["token_allow"] = lambda message: [("token_allowed", {
        "platform": "kick", "username": "Streamer123", "allowed": message.allowed})]
    yield broker
    broker.close()


# -- the command alone --------------------------------------------------------------------

def test_standard_output_is_the_token_alone(broker):
    result = broker.run("token", "get", "kick/x")
    assert (result.returncode, result.stdout, result.stderr) == (0, TOKEN + "\n", "")
    asked = broker.questions("token_get")[0]
    assert (asked.platform, asked.username, asked.min_ttl, asked.command) == \
        ("kick", "x", 300, False)


def test_header_and_json(broker):
    result = broker.run("token", "get", "kick/x", "--header", "--min-ttl", "0")
    assert result.stdout == f"Authorization: Bearer {TOKEN}\n"
    assert broker.questions("token_get")[0].min_ttl == 0
    answer = json.loads(broker.run("token", "get", "kick/x", "--json").stdout)
    assert answer == {"format_version": 1, "platform": "kick", "username": "Streamer123",
                      "access_token": TOKEN, "expires_at": "2026-01-18T10:00:00.000Z"}


@pytest.mark.parametrize("verb", [["token", "get", "kick/x"], ["exec", "kick/x", "true"]])
@pytest.mark.parametrize("code,status,next_command", [
    ("login_needed", 4, "streamhold login kick x"),
    ("handout_off", 1, "streamhold token allow kick/x"),
    ("no_token", 5, "streamhold login kick x"), ("timed_out", 6, "streamhold status")])
def test_refusals(broker, verb, code, status, next_command):
    broker.answers["token_get"] = failed(code, "That is not possible.")
    result = broker.run(*verb)
    assert result.returncode == status and result.stdout == ""
    assert f"That is not possible.\n  -> {next_command}\n" in result.stderr


def test_allow_and_deny(broker):
    result = broker.run("token", "allow", "kick/x")
    assert result.returncode == 0 and "handed out" in result.stderr
    assert broker.run("token", "deny", "kick/x", "--json").stdout.count('"allowed": false') == 1
    assert [one.allowed for one in broker.questions("token_allow")] == [True, False]


@pytest.mark.parametrize("arguments", [
    ["token"], ["token", "get"], ["token", "get", "kick"], ["token", "get", "kik/x"],
    ["token", "get", "kick/x", "--min-ttl", "soon"], ["token", "allow", "kick/"],
    ["token", "get", "kick/x", "--min-ttl", "86401"], ["exec", "kick/x"], ["exec"],
    ["token", "get", "kick/x", "y"], ["audit", "--limit", "0"],
    ["audit", "--limit", "501"], ["exec", "x", "true"], ["token", "show", "kick/x"]])
def test_usage_errors(broker, arguments):
    result = broker.run(*arguments)
    assert result.returncode == 2 and result.stdout == "" and broker.connections == 0


def run_exec(broker, *command, environment=None, **options):
    """`exec` with its own options before the words of the command."""
    line = broker.command("exec")
    return subprocess.run([*line, "kick/x", "--", *command], capture_output=True, text=True,
                          timeout=20, env={**os.environ, **(environment or {})}, **options)


def test_exec_becomes_the_command(broker):
    result = run_exec(broker, "sh", "-c", 'echo "$STREAMHOLD_TOKEN|$KEPT|$0|$1"; exit 9',
                      "a b", "--json", environment={"KEPT": "1", "STREAMHOLD_TOKEN": "old"})
    assert (result.returncode, result.stdout, result.stderr) == \
        (9, f"{TOKEN}|1|a b|--json\n", "")
    assert broker.questions("token_get")[0].command is True


def test_exec_leaves_no_process_and_no_open_descriptor(broker):
    line = [*broker.command("exec"), "kick/x", "--", "sh", "-c", "echo $$; read x"]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert int(process.stdout.readline()) == process.pid
    # Looked at from outside: a shell that starts a program may hold a pipe of its own.
    assert sorted(os.listdir(f"/proc/{process.pid}/fd")) == ["0", "1", "2"]
    process.communicate("\n")
    assert process.returncode == 0


def test_exec_gives_back_the_usual_signals(broker):
    result = run_exec(broker, "sh", "-c", "grep SigIgn /proc/$$/status",
                      restore_signals=True)
    assert int(result.stdout.split()[1], 16) & (1 << 12) == 0      # SIGPIPE


@pytest.mark.parametrize("command,status", [
    ("no-such-program-anywhere", 127), ("/etc/passwd", 126)])
def test_exec_of_what_cannot_be_run(broker, command, status):
    result = run_exec(broker, command)
    assert result.returncode == status and command in result.stderr
    assert "CANARY" not in result.stdout + result.stderr


# -- with the real broker -----------------------------------------------------------------

def started(streamhold, fakes, folder):
    daemon = streamhold({**fakes.config(folder), "logging": {"level": "debug"}})
    fakes.register(daemon)
    put_credentials(daemon, "kick")
    assert login(daemon, "kick").status == 200
    return daemon


def test_off_until_allowed_and_recorded(streamhold, fakes, folder):
    daemon = started(streamhold, fakes, folder)
    refused = daemon.cli("token", "get", NAME)
    assert refused.returncode == 1 and refused.stdout == ""
    assert f"  -> streamhold token allow {NAME}\n" in refused.stderr
    assert daemon.cli("token", "allow", NAME).returncode == 0
    given = daemon.cli("token", "get", NAME.upper().replace("KICK", "kick"))
    assert given.returncode == 0 and given.stderr == ""
    token = given.stdout.strip()
    bearer = fakes["kick"].asked("users")[-1]["headers"]
    assert token in str(bearer), "the token is the one that the platform gave"
    ran = daemon.cli("exec", NAME, "--", "printenv", "STREAMHOLD_TOKEN")
    assert ran.stdout == given.stdout
    assert daemon.cli("token", "get", NAME, "--min-ttl", "86400").returncode == 4
    assert daemon.cli("token", "get", "kick/nobody").returncode == 5
    daemon.cli("token", "deny", NAME)
    assert daemon.cli("token", "get", NAME).returncode == 1
    rows = json.loads(daemon.cli("audit", "--json").stdout)["audit"]
    assert [(row["what"], row["outcome"]) for row in rows] == [
        ("token get", "handout_off"), ("token allow", "done"), ("token get", "done"),
        ("exec", "done"), ("token get", "login_needed"), ("token deny", "done"),
        ("token get", "handout_off")]
    assert all(row["uid"] == os.getuid() and row["pid"] > 1 and row["platform"] == "kick"
               and row["username"] == USER for row in rows)
    assert [row["number"] for row in rows] == sorted(row["number"] for row in rows)
    two = daemon.cli("audit", "--limit", "2").stdout.splitlines()
    assert len(two) == 3 and "token deny" in two[1] and "handout_off" in two[2]
    assert token not in daemon.text_log() and token not in daemon.cli("inspect").stdout
    assert "audit: user" in daemon.text_log()


def test_the_process_id_is_that_of_the_command(streamhold, fakes, folder):
    daemon = started(streamhold, fakes, folder)
    daemon.cli("token", "allow", NAME)
    process = subprocess.Popen(
        [daemon.program("streamhold"), "--config", str(daemon.config_file), "exec", NAME, "--",
         "true"])
    assert process.wait(20) == 0
    rows = json.loads(daemon.cli("audit", "--json").stdout)["audit"]
    assert rows[-1]["what"] == "exec" and rows[-1]["pid"] == process.pid


def test_the_token_is_nowhere_else(streamhold, fakes, folder):
    daemon = started(streamhold, fakes, folder)
    daemon.cli("token", "allow", NAME)
    process = subprocess.Popen(
        [daemon.program("streamhold"), "--config", str(daemon.config_file), "exec", NAME, "--",
         "sh", "-c", 'echo "$STREAMHOLD_TOKEN"; read x'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    token = process.stdout.readline().strip().encode()
    assert len(token) > 10
    holders = set()
    for entry in os.listdir("/proc"):
        for part in ("cmdline", "environ"):
            try:
                with open(f"/proc/{entry}/{part}", "rb") as file:
                    if token in file.read():
                        holders.add((entry, part))
            except (OSError, ValueError):
                continue
    process.stdin.close()
    process.wait(10)
    assert holders == {(str(process.pid), "environ")}
    for path in folder.rglob("*"):
        if path.is_file():
            assert token not in path.read_bytes(), path


def test_the_api_has_no_way_to_it(streamhold, fakes, folder):
    daemon = started(streamhold, fakes, folder)
    daemon.cli("token", "allow", NAME)
    token = daemon.cli("token", "get", NAME).stdout.strip()
    for path in (f"/oauth/token/{NAME}", "/audit", f"/oauth/status/{NAME}", "/events", "/status"):
        assert token not in daemon.get(path).text


def test_permission_outlives_a_restart_and_not_the_account(streamhold, fakes, folder):
    daemon = started(streamhold, fakes, folder)
    daemon.cli("token", "allow", NAME)
    daemon.stop()
    daemon.start()
    assert daemon.cli("token", "get", NAME).returncode == 0
    assert daemon.cli("logout", NAME, "--yes").returncode == 0
    assert daemon.cli("token", "get", NAME).returncode == 5
    fakes.register(daemon)
    assert login(daemon, "kick").status == 200
    assert daemon.cli("token", "get", NAME).returncode == 1
