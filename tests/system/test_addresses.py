"""Where things are: what `status`, `doctor`, `app list` and the log say is the same, and is
right."""
import json
import urllib.error
import urllib.parse
import urllib.request

import pytest


def status(daemon):
    return json.loads(daemon.cli("status", "--json").stdout)


def listening(daemon):
    """The addresses of the log line: {"api": ..., "webhook": ...}"""
    line = daemon.wait_log(r"listening (api=.*)").group(1)
    return dict(word.split("=", 1) for word in line.split())


def ask(url, body=None):
    """The status that a request to exactly this address gets."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        return opener.open(urllib.request.Request(
            url, body, {"Content-Type": "application/json"}), timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("in_path, end", [(False, ""), (True, "/:state")])
def test_the_redirect_address_is_shown_as_it_is_sent(streamhold, in_path, end):
    daemon = streamhold({"oauth": {"state_in_path": in_path}})
    daemon.post("/oauth/credentials/kick", {"client_id": "c", "client_secret": "s"})
    started = daemon.get("/oauth/start/kick/streamer").json()
    want = f"http://localhost:{daemon.api_port}/oauth/callback/kick"
    sent = want + ("/" + started["state"] if in_path else "")
    assert urllib.parse.quote(sent, safe="") in started["auth_url"]
    want += end
    assert status(daemon)["redirect_uris"]["kick"] == want
    assert f"register exactly {want}\n" in daemon.cli("doctor").stdout
    assert json.loads(daemon.cli("app", "list", "--json").stdout)[
        "apps"][0]["redirect_uri"] == want
    assert ["redirect_uri.kick", want] in [
        line.split() for line in daemon.cli("inspect").stdout.splitlines()]


@pytest.mark.parametrize("host, shown", [("localhost", "localhost"), ("127.0.0.2", "127.0.0.2"),
                                         ("::1", "[::1]"), ("0.0.0.0", "0.0.0.0")])
def test_an_address_that_is_shown_can_be_asked(streamhold, host, shown):
    daemon = streamhold({"server": {"host": host}, "webhooks": {"host": host}})
    said, logged = status(daemon), listening(daemon)
    assert said["api_url"] == logged["api"] == f"http://{shown}:{said['api_port']}"
    assert said["webhook_url"] == logged["webhook"] \
        == f"http://{shown}:{said['webhook_port']}/webhooks/kick"
    assert ask(said["api_url"] + "/healthz") == 200
    assert ask(said["webhook_url"], b"{}") == 401
