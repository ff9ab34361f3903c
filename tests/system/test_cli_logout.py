"""`streamhold logout`: asks, revokes, erases, and says what the platform said."""
import os
import pty
import subprocess

import pytest

from tests.lib.platforms import CLIENT_ID, USER, login, put_credentials
from tests.system.cli_broker import ACCOUNT, AdminBroker, failed


@pytest.fixture
def broker(folder, build):
    broker = AdminBroker(folder, build)
    broker.answers["account_get"] = [("account", ACCOUNT)]
    broker.answers["account_delete"] = deleted("ok")
    yield broker
    broker.close()


def deleted(revocation, platform="kick"):
    return [("account_deleted", {"platform": platform, "username": "Streamer123",
                                 "revocation": revocation})]


def answered(broker, answer, *arguments):
    """Runs it on a terminal and answers its question; gives (status, output, talk)."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(broker.command("logout", *arguments), stdin=terminal,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(terminal)
    os.write(controller, answer.encode())
    out, talk = process.communicate(timeout=20)
    os.close(controller)
    return process.returncode, out, talk


def test_it_asks_with_the_name_as_first_written(broker):
    status, out, talk = answered(broker, "y\n", "kick/STREAMER123")
    assert status == 0 and out == "Logged Streamer123 out of kick.\n"
    assert "tokens of Streamer123 at kick" in talk and "Google" not in talk
    assert "the tokens are revoked" in talk
    asked = broker.questions("account_delete")[0]
    assert (asked.platform, asked.username) == ("kick", "STREAMER123")


@pytest.mark.parametrize("answer", ["n\n", "\n", "no\n", "yess\n"])
def test_anything_but_yes_does_nothing(broker, answer):
    status, out, talk = answered(broker, answer, "kick/streamer123")
    assert status == 1 and out == "" and "Nothing was done." in talk
    assert not broker.questions("account_delete")


def test_what_google_does_is_in_the_question(broker):
    status, _, talk = answered(broker, "n\n", "youtube/streamer123")
    assert status == 1
    assert "Google revokes by account and project" in talk and "other channels" in talk


def test_without_a_terminal_yes_is_needed(broker):
    result = broker.run("logout", "youtube/streamer123")
    assert result.returncode == 2 and "--yes" in result.stderr
    assert "same Google Cloud project" in result.stderr
    assert not broker.questions("account_delete")
    assert broker.run("logout", "youtube/streamer123", "--yes").returncode == 0


@pytest.mark.parametrize("revocation,status,word", [
    ("ok", 0, "revoked"), ("refused", 6, "refused"), ("unreachable", 6, "could not be asked")])
def test_the_status_says_what_the_platform_said(broker, revocation, status, word):
    broker.answers["account_delete"] = deleted(revocation)
    result = broker.run("logout", "kick/x", "--yes")
    assert result.returncode == status and word in result.stderr
    assert result.stdout == "Logged Streamer123 out of kick.\n"
    result = broker.run("logout", "kick/x", "--yes", "--json")
    assert result.returncode == status and f'"revocation": "{revocation}"' in result.stdout


def test_no_such_login_is_status_5(broker):
    broker.answers["account_get"] = failed("no_token", "There is none.")
    result = broker.run("logout", "kick/nobody", "--yes")
    assert result.returncode == 5 and not broker.questions("account_delete")


@pytest.mark.parametrize("word", ["kick", "kik/x", "kick/", "/x", "kick/a/b", "", "kick/a\x01",
                                  "k" * 100 + "/x", "kick/" + "x" * 101])
def test_usage_errors(broker, word):
    result = broker.run("logout", word, "--yes")
    assert result.returncode == 2 and "  -> " in result.stderr
    assert broker.connections == 0


def test_against_the_platforms(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    for name in ("kick", "twitch", "youtube"):
        put_credentials(daemon, name)
        assert login(daemon, name).status == 200
    for name in ("kick", "twitch", "youtube"):
        before = len(fakes[name].asked("revoke"))
        result = daemon.cli("logout", f"{name}/{USER.upper()}", "--yes")
        assert result.returncode == 0, result.stderr
        assert len(fakes[name].asked("revoke")) > before
        assert daemon.get(f"/oauth/status/{name}/{USER}").status == 404
        assert daemon.cli("logout", f"{name}/{USER}", "--yes").returncode == 5
    assert CLIENT_ID not in result.stdout


def test_a_platform_that_is_away_leaves_nothing_here(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon, names=["kick"])
    put_credentials(daemon, "kick")
    assert login(daemon, "kick").status == 200
    fakes.stop("kick")
    result = daemon.cli("logout", f"kick/{USER}", "--yes")
    assert result.returncode == 6 and "could not be asked" in result.stderr
    assert daemon.get(f"/oauth/status/kick/{USER}").status == 404
