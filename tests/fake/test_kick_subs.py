"""Fake Kick's event subscriptions and deliveries, with the traps of Kick 4, 7 and 8."""
import datetime
import json
import time

import pytest

from .client import fetch
from .flow import Api, check
from .receiver import Receiver

FOLLOW, CHAT, KICKS = "channel.followed", "chat.message.sent", "kicks.gifted"
SUBSCRIPTIONS = "/events/subscriptions"


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


EVENTS = [{"name": FOLLOW, "version": 1}]
GOOD = {"events": EVENTS, "method": "webhook"}


@pytest.mark.parametrize("body", [
    [], "x", {}, {"events": EVENTS}, {"method": "webhook"}, {**GOOD, "method": "websocket"},
    {**GOOD, "events": []}, {**GOOD, "events": {}}, {**GOOD, "events": [FOLLOW]},
    {**GOOD, "events": [{"name": FOLLOW}]}, {**GOOD, "events": [{"name": 1, "version": 1}]},
    {**GOOD, "events": [{"name": FOLLOW, "version": "1"}]},
    {**GOOD, "events": [{"name": FOLLOW, "version": True}]},
    {**GOOD, "events": [{"event": FOLLOW, "version": 1}]},      # the list's word (4.1)
    {"event": FOLLOW, "version": 1, "method": "webhook"},
    {**GOOD, "broadcaster_user_id": "8"}], ids=json.dumps)
def test_a_creation_of_another_form_creates_nothing(api, app, body):
    for by in (api, app):
        check(by.call("POST", SUBSCRIPTIONS, body), (400, '"invalid body"', '"Bad request"'))
    assert app.listed() == []


def test_a_creation_is_json_by_its_media_type_too(api):
    headers = {**api.headers, "Content-Type": "application/x-www-form-urlencoded"}
    answer = fetch("POST", api.base + SUBSCRIPTIONS, json.dumps(GOOD), headers)
    assert answer.status == 400 and api.listed() == []
    assert api.call("POST", SUBSCRIPTIONS, {**GOOD, "callback": "http://x"}).status == 200


def test_lists_and_removals_have_no_other_parameters(api):
    made, = api.subscribe(FOLLOW).json()["data"]
    for query in ("?after=1", "?first=50", "?broadcaster_user_id=bob",
                  "?broadcaster_user_id=7&broadcaster_user_id=8"):
        assert api.call("GET", SUBSCRIPTIONS + query).status == 400
    by_id = f"{SUBSCRIPTIONS}?id={made['subscription_id']}"
    assert api.call("DELETE", SUBSCRIPTIONS).status == 400
    assert api.call("DELETE", SUBSCRIPTIONS, {"id": [made["subscription_id"]]}).status == 400
    assert api.call("DELETE", by_id, {}).status == 400
    assert len(api.listed()) == 1
    assert api.call("DELETE", by_id).status == 204
    assert api.call("DELETE", by_id).status == 204      # what is gone is gone
    assert api.listed() == []


def test_a_user_token_removes_what_is_its_channels_only(api, app):
    made, = app.subscribe(FOLLOW, broadcaster_user_id=8).json()["data"]
    by_id = f"{SUBSCRIPTIONS}?id={made['subscription_id']}"
    assert api.call("DELETE", by_id).status == 204 and len(app.listed()) == 1
    assert app.call("DELETE", by_id).status == 204 and app.listed() == []


def test_the_limit_is_one_for_each_event_and_application(kick, app):
    kick.fake.set(subscription_limits={CHAT: 1})
    assert app.subscribe(CHAT, FOLLOW, broadcaster_user_id=7).status == 200
    check(app.subscribe(CHAT, KICKS, broadcaster_user_id=8),
          (400, '"event subscription limit reached"'))
    assert app.subscribe(FOLLOW, KICKS, broadcaster_user_id=8).status == 200
    assert sorted(one["event"] for one in app.listed()) == sorted(
        [CHAT, FOLLOW, FOLLOW, KICKS])


