"""HUP on the real processes: what is in force at once, what waits for a restart, and a file
that is wrong or gone."""
import os
import re
import signal
import socket
import time

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


def test_the_format_of_the_fronts_log_changes_too(daemon):
    daemon.config["logging"] = {"format": "json", "level": "debug"}
    daemon.write_config()
    reload(daemon)
    daemon.wait_log('"level":"debug","program":"api","subject":"settings"')
    daemon.get("/healthz")
    daemon.wait_log('"program":"api","subject":"request","message":"')
    daemon.config["logging"] = {"format": "text", "level": "debug"}
    daemon.write_config()
    daemon.log.clear()
    os.kill(daemon.process.pid, signal.SIGHUP)
    daemon.wait_log(r"Z debug api settings: ")
    daemon.wait_log(r"Z debug webhook settings: ")


def test_the_time_to_stop_changes_in_fronts_that_run(daemon):
    daemon.config["server"]["shutdown_timeout_ms"] = 200
    daemon.write_config()
    reload(daemon)
    daemon.wait_log("'server.shutdown_timeout_ms' changed, in force now")
    daemon.get("/oauth/accounts")   # its answer comes behind the settings on the link
    with socket.create_connection(("127.0.0.1", daemon.api_port)) as client:
        client.sendall((f"POST /oauth/credentials/kick HTTP/1.1\r\n"
                        f"Host: localhost:{daemon.api_port}\r\nExpect: 100-continue\r\n"
                        f"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n"
                        ).encode())
        assert b" 100 " in client.recv(100)     # it is being read, and never finished
        started = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - started < 5
    assert "connections were not finished in time" in daemon.text_log()
    assert "killing" not in daemon.text_log()


def test_an_ordinary_stop_warns_of_nothing(daemon):
    daemon.get("/healthz")
    assert daemon.stop() == 0
    assert [line for line in daemon.log if "front has stopped" in line and " info " in line]
    assert not [line for line in daemon.log
                if re.search(r"Z (warning|error) (broker|api|webhook)", line)]


def test_a_front_that_dies_is_warned_of(daemon):
    os.kill(daemon.children()["httpd"][0], signal.SIGKILL)
    daemon.wait_log(r"warning broker front: the link to the \w+ front ended")
