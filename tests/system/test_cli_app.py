"""`streamhold app add|list|remove`: secrets are asked for, never shown, never in argv."""
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from tests.system.cli_broker import KICK_CREDENTIALS, NOW, AdminBroker, failed

SECRET = "sec-ret-0123456789abcdef"
STORED = [("credentials_stored", {"platform": "kick", "created_at": NOW, "updated_at": NOW})]
ADD = ["app", "add", "kick", "--client-id", "my-client", "--secret-stdin"]


@pytest.fixture
def broker(folder, build):
    broker = AdminBroker(folder, build)
    broker.answers["credentials_put"] = STORED
    yield broker
    broker.close()


class Terminal:
    """The command with a terminal of its own."""

    def __init__(self, broker, *arguments):
        self.controller, terminal = pty.openpty()
        self.process = subprocess.Popen(
            broker.command(*arguments), stdin=terminal, stdout=terminal, stderr=terminal,
            start_new_session=True, env={**os.environ, "TERM": "dumb"},
            preexec_fn=lambda: __import__("fcntl").ioctl(
                0, __import__("termios").TIOCSCTTY, 0))
        os.close(terminal)
        self.seen = ""

    def read_until(self, text, seconds=10):
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.controller], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.controller, 65536).decode()
                except OSError:
                    raise AssertionError(self.seen) from None

    def type(self, text):
        os.write(self.controller, text.encode())

    def echo(self):
        import termios
        return bool(termios.tcgetattr(self.controller)[3] & termios.ECHO)

    def wait(self, seconds=20):
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self.controller], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.controller, 65536).decode()
                except OSError:
                    pass
        status = self.process.wait(5)
        while select.select([self.controller], [], [], 0.05)[0]:
            try:
                self.seen += os.read(self.controller, 65536).decode()
            except OSError:
                break
        return status


def test_the_secret_comes_from_standard_input(broker):
    result = broker.run(*ADD, stdin=SECRET + "\n")
    assert result.returncode == 0
    put = broker.questions("credentials_put")[0]
    assert (put.platform, put.client_id, put.scopes) == ("kick", "my-client", None)
    assert put.client_secret.decode() == SECRET
    assert "http://localhost:34567/oauth/callback/kick\n" in result.stdout
    assert "https://kick.com/settings/developer" in result.stdout
    assert "streamhold login kick" in result.stdout
    assert SECRET not in result.stdout + result.stderr


@pytest.mark.parametrize("platform,console", [
    ("twitch", "https://dev.twitch.tv/console/apps"),
    ("youtube", "https://console.cloud.google.com/")])
def test_every_platform_has_its_console(broker, platform, console):
    broker.answers["credentials_list"] = [
        ("credentials", {**KICK_CREDENTIALS, "platform": platform}), ("list_end", {})]
    arguments = [word if word != "kick" else platform for word in ADD]
    assert console in broker.run(*arguments, stdin=SECRET).stdout


def test_the_answer_as_json(broker):
    document = json.loads(broker.run(*ADD, "--json", stdin=SECRET).stdout)
    assert document == {
        "format_version": 1, "platform": "kick", "client_id": "my-client",
        "redirect_uri": "http://localhost:34567/oauth/callback/kick",
        "scopes": ["user:read", "channel:read"],
        "created_at": "2026-01-18T10:00:00.000Z", "updated_at": "2026-01-18T10:00:01.000Z"}


@pytest.mark.parametrize("typed", ["a:b c:d", "a:b,c:d"])
def test_scopes_by_blanks_or_commas(broker, typed):
    broker.run(*ADD, "--scopes", typed, stdin=SECRET)
    assert broker.questions("credentials_put")[0].scopes == "a:b c:d"


@pytest.mark.parametrize("typed,sent", [
    (SECRET, SECRET), (SECRET + "\n", SECRET), (SECRET + "\r\n", SECRET),
    ("x" * 2048 + "\n", "x" * 2048), (" a b ", " a b ")])
def test_one_line_end_is_dropped_and_nothing_else(broker, typed, sent):
    assert broker.run(*ADD, stdin=typed).returncode == 0
    assert broker.questions("credentials_put")[0].client_secret.decode() == sent


@pytest.mark.parametrize("typed,word", [
    ("", "nothing"), ("\n", "nothing"), ("x" * 2049, "longer"), ("x" * 100000, "longer"),
    ("one\ntwo\n", "more than one line")])
def test_no_secret_and_too_much_of_it_are_refused(broker, typed, word):
    result = broker.run(*ADD, stdin=typed)
    assert result.returncode == 2 and word in result.stderr
    assert not broker.questions("credentials_put")


@pytest.mark.parametrize("arguments", [
    ["--client-secret", "hush-hush"], ["--client-secret=hush-hush"], ["--secret=hush-hush"]])
def test_a_secret_in_argv_is_refused_with_the_reason(broker, arguments):
    result = broker.run("app", "add", "kick", "--client-id", "x", *arguments)
    assert result.returncode == 2
    assert "command lines" in result.stderr and "--secret-stdin" in result.stderr
    assert "hush-hush" not in result.stdout + result.stderr
    assert broker.connections == 0