def test_the_usual_limits_are_kicks_own(kick, app):
    for _ in range(1000):
        kick.fake.subscribe(CHAT, 8, "cid")
        kick.fake.subscribe(FOLLOW, 8, "cid")
    assert app.subscribe(CHAT, broadcaster_user_id=7).status == 400
    assert app.subscribe(FOLLOW, broadcaster_user_id=7).status == 200


def test_sparse_answers_and_201(kick, api):
    kick.fake.set(create_form="sparse", create_status=201, subscription_errors={KICKS: "no"})
    answer = api.subscribe(FOLLOW, KICKS)
    good, bad = answer.json()["data"]
    assert answer.status == 201
    assert set(good) == {"name", "version", "subscription_id"}
    assert bad == {"name": KICKS, "version": 1, "error": "no"}


def test_a_repeated_creation_may_give_the_old_id(kick, api):
    kick.fake.set(repeat="same")
    first, second = (api.subscribe(FOLLOW).json()["data"][0] for _ in range(2))
    assert first == second and len(api.listed()) == 1


def test_a_phantom_is_confirmed_and_never_exists(kick, api):
    kick.fake.set(phantoms=[CHAT])
    chat, follow = api.subscribe(CHAT, FOLLOW).json()["data"]
    assert len(chat["subscription_id"]) == 26 and chat["error"] == ""
    assert [one["id"] for one in api.listed()] == [follow["subscription_id"]]
    assert kick.fake.deliver(CHAT, "http://127.0.0.1:1/") == []


def test_a_list_that_flaps(kick, api):
    kick.fake.set(omit_fresh_s=60, omit_every=3)
    api.subscribe(FOLLOW)
    assert [len(api.listed()) for _ in range(6)] == [1, 1, 0, 1, 1, 0]
    kick.fake.set(now_offset_s=61)
    assert [len(api.listed()) for _ in range(3)] == [1, 1, 1]


def test_a_ghost_is_listed_and_delivers_nothing(kick, api):
    api.subscribe(FOLLOW, KICKS)
    assert kick.fake.silence_subscriptions(event=FOLLOW) == 1
    assert {one["event"] for one in api.listed()} == {FOLLOW, KICKS}
    assert "silent" not in api.listed()[0]
    with Receiver() as hook:
        assert kick.fake.deliver(FOLLOW, hook.url) == []
        assert len(kick.fake.deliver(KICKS, hook.url)) == 1
        kick.fake.silence_subscriptions(event=FOLLOW, silent=False)
        assert len(kick.fake.deliver(FOLLOW, hook.url)) == 1
        assert len(hook.requests) == 2


def test_a_success_between_failures_keeps_a_subscription(kick, api):
    kick.fake.set(drop_after_failures=2)
    api.subscribe(FOLLOW, KICKS)
    other = kick.fake.subscribe(FOLLOW, 7, "other")
    with Receiver() as hook:
        for status in (500, 200, 500):
            hook.status = status
            kick.fake.deliver(FOLLOW, hook.url)
        assert len(api.listed()) == 2
    assert kick.fake.delivery_failed(FOLLOW, "cid") == 1
    assert [one["event"] for one in api.listed()] == [KICKS]
    assert other in [one["id"] for one in kick.fake.subscriptions_now()["live"]]


def test_deliveries_may_be_late_and_overtake_each_other(kick, api):
    with Receiver() as hook:
        api.subscribe("livestream.status.updated")
        kick.fake.deliver("livestream.status.updated", hook.url, age_s=3600, order="reversed",
                          bodies=[{"is_live": True}, {"is_live": False}])
        kick.fake.deliver("livestream.status.updated", hook.url)
        found = [json.loads(one.body) for one in hook.requests]
        ages = [round(time.time() - datetime.datetime.fromisoformat(
            one.header("kick-event-message-timestamp").replace("Z", "+00:00")).timestamp(), -1)
            for one in hook.requests]
    assert [one["is_live"] for one in found[:2]] == [False, True] and ages == [3600, 3600, 0]
    sent = [one.header("kick-event-message-timestamp") for one in hook.requests[:2]]
    assert sent[0] > sent[1]        # the second is the older
    assert found[0]["started_at"] < found[2]["started_at"]
    with pytest.raises(AssertionError):
        kick.fake.deliver("livestream.status.updated", hook.url, order="backwards")


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
