"""`streamhold login --device`: a code that is typed on another device (RFC 8628)."""
import json
import os
import signal
import subprocess
import time
from urllib.parse import parse_qs

import pytest

from tests.lib.platforms import CLIENT_ID, CLIENT_SECRET, OTHER, USER, put_credentials

BOTH = pytest.mark.parametrize("platform", ["twitch", "youtube"])


@pytest.fixture
def daemon(streamhold, fakes, folder):
    daemon = streamhold({**fakes.config(folder), "logging": {"level": "debug"}})
    fakes.register(daemon)
    for name in ("twitch", "youtube", "kick"):
        put_credentials(daemon, name)
        if name != "kick":
            fakes[name].set(device_interval_s=1)
    fakes["youtube"].add_app(CLIENT_ID, CLIENT_SECRET, [], kind="tv")
    return daemon


class Login:
    """A login that waits for its code."""

    def __init__(self, daemon, platform, *more):
        self.process = subprocess.Popen(
            [daemon.program("streamhold"), "--config", str(daemon.config_file), "login",
             platform, USER, "--device", *more],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        self.code = self.process.stdout.readline().strip()

    def end(self, timeout=40):
        self.rest, self.talk = self.process.communicate(timeout=timeout)
        assert "Sanitizer" not in self.talk, self.talk
        return self.process.returncode


def polls(fake):
    return [parse_qs(entry["body"]) for entry in fake.asked("token")]


def state_of(daemon, platform, name=USER):
    return daemon.get(f"/oauth/status/{platform}/{name}")


def wait_polls(fake, count, timeout=15):
    end = time.monotonic() + timeout
    while len(fake.asked("token")) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


@BOTH
def test_a_login_by_a_code(daemon, fakes, platform):
    login = Login(daemon, platform)
    assert login.address.startswith("http://127.0.0.1") and len(login.code) >= 8
    wait_polls(fakes[platform], 1)
    assert fakes[platform].device_decide(login.code) == login.code
    assert login.end() == 0, login.talk
    assert f"Logged in to {platform} as {USER} (verified)" in login.talk
    answer = state_of(daemon, platform).json()
    assert answer["status"] == "valid"
    form = polls(fakes[platform])[-1]
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:device_code"]
    assert form["client_id"] == [CLIENT_ID]
    if platform == "twitch":
        assert "client_secret" not in form and "scopes" in form and "scope" not in form
    else:
        assert form["client_secret"] == [CLIENT_SECRET] and "scopes" not in form
        assert "not granted: https://www.googleapis.com/auth/youtube.upload" in login.talk
    secret = form["device_code"][0]
    assert secret not in daemon.text_log() + login.talk + login.rest
    assert secret.encode() not in daemon.database.read_bytes()


@BOTH
def test_saying_no_is_status_4(daemon, fakes, platform):
    login = Login(daemon, platform)
    fakes[platform].device_decide(login.code, allow=False)
    assert login.end() == 4 and "denied" in login.talk
    assert state_of(daemon, platform).status == 404


@BOTH
def test_a_code_that_nobody_types_is_status_4(daemon, fakes, platform):
    fakes[platform].set(device_life_s=2)
    login = Login(daemon, platform)
    assert login.end() == 4
    assert "in time" in login.talk or "too old" in login.talk, login.talk


@BOTH
def test_another_account_is_turned_away_or_adopted(daemon, fakes, platform):
    fakes[platform].set(identity=OTHER[platform]["login"])
    login = Login(daemon, platform)
    fakes[platform].device_decide(login.code)
    assert login.end() == 4 and "--adopt" in login.talk
    assert state_of(daemon, platform).status == 404 and fakes[platform].asked("revoke")
    login = Login(daemon, platform, "--adopt")
    fakes[platform].device_decide(login.code)
    assert login.end() == 0, login.talk
    accounts = daemon.get("/oauth/accounts").text
    assert OTHER[platform]["login"] in accounts or OTHER[platform]["id"] in accounts
    assert state_of(daemon, platform).status == 404


@pytest.mark.parametrize("platform", ["kick", "youtube"])
def test_where_there_is_none_paste_is_named(daemon, fakes, platform):
    fakes["youtube"].add_app(CLIENT_ID, CLIENT_SECRET, [], kind="web")
    result = daemon.cli("login", platform, USER, "--device")
    assert result.returncode == 1 and result.stdout == ""
    assert f"  -> streamhold login {platform} {USER} --paste\n" in result.stderr
    assert not fakes[platform].asked("token")
    if platform == "youtube":
        assert "TVs and Limited Input devices" in result.stderr


@BOTH
@pytest.mark.parametrize("trouble", [
    {"mode": "html502"}, {"mode": "drop_before"}, {"mode": "reset"},
    {"mode": "answer", "status": 503, "body": {}}, {"mode": "truncate"}])
def test_trouble_in_between_is_got_over(daemon, fakes, platform, trouble):
    login = Login(daemon, platform)
    fakes[platform].next("token", **trouble)
    wait_polls(fakes[platform], 1)
    fakes[platform].device_decide(login.code)
    assert login.end() == 0, login.talk


@BOTH
def test_slow_down_adds_five_seconds(daemon, fakes, platform):
    body = {"error": "slow_down"} if platform == "youtube" else {"message": "slow_down"}
    fakes[platform].next("token", mode="answer", status=403, body=body)
    login = Login(daemon, platform)
    wait_polls(fakes[platform], 1)
    fakes[platform].device_decide(login.code)
    assert login.end() == 0, login.talk
    one, two = fakes[platform].asked("token")
    assert 5.5 < two["time"] - one["time"] < 15


def test_an_unknown_code_is_believed_the_fourth_time(daemon, fakes):
    unknown = {"mode": "answer", "status": 400,
               "body": {"status": 400, "message": "invalid device code"}}
    fakes["twitch"].next("token", **unknown, count=3)
    login = Login(daemon, "twitch")
    wait_polls(fakes["twitch"], 3)
    fakes["twitch"].device_decide(login.code)
    assert login.end() == 0, login.talk
    before = len(fakes["twitch"].asked("token"))
    fakes["twitch"].next("token", **unknown, count=-1)
    login = Login(daemon, "twitch")
    assert login.end() == 4 and "invalid device code" in login.talk
    assert len(fakes["twitch"].asked("token")) == before + 4


@pytest.mark.parametrize("trouble,word", [
    ({"mode": "html502"}, "502"), ({"mode": "drop_before"}, ""),
    ({"mode": "answer", "status": 200, "body": "[]"}, "JSON"),
    ({"mode": "pass", "patch": {"verification_uri": "javascript:alert(1)"}}, "address"),
    ({"mode": "pass", "patch": {"verification_uri": "http://evil.example/"}}, "address"),
    ({"mode": "pass", "patch": {"user_code": "A\u001b[2JB"}}, "code"),
    ({"mode": "pass", "remove": ["device_code"]}, "device code")])
def test_a_start_that_goes_wrong_is_status_6(daemon, fakes, trouble, word):
    fakes["twitch"].next("device", **trouble)
    result = daemon.cli("login", "twitch", USER, "--device")
    assert result.returncode == 6 and word in result.stderr and result.stdout == ""
    assert "\x1b" not in result.stderr and "javascript" not in result.stderr


def test_tokens_that_cannot_be_used_are_status_6(daemon, fakes):
    fakes["twitch"].next("token", mode="answer", status=200, body={"access_token": ""})
    login = Login(daemon, "twitch")
    assert login.end() == 6 and "did not hand out tokens" in login.talk


def test_credentials_that_are_wrong_are_status_6(daemon, fakes):
    put_credentials(daemon, "youtube", client_secret="another-secret-0123456789")
    login = Login(daemon, "youtube")
    assert login.end() == 6 and "client secret" in login.talk


def test_without_credentials_it_is_status_5(daemon):
    assert daemon.delete("/oauth/credentials/twitch").status == 200
    result = daemon.cli("login", "twitch", USER, "--device")
    assert result.returncode == 5 and "streamhold app add twitch" in result.stderr


def test_ctrl_c_ends_the_polls(daemon, fakes):
    login = Login(daemon, "twitch")
    wait_polls(fakes["twitch"], 1)
    login.process.send_signal(signal.SIGINT)
    assert login.end() == 130
    time.sleep(0.3)
    count = len(fakes["twitch"].asked("token"))
    time.sleep(2.5)
    assert len(fakes["twitch"].asked("token")) == count


def test_a_time_that_is_over_is_status_4(daemon, fakes):
    login = Login(daemon, "twitch", "--timeout", "2s")
    assert login.end() == 4 and "nobody typed the code" in login.talk


def test_a_broker_that_goes_is_status_3(daemon):
    login = Login(daemon, "twitch")
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    assert login.end() == 3


def test_json_and_what_does_not_go_together(daemon, fakes):
    process = subprocess.Popen(
        [daemon.program("streamhold"), "--config", str(daemon.config_file), "login", "twitch",
         USER, "--device", "--json", "--qr"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True)
    first = json.loads(process.stdout.readline())
    assert first["step"] == "started" and first["user_code"] in first["auth_url"]
    fakes["twitch"].device_decide(first["user_code"])
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0 and json.loads(out)["step"] == "finished"
    assert daemon.cli("login", "twitch", USER, "--device", "--paste").returncode == 2
