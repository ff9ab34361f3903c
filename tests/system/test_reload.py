"""HUP on the real processes: what is in force at once, what waits for a restart, and a file
that is wrong or gone."""
import os
import signal

import pytest


@pytest.fixture
def daemon(streamhold, fakes, folder):
    return streamhold(fakes.config(folder, server={"port": 0, "allowed_hosts": ["one.example"]}))


def reload(daemon, count=1, word="reloaded, "):
    os.kill(daemon.process.pid, signal.SIGHUP)
    daemon.wait_log(word, count=count)


def status_for(daemon, host):
    return daemon.get("/healthz", headers={"Host": host}).status


def test_what_changed_is_told_and_only_that_in_force(daemon, fakes):
    fakes.register(daemon, ["kick"])
    assert daemon.post("/oauth/credentials/kick", {
        "client_id": "id", "client_secret": "secret"}).status == 200
    assert status_for(daemon, "one.example") == 200 and status_for(daemon, "two.example") == 421
    before = daemon.get("/oauth/start/kick/me").json()["auth_url"].split("?")[0]
    daemon.config["server"]["allowed_hosts"] = ["two.example"]
    daemon.config["platforms"]["kick"]["authorize_url"] = "https://elsewhere.example/authorize"
    daemon.config["webhooks"]["enabled"] = False
    daemon.write_config()
    reload(daemon)
    daemon.wait_log("'server.allowed_hosts' changed, in force now")
    daemon.wait_log("'platforms.kick.authorize_url' changed, needs a restart")
    daemon.wait_log("'webhooks.enabled' changed, needs a restart")
    assert daemon.get("/oauth/start/kick/me").json()["auth_url"].split("?")[0] == before
    assert daemon.get("/status").json()["components"]["webhooks"] == {"status": "healthy"}
    assert status_for(daemon, "one.example") == 421 and status_for(daemon, "two.example") == 200
    reload(daemon, 2)
    assert len([line for line in daemon.log if "needs a restart" in line]) == 4
    assert daemon.get("/oauth/start/kick/me").json()["auth_url"].split("?")[0] == before


@pytest.mark.parametrize("text", [None, "{", '{"server": {"prot": 1}}'])
def test_a_file_that_is_gone_or_wrong_changes_nothing(daemon, text):
    if text is None:
        daemon.config_file.unlink()
    else:
        daemon.config_file.write_text(text)
    reload(daemon, word="not reloaded: ")
    assert status_for(daemon, "one.example") == 200
    daemon.write_config()
    reload(daemon)
    assert status_for(daemon, "one.example") == 200


def test_the_format_of_the_log_changes(daemon):
    daemon.config["logging"] = {"format": "json"}
    daemon.write_config()
    reload(daemon)
    daemon.wait_log('"program":"broker","subject":"config","message":"reloaded')
