"""Fake Kick's subscriptions, chat and deliveries, with the traps of Kick 4, 5 and 8."""
import json

import pytest

from .client import fetch
from .flow import REDIRECT, SECRET, check
from .receiver import Receiver

JSON = {"Content-Type": "application/json"}


class Api:
    """The API host with one token."""

    def __init__(self, flow, **issue):
        self.base = flow.fake.url("api") + "/public/v1"
        issue = issue or {"scopes": ["events:subscribe", "chat:write", "user:read"]}
        token = flow.fake.issue("cid", **issue)["access_token"]
        self.headers = {"Authorization": "Bearer " + token, **JSON}

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        return fetch(method, self.base + path, data, self.headers)

    def subscribe(self, *names, **more):
        return self.call("POST", "/events/subscriptions", {
            "events": [{"name": name, "version": 1} for name in names],
            "method": "webhook", **more})

    def listed(self, query=""):
        return self.call("GET", "/events/subscriptions" + query).json()["data"]


@pytest.fixture
def api(kick):
    return Api(kick)


@pytest.fixture
def app(kick):
    return Api(kick, app=True)


def test_create_list_delete(api):
    made = api.subscribe("channel.followed", "kicks.gifted", broadcaster_user_id=8).json()
    ids = [one["subscription_id"] for one in made["data"]]
    assert all(one["error"] == "" and len(one["subscription_id"]) == 26
               for one in made["data"])
    listed = api.listed()
    assert [one["id"] for one in listed] == ids
    assert {one["broadcaster_user_id"] for one in listed} == {7}     # owner, not 8 (#194)
    assert set(listed[0]) == {"app_id", "broadcaster_user_id", "created_at", "event", "id",
                              "method", "updated_at", "version"}
    answer = api.call("DELETE", "/events/subscriptions?" + "&".join("id=" + i for i in ids))
    assert (answer.status, answer.body) == (204, b"") and api.listed() == []


def test_doubled_subscriptions(api):
    api.subscribe("channel.followed")
    api.subscribe("channel.followed")
    assert len(api.listed()) == 2


def test_app_token_needs_broadcaster(app, api):
    check(app.subscribe("channel.followed"),
          (400, '"broadcaster_user_id is required for app tokens"', '"Bad request"'))
    assert app.subscribe("channel.followed", broadcaster_user_id=8).status == 200
    api.subscribe("channel.followed")
    assert len(app.listed()) == 2 and len(app.listed("?broadcaster_user_id=8")) == 1
    assert len(api.listed()) == 1


def test_errors_under_200(kick, api):
    kick.fake.set(subscription_errors={"kicks.gifted": "no"})
    data = api.subscribe("kicks.gifted", "channel.followed", "stream.online").json()["data"]
    assert [(bool(one["error"]), bool(one["subscription_id"])) for one in data] == [
        (True, False), (False, True), (True, False)]
    kick.fake.set(webhooks_enabled=False)
    assert api.listed() == []
    assert api.subscribe("channel.followed").json()["data"][0]["error"]


def test_limit_is_400(kick, api):
    kick.fake.set(subscription_limit=2)
    assert api.subscribe("channel.followed").status == 200
    check(api.subscribe("kicks.gifted", "moderation.banned"),
          (400, '"event subscription limit reached"'))


def test_fresh_ids_are_omitted(kick, api):
    kick.fake.set(omit_fresh_s=5)
    api.subscribe("channel.followed")
    assert api.listed() == []
    kick.fake.set(now_offset_s=6)
    assert len(api.listed()) == 1


def test_refusals(kick, api):
    poor = Api(kick, scopes=["user:read"])
    check(poor.call("GET", "/events/subscriptions"), (403, '"Forbidden"'))
    kick.fake.kill(use="access")
    check(api.call("GET", "/events/subscriptions"), (401, '"Unauthorized"'))
    assert api.subscribe("channel.followed").status == 401


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


def test_deliver(kick, api):
    with Receiver() as hook:
        api.subscribe("channel.followed")
        api.subscribe("channel.followed")
        assert len(kick.fake.deliver("channel.followed", hook.url)) == 2
        one, two = hook.requests
        assert one.body == two.body
        assert one.header("kick-event-message-id") != two.header("kick-event-message-id")
        kick.fake.set(drop_after_failures=3)
        hook.status = 500
        kick.fake.deliver("channel.followed", hook.url, count=2)
        assert api.listed() == []
        assert len(kick.fake.deliver("channel.followed", hook.url, ghost=True)) == 2
