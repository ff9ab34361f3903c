"""Fake Kick's users, channels, key and chat (Kick 0 and 5); test_kick_subs.py has the rest."""
import pytest

from .client import fetch
from .flow import REDIRECT, SECRET, Api, check


def test_chat(kick, api, app):
    def say(by=api, **body):
        return by.call("POST", "/chat", {"type": "user", "broadcaster_user_id": 8,
                                         "content": "hi", **body})
    data = say(content="\U0001f600" * 500).json()["data"]
    assert data["is_sent"] and len(data["message_id"]) == 36
    assert say(content="\U0001f600" * 501).status == 400
    assert say(content="").status == 400
    assert say(type="other").status == 400
    assert say(by=app).status == 401
    assert say(by=Api(kick, scopes=["user:read"])).status == 403
    assert [one["channel"] for one in kick.fake.chat_log()] == ["8"]
    say(type="bot")
    assert kick.fake.chat_log()[-1]["channel"] == "7"
    kick.fake.add_app("cid", SECRET, [REDIRECT], bot=False)
    check(say(by=Api(kick, scopes=["chat:write"]), type="bot"), (400, '"Channel not found"'))
    kick.fake.set(chat_sent=False)
    assert say().json()["data"]["is_sent"] is False
    kick.fake.next("chat", mode="drop_after_commit")
    kick.fake.set(chat_sent=True)
    posted = len(kick.fake.chat_log())
    with pytest.raises(OSError):
        say()
    assert len(kick.fake.chat_log()) == posted + 1


def test_channels(kick):
    api = Api(kick, scopes=["channel:read"])
    assert api.call("GET", "/channels").json()["data"][0]["slug"] == "bob-x"
    assert api.call("GET", "/channels?slug=eve").json()["data"][0]["broadcaster_user_id"] == 8
    assert api.call("GET", "/channels?slug=nobody").json()["data"] == []
    assert api.call("GET", "/channels?slug=eve&broadcaster_user_id=7").status == 400
    assert api.call("GET", "/channels?slug=" + "x" * 26).status == 400


def test_public_key_modes(kick):
    url = kick.fake.url("api") + "/public/v1/public-key"

    def key():
        return fetch("GET", url).json()["data"]["public_key"]
    assert key() == kick.fake.signer.public_pem and key().endswith("END PUBLIC KEY-----")
    assert len(key()) == 450
    seen = {key()}
    for kind in ("next", "garbage", "rsa1024", "ec"):
        kick.fake.set(public_key=kind)
        seen.add(key())
    assert len(seen) == 5