def test_without_a_terminal_it_says_how(broker):
    result = broker.run("app", "add", "kick")
    assert result.returncode == 2 and "--secret-stdin" in result.stderr
    result = broker.run("app", "add", "kick", "--secret-stdin", stdin=SECRET)
    assert result.returncode == 2 and "--client-id" in result.stderr


def test_an_unknown_platform_is_refused_before_anything_is_asked(broker):
    result = broker.run("app", "add", "twich", "--secret-stdin", "--client-id", "x")
    assert result.returncode == 2 and "did you mean 'twitch'" in result.stderr
    assert broker.connections == 0


def test_argv_and_environment_never_hold_the_secret(broker):
    broker.answers["credentials_put"] = None    # no answer yet
    process = subprocess.Popen(broker.command(*ADD), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(SECRET.encode())
    process.stdin.close()
    end = time.monotonic() + 10
    while not broker.questions("credentials_put"):
        assert time.monotonic() < end
        time.sleep(0.01)
    for name in ("cmdline", "environ"):
        assert SECRET.encode() not in pathlib.Path(f"/proc/{process.pid}/{name}").read_bytes()
    process.kill()
    process.wait()


def test_a_failure_to_store_is_passed_on(broker):
    broker.answers["credentials_put"] = failed("keystore_unavailable", "The keystore is locked.")
    result = broker.run(*ADD, stdin=SECRET)
    assert result.returncode == 1 and "The keystore is locked." in result.stderr


# -- at a terminal --------------------------------------------------------------------


def test_id_and_secret_are_asked_for_and_the_secret_is_not_shown(broker):
    terminal = Terminal(broker, "app", "add", "kick")
    terminal.read_until("Client id: ")
    assert terminal.echo()
    terminal.type("typed-id\n")
    terminal.read_until("Client secret (not shown): ")
    assert not terminal.echo()
    terminal.type(SECRET + "\n")
    assert terminal.wait() == 0
    assert terminal.echo()
    assert SECRET not in terminal.seen and "typed-id" in terminal.seen
    put = broker.questions("credentials_put")[0]
    assert (put.client_id, put.client_secret.decode()) == ("typed-id", SECRET)


def test_ctrl_c_at_the_secret_restores_the_terminal(broker):
    terminal = Terminal(broker, "app", "add", "kick", "--client-id", "x")
    terminal.read_until("(not shown): ")
    assert not terminal.echo()
    terminal.type("\x03")
    assert terminal.wait() == 130
    assert terminal.echo()
    assert not broker.questions("credentials_put")


def test_being_ended_at_the_secret_restores_the_terminal(broker):
    terminal = Terminal(broker, "app", "add", "kick", "--client-id", "x")
    terminal.read_until("(not shown): ")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.wait() != 0
    assert terminal.echo()


def test_nobody_is_asked_for_a_secret_that_cannot_be_stored(broker):
    broker.close()
    terminal = Terminal(broker, "app", "add", "kick")
    assert terminal.wait() == 3
    assert "Client id" not in terminal.seen and "streamhold up" in terminal.seen


# -- list and remove ------------------------------------------------------------------


def test_list_shows_everything_but_the_secret(broker):
    result = broker.run("app", "list")
    assert result.returncode == 0
    assert re.search(r"^kick +my-client +http://localhost:34567/oauth/callback/kick +2026",
                     result.stdout, re.M)
    apps = json.loads(broker.run("app", "list", "--json").stdout)
    assert apps["format_version"] == 1
    assert apps["apps"][0]["client_id"] == "my-client"
    assert not [key for key in apps["apps"][0] if "secret" in key]


def test_an_empty_list_says_how_to_go_on(broker):
    broker.answers["credentials_list"] = [("list_end", {})]
    result = broker.run("app", "list")
    assert (result.returncode, result.stdout) == (0, "") and "app add" in result.stderr


def test_remove_needs_a_yes(broker):
    broker.answers["credentials_delete"] = [("credentials_deleted", {"platform": "kick"})]
    result = broker.run("app", "remove", "kick")
    assert result.returncode == 2 and "--yes" in result.stderr
    assert not broker.questions("credentials_delete")
    assert broker.run("app", "remove", "kick", "--yes").returncode == 0
    assert broker.questions("credentials_delete")[0].platform == "kick"
    assert json.loads(broker.run("app", "remove", "kick", "-y", "--json").stdout)["removed"]


@pytest.mark.parametrize("typed,removed", [("y\n", True), ("YES\n", True), ("n\n", False),
                                           ("\n", False), ("yikes\n", False)])
def test_remove_asks_at_a_terminal(broker, typed, removed):
    broker.answers["credentials_delete"] = [("credentials_deleted", {"platform": "kick"})]
    terminal = Terminal(broker, "app", "remove", "kick")
    terminal.read_until("[y/N] ")
    terminal.type(typed)
    assert terminal.wait() == (0 if removed else 1)
    assert bool(broker.questions("credentials_delete")) == removed


def test_removing_what_is_not_there_is_status_5(broker):
    broker.answers["credentials_delete"] = failed("no_credentials", "There is none.")
    result = broker.run("app", "remove", "kick", "--yes")
    assert result.returncode == 5 and "streamhold app add kick" in result.stderr
