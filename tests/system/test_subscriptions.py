"""Event subscriptions hold: whatever the platform does to them, the wanted set is reached with a
bounded number of calls, and nothing that Streamhold did not make is touched."""
import datetime
import json
import os
import re
import signal
import time

import pytest

from tests.fake import delivery as making
from tests.fake import events as kinds
from tests.fake.sender import send
from tests.lib.platforms import (CLIENT_ID, OTHER, USER, USERS, Platforms, login,
                                 put_credentials)

CHAT, FOLLOW, KICKS, BAN = ("chat.message.sent", "channel.followed", "kicks.gifted",
                            "moderation.banned")
ALL = [CHAT, FOLLOW, "channel.subscription.new", "channel.subscription.renewal",
       "channel.subscription.gifts", "channel.reward.redemption.updated",
       "livestream.status.updated", "livestream.metadata.updated", BAN, KICKS]
REWARD, STATUS = "channel.reward.redemption.updated", "livestream.status.updated"
CALLS = ("subscriptions_list", "subscriptions_create", "subscriptions_delete")
KICK_ID = str(USERS["kick"]["id"])


READ_BACK_S = 5     # SUBS_READ_BACK_MS


class Calls(tuple):
    """How many calls of each kind. A slow machine may take so long between two steps of a test
    that what was created is read back in between: such lists may come on top."""

    def __new__(cls, counts, since):
        self = super().__new__(cls, counts)
        self.late = int((time.time() - since) / READ_BACK_S)
        return self

    def __eq__(self, other):
        return self[1:] == other[1:] and 0 <= self[0] - other[0] <= self.late

    def __ne__(self, other):
        return not self == other

    __hash__ = None


def wants(*events, username=USER, **more):
    return {"subscriptions": {"kick": [{"username": username, "events": list(events)}], **more}}


class Subs:
    """A daemon and fake Kick, and the questions that these tests ask of both."""

    def __init__(self, streamhold, fakes, folder):
        self.start_daemon, self.fakes, self.folder = streamhold, fakes, folder
        self.kick = fakes["kick"]
        self.daemon = None

    def start(self, config=None, logged_in=True, credentials=True):
        self.daemon = self.start_daemon({**self.fakes.config(self.folder), **(config or {})})
        self.fakes.register(self.daemon, ["kick"])
        if credentials:
            put_credentials(self.daemon, "kick")
        if logged_in:
            assert login(self.daemon, "kick").status == 200
        return self

    def ready(self, *events, **more):
        """Logged in and told what is wanted, so that one comparison follows."""
        self.start({"subscriptions": more} if more else {})
        assert self.put(*events).status == 200
        return self

    def active(self, *events):
        """And the platform lists it; asked for at once, not when it is time to look."""
        self.ready(*events)
        self.wait("settling")
        one, = self.sync()["subscriptions"]
        assert one["state"] == "active", one
        return self

    def restart(self, **config):
        self.daemon.stop()
        self.daemon.config.update(config)
        self.daemon.start()

    def age(self, seconds):
        """As if the creations so far were longer ago, by a restart after it."""
        self.daemon.stop()
        for table, column in (("subscriptions", "made_at"), ("subscription_channels", "asked_at")):
            self.daemon.sql(f"UPDATE {table} SET {column} = {column} - ? WHERE {column} <> 0",
                            seconds * 1000)
        self.daemon.start()

    def live(self, user=KICK_ID):
        return [one for one in self.kick.subscriptions_now()["live"] if one["user"] == user]

    def events(self, user=KICK_ID):
        return sorted(one["event"] for one in self.live(user))

    def asked(self, after=0):
        """Calls of each kind since a point of the log."""
        log = self.kick.asked()
        since = (log[max(after - 1, 0)] if log else {"time": time.time()})["time"]
        return Calls((sum(entry["endpoint"] == call for entry in log[after:]) for call in CALLS),
                     since)

    def mark(self):
        return len(self.kick.asked())

    def channel(self, username=USER):
        answer = self.daemon.get(f"/subscriptions/kick/{username}")
        assert answer.status == 200, answer.text
        return answer.json()

    def wait(self, wanted, username=USER, timeout=15):
        """Until the channel fits: a state, or a function of it."""
        fits = wanted if callable(wanted) else lambda one: one["state"] == wanted
        end = time.monotonic() + timeout
        while not fits(one := self.channel(username)):
            assert time.monotonic() < end, one
            time.sleep(0.02)
        return one

    def sync(self, **query):
        text = "&".join(f"{name}={value}" for name, value in query.items())
        answer = self.daemon.post(f"/subscriptions/kick/sync?{text}")
        assert answer.status == 200, answer.text
        return answer.json()

    def put(self, *events, username=USER):
        return self.daemon.call("PUT", f"/subscriptions/kick/{username}",
                                {"events": list(events)})


@pytest.fixture
def subs(streamhold, fakes, folder):
    return Subs(streamhold, fakes, folder)


def compared(channel):
    """A comparison has ended since what is wanted was said."""
    return channel["state"] != "pending"


def states(channel):
    return {one["event"]: one["state"] for one in channel["subscriptions"]}


# -- reaching the wanted set ------------------------------------------------------------------


def test_a_login_subscribes_to_what_the_configuration_wants_in_one_call(subs):
    subs.start(wants(*ALL))
    subs.wait("settling")
    assert subs.events() == sorted(ALL)
    channel = subs.wait(lambda one: one["state"] == "active" and one["token"] == "user")
    assert subs.asked()[1:] == (1, 0) and subs.asked()[0] <= 3
    assert channel["source"] == "config" and channel["events"] == ALL
    assert channel["broadcaster_user_id"] == KICK_ID
    assert [one["ours"] for one in channel["subscriptions"]] == [True] * len(ALL)
    assert not channel["trouble"] and channel["next_step"] == ""


def test_what_the_api_is_told_counts_after_a_restart_and_nothing_is_created_twice(subs):
    subs.start(wants(CHAT))
    subs.wait(compared)
    answer = subs.put(FOLLOW, KICKS)
    assert answer.status == 200 and answer.json()["source"] == "api"
    assert answer.json()["events"] == [FOLLOW, KICKS]
    subs.wait(lambda one: set(states(one).values()) <= {"settling", "active"})
    assert subs.events() == sorted([FOLLOW, KICKS])
    before, mark = subs.live(), subs.mark()
    subs.restart()
    subs.wait(compared)
    assert subs.live() == before and subs.asked(mark) == (1, 0, 0)
    assert subs.channel()["source"] == "api"


def test_delete_stores_an_empty_set_that_survives_a_restart(subs):
    subs.start(wants(CHAT, FOLLOW))
    subs.wait(compared)
    answer = subs.daemon.delete(f"/subscriptions/kick/{USER}")
    assert answer.status == 200 and answer.json()["events"] == []
    subs.wait(lambda one: not subs.live())
    mark = subs.mark()
    subs.restart()
    subs.sync()
    assert subs.live() == [] and subs.asked(mark)[1] == 0
    assert subs.channel()["source"] == "api" and subs.channel()["state"] == "none"


def health(subs):
    part = subs.daemon.get("/status").json()["components"]["subscriptions"]
    whole = json.loads(subs.daemon.cli("status", "--json").stdout)["components"]
    assert whole["subscriptions"] == {"state": part["status"],
                                      "detail": part.get("detail", "")}
    return part


def test_the_health_tells_what_is_wanted_and_not_in_force(subs):
    subs.start(wants(CHAT, FOLLOW), credentials=False, logged_in=False)
    subs.wait("no_credentials")
    part = health(subs)
    assert part["status"] == "degraded" and "streamhold app add kick" in part["detail"]
    put_credentials(subs.daemon, "kick")
    assert login(subs.daemon, "kick").status == 200
    subs.wait("settling")
    subs.sync()
    assert health(subs) == {"status": "healthy"}
    subs.kick.set(webhooks_enabled=False)
    subs.sync()
    part = health(subs)
    assert part["status"] == "degraded"
    assert part["detail"].startswith(f"'{USER}' is webhooks_off: ")
    assert part["detail"].endswith(f"streamhold subs sync {USER}")
    assert subs.daemon.get("/status").json()["status"] == "degraded"
    assert subs.daemon.get("/readyz").status == 200         # Streamhold itself works
    done = subs.daemon.cli("status", "--check")
    assert done.returncode == 7 and "Enable Webhooks" in done.stdout
    subs.kick.set(webhooks_enabled=True, subscription_limit=1)
    subs.sync()
    assert "is limit_reached" in health(subs)["detail"]
    assert subs.put(CHAT, username="misspelt").status == 200
    subs.wait("unknown_channel", username="misspelt")
    detail = health(subs)["detail"]
    assert "'misspelt' is unknown_channel" in detail and "and 1 more" in detail
    subs.daemon.delete("/subscriptions/kick/misspelt")
    subs.kick.set(subscription_limit=None)
    subs.sync()
    assert health(subs) == {"status": "healthy"}


def test_a_login_that_the_app_token_stands_in_for_is_told_and_is_not_degraded_twice(subs):
    subs.active(CHAT)
    assert health(subs) == {"status": "healthy"}
    subs.kick.kill()
    subs.daemon.post(f"/oauth/refresh/kick/{USER}")
    subs.wait("login_lost", timeout=20)
    part = health(subs)
    assert part["status"] == "healthy" and f"streamhold login kick {USER}" in part["detail"]
    assert subs.daemon.cli("status", "--check").returncode == 4


def test_null_goes_back_to_what_the_configuration_says(subs):
    subs.start(wants(CHAT, FOLLOW))
    subs.wait(compared)
    assert subs.put(KICKS).json()["source"] == "api"
    subs.wait(lambda one: subs.events() == [KICKS])
    answer = subs.daemon.call("PUT", f"/subscriptions/kick/{USER}", {"events": None})
    assert answer.status == 200 and answer.json()["source"] == "config"
    assert answer.json()["events"] == [CHAT, FOLLOW]
    subs.wait(lambda one: subs.events() == sorted([CHAT, FOLLOW]))
    subs.restart()
    subs.wait(compared)
    assert subs.channel()["source"] == "config"
    # Also from nothing at all, and by the command.
    subs.daemon.delete(f"/subscriptions/kick/{USER}")
    subs.wait(lambda one: not subs.live())
    done = subs.daemon.cli("subs", "reset", USER)
    assert done.returncode == 0, done.stderr
    assert subs.events() == sorted([CHAT, FOLLOW]) and subs.channel()["source"] == "config"


def test_going_back_where_the_configuration_names_no_events(subs):
    subs.active(CHAT)
    done = subs.daemon.cli("subs", "reset", USER)
    assert done.returncode == 0 and "names no events" in done.stderr, done.stderr
    end = time.monotonic() + 20
    while subs.live() and time.monotonic() < end:
        time.sleep(0.05)
    assert subs.live() == []
    subs.restart()
    left = json.loads(subs.daemon.cli("subs", "list", "--json").stdout)["subscriptions"]
    assert [(one["source"], one["events"]) for one in left] in ([], [("none", [])])


def test_a_channel_may_be_called_sync(subs):
    """Beside POST /subscriptions/kick/sync."""
    subs.start(logged_in=False)
    path = "/subscriptions/kick/sync"
    answer = subs.daemon.call("PUT", path, {"events": [CHAT]})
    assert answer.status == 200 and answer.json()["username"] == "sync"
    assert subs.daemon.get(path).json()["events"] == [CHAT]
    assert subs.daemon.post(path + "?dry_run=true").json()["dry_run"] is True
    refused = subs.daemon.call("PATCH", path)
    assert refused.status == 405
    assert refused.headers["Allow"] == "POST, GET, HEAD, PUT, DELETE"
    listed = json.loads(subs.daemon.cli("subs", "list", "sync", "--json").stdout)
    assert [one["username"] for one in listed["subscriptions"]] == ["sync"]
    subs.daemon.cli("subs", "set", "sync", FOLLOW)
    assert subs.daemon.get(path).json()["events"] == [FOLLOW]
    subs.daemon.cli("subs", "sync", "sync")
    assert subs.daemon.delete(path).json()["events"] == []
    assert subs.daemon.call("PUT", path, {"events": None}).json()["source"] == "none"
    assert subs.daemon.get(path).status == 404


def test_older_names_are_taken_with_a_warning_and_wrong_ones_are_refused_by_name(subs):
    subs.start(logged_in=False)
    one = subs.put("channel.subscribed", CHAT).json()
    assert one["events"] == ["channel.subscription.new", "channel.subscription.renewal", CHAT]
    assert "'channel.subscribed' is an older name" in one["warning"]
    answer = subs.put("chat.message.sennt")
    assert answer.status == 400 and "did you mean 'chat.message.sent'" in answer.json()["error"]
    for body in ({"events": "x"}, {"events": [1]}, {"events": ["a b"]}, {}, {"events": [""]}):
        assert subs.daemon.call("PUT", f"/subscriptions/kick/{USER}", body).status == 400
    assert subs.daemon.get("/subscriptions/kick/nobody").status == 404
    assert subs.daemon.post("/subscriptions/kick/sync?username=nobody").status == 404
    assert subs.daemon.post("/subscriptions/kick/sync?dry_run=maybe").status == 400


# -- the traps (Kick 8) -----------------------------------------------------------------------


def test_a_login_is_not_needed_when_the_application_has_a_token(subs):
    subs.start(wants(CHAT), logged_in=False)
    channel = subs.wait("settling")
    assert channel["token"] == "app" and channel["broadcaster_user_id"] == KICK_ID
    assert subs.events() == [CHAT] and subs.asked() == (1, 1, 0)
    assert len(subs.kick.asked("channels")) == 1
    subs.sync()
    assert len(subs.kick.asked("channels")) == 1        # its id is known from then on


def test_webhooks_switched_off_is_a_state_and_two_calls_a_try(subs):
    subs.ready(CHAT, FOLLOW)
    subs.wait("settling")
    assert subs.sync()["subscriptions"][0]["state"] == "active"
    subs.kick.set(webhooks_enabled=False)               # drops every subscription too
    mark = subs.mark()
    one, = subs.sync()["subscriptions"]
    assert one["state"] == "webhooks_off" and one["trouble"]
    assert "Enable Webhooks" in one["detail"] and one["next_step"] == f"streamhold subs sync {USER}"
    assert "webhooks are not enabled" in one["detail"]
    assert subs.asked(mark) == (1, 1, 0)
    time.sleep(READ_BACK_S + 1)
    assert tuple(subs.asked(mark)) == (1, 1, 0)
    subs.kick.set(webhooks_enabled=True)
    one, = subs.sync()["subscriptions"]
    assert one["state"] == "settling" and subs.events() == sorted([CHAT, FOLLOW])


def test_one_refused_event_does_not_keep_the_others_away(subs):
    subs.kick.set(subscription_errors={KICKS: "event is in maintenance\n"})
    subs.ready(CHAT, KICKS)
    one = subs.wait("refused")
    assert states(one) == {CHAT: "settling", KICKS: "refused"}
    assert "event is in maintenance?" in one["detail"] and subs.events() == [CHAT]
    subs.wait(lambda one: states(one) == {CHAT: "active", KICKS: "refused"})
    assert subs.asked() == (2, 1, 0)                    # read back, and no second creation
    subs.kick.set(subscription_errors={})
    subs.sync()
    assert subs.events() == sorted([CHAT, KICKS]) and subs.asked() == (3, 2, 0)


def test_the_limit_is_a_state_and_events_are_tried_one_by_one_after_it(subs):
    subs.kick.set(subscription_limit=2)
    subs.ready(CHAT, FOLLOW, KICKS)
    one = subs.wait("limit_reached")
    assert subs.asked() == (1, 1, 0) and subs.events() == []
    assert "developers@kick.com" in one["detail"] and "limit reached" in one["detail"]
    subs.sync()
    assert subs.events() == sorted([CHAT, FOLLOW]) and subs.asked() == (2, 4, 0)
    assert states(subs.channel()) == {CHAT: "settling", FOLLOW: "settling",
                                      KICKS: "limit_reached"}
    subs.kick.set(subscription_limit=None)
    subs.sync()
    assert subs.asked()[1] == 5 and len(subs.events()) == 3


def test_a_double_of_ours_is_removed_and_the_oldest_stays(subs):
    subs.ready(CHAT)
    subs.wait(compared)
    first, = subs.live()
    subs.kick.subscribe(CHAT, KICK_ID, CLIENT_ID)       # the same application, not by us
    answer = subs.sync()
    assert answer["actions"] == [] and len(subs.live()) == 2
    one, = answer["subscriptions"]
    assert one["strangers"] == 1 and one["subscriptions"][0]["doubled"]
    assert "subs adopt" in one["detail"]
    assert subs.asked()[2] == 0
    answer = subs.sync(adopt="true")
    assert sorted(action["action"] for action in answer["actions"]) == ["adopt", "remove"]
    assert subs.live() == [first] and subs.asked()[2] == 1


def test_what_a_stranger_made_serves_and_is_never_touched(subs):
    """Scenario 26: reconciling deletes strangers' only when they are ours."""
    subs.start(logged_in=False)
    other = subs.kick.subscribe(CHAT, KICK_ID, CLIENT_ID)
    unwanted = subs.kick.subscribe(BAN, KICK_ID, CLIENT_ID)
    foreign = subs.kick.subscribe(CHAT, str(OTHER["kick"]["id"]), CLIENT_ID)
    subs.put(CHAT, FOLLOW)
    one = subs.wait(lambda one: states(one) == {CHAT: "active", FOLLOW: "settling"})
    assert one["strangers"] == 2
    assert [(row["id"] == other, row["ours"]) for row in one["subscriptions"]] == [
        (True, False), (False, False)]
    assert subs.events() == sorted([CHAT, BAN, FOLLOW])
    subs.daemon.delete(f"/subscriptions/kick/{USER}")
    subs.sync()
    assert {row["id"] for row in subs.live()} == {other, unwanted}
    assert {row["id"] for row in subs.live(str(OTHER["kick"]["id"]))} == {foreign}
    dry = subs.sync(adopt="true", dry_run="true")
    assert dry["dry_run"] and len(dry["actions"]) == 4
    assert {row["id"] for row in subs.live()} == {other, unwanted}
    subs.sync(adopt="true")
    assert subs.live() == []
    assert {row["id"] for row in subs.live(str(OTHER["kick"]["id"]))} == {foreign}


def test_a_fresh_subscription_that_is_not_listed_is_waited_for_and_not_doubled(subs):
    subs.kick.set(omit_fresh_s=3600)
    subs.ready(CHAT)
    subs.wait("settling")
    subs.wait(lambda one: subs.asked()[0] >= 2)         # the read-back does not see it
    subs.sync()
    assert len(subs.live()) == 1 and subs.asked()[1] == 1
    assert states(subs.channel()) == {CHAT: "settling"}
    subs.kick.set(omit_fresh_s=0)
    one, = subs.sync()["subscriptions"]
    assert one["state"] == "active" and len(subs.live()) == 1


def test_what_the_platform_drops_is_created_again(subs):
    subs.ready(CHAT, FOLLOW, reconcile_interval_s=1)
    subs.wait("active")
    subs.kick.drop_subscriptions(event=CHAT)
    end = time.monotonic() + 10
    while len(subs.live()) < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert subs.events() == sorted([CHAT, FOLLOW]) and subs.asked()[1:] == (2, 0)


@pytest.mark.parametrize("fault", [
    {"status": 500, "body": {"data": None, "message": "internal server error"}},
    {"mode": "html502"}, {"mode": "cf403"}, {"mode": "reset"}, {"mode": "half_close"},
    {"status": 200, "body": {"message": "OK"}}, {"status": 200, "body": "[]"},
    {"status": 429, "headers": {"Retry-After": "120"}}], ids=str)
def test_a_list_that_is_no_list_creates_nothing_and_is_not_asked_for_in_a_loop(subs, fault):
    subs.kick.next("subscriptions_list", count=-1, **fault)
    subs.ready(CHAT)
    one = subs.wait("unreachable")
    asked_at = next(entry["time"] for entry in subs.kick.asked()
                    if entry["endpoint"] == "subscriptions_list")
    time.sleep(0.3)
    assert subs.asked() == (1, 0, 0)
    assert one["trouble"] and one["next_step"] == f"streamhold subs sync {USER}"
    # Half of 30 s at least, or what the platform said.
    least = int(fault.get("headers", {}).get("Retry-After", 15))
    at = datetime.datetime.fromisoformat(one["next_at"].replace("Z", "+00:00")).timestamp()
    assert asked_at + least - 0.1 <= at < time.time() + max(least, 30) + 0.1, one["next_at"]


def test_no_envelope_data_is_an_empty_list(subs):
    subs.kick.next("subscriptions_list", status=200, body={"data": None, "message": "OK"})
    subs.ready(CHAT)
    subs.wait("settling")
    assert subs.asked() == (1, 1, 0)


@pytest.mark.parametrize("mode", ["drop_after_commit", "reset_after_commit", "truncate"])
def test_an_answer_that_is_lost_after_creating_makes_no_double(subs, mode):
    subs.kick.next("subscriptions_create", mode=mode)
    subs.ready(CHAT)
    subs.wait(lambda one: subs.live() and one["state"] != "pending")
    one, = subs.sync()["subscriptions"]
    assert one["state"] == "active" and one["subscriptions"][0]["ours"] and not one["strangers"]
    assert len(subs.live()) == 1 and subs.asked() == (2, 1, 0)


def test_a_broker_that_dies_between_creating_and_storing_knows_its_own(subs):
    subs.kick.next("subscriptions_create", mode="hang_after_commit")
    subs.ready(CHAT)
    end = time.monotonic() + 10
    while not subs.live():
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(subs.daemon.broker_pid(), signal.SIGKILL)
    one = subs.wait(compared, timeout=30)
    assert one["subscriptions"][0]["ours"] and not one["strangers"]
    assert len(subs.live()) == 1 and subs.asked()[1] == 1


def test_the_limit_of_one_event_keeps_the_others(subs):
    subs.kick.set(subscription_limits={CHAT: 0})
    subs.ready(CHAT, FOLLOW, KICKS)
    subs.wait("limit_reached")                          # the whole call was refused
    subs.sync()
    assert states(subs.channel()) == {CHAT: "limit_reached", FOLLOW: "settling",
                                      KICKS: "settling"}
    assert subs.events() == sorted([FOLLOW, KICKS]) and subs.asked() == (2, 4, 0)
    subs.kick.set(subscription_limits={})
    subs.sync()
    assert len(subs.events()) == 3 and subs.asked() == (3, 5, 0)


def test_an_answer_without_its_empty_members_is_understood(subs):
    subs.kick.set(create_form="sparse", create_status=201, subscription_errors={KICKS: "no"})
    subs.ready(CHAT, KICKS)
    one = subs.wait("refused")
    assert states(one) == {CHAT: "settling", KICKS: "refused"}
    assert subs.asked() == (1, 1, 0) and subs.events() == [CHAT]
    subs.kick.set(subscription_errors={})
    one, = subs.sync()["subscriptions"]
    assert states(one) == {CHAT: "active", KICKS: "settling"}
    assert one["subscriptions"][0]["ours"]
    assert subs.asked() == (2, 2, 0)


def test_a_list_that_flaps_ends_with_the_first_of_each(subs):
    """A fresh one that was listed and then is not may be gone: it is created again, once for
    each such list, and the double goes with the next list that shows both."""
    subs.kick.set(omit_fresh_s=3600, omit_every=2)
    subs.ready(CHAT, FOLLOW)
    subs.wait("settling")
    before, most = subs.live(), 0
    for _ in range(6):
        one, = subs.sync()["subscriptions"]
        assert one["state"] in ("settling", "active"), one
        most = max(most, len(subs.live()))
    assert most <= 2 * len(before)
    subs.kick.set(omit_fresh_s=0)
    one, = subs.sync()["subscriptions"]
    assert one["state"] == "active" and not one["strangers"] and subs.live() == before
    lists, creations, removals = subs.asked()
    assert creations <= 1 + lists // 2 and removals <= creations
    mark = subs.mark()
    assert subs.sync()["actions"] == [] and subs.asked(mark) == (1, 0, 0)


def test_a_list_that_once_lacks_all_leaves_no_double(subs):
    """What was listed and is listed no more is created again; when it comes back, the newer
    one goes, for both are ours."""
    subs.active(CHAT)
    first, = subs.live()
    mark = subs.mark()
    subs.kick.next("subscriptions_list", status=200, body={"data": [], "message": "OK"})
    subs.sync()
    assert len(subs.live()) == 2 and subs.asked(mark) == (1, 1, 0)
    one, = subs.sync()["subscriptions"]
    assert subs.live() == [first] and subs.asked(mark) == (2, 1, 1)
    assert one["state"] == "active" and not one["strangers"]
    assert subs.sync()["actions"] == [] and subs.asked(mark) == (3, 1, 1)


def test_a_creation_that_gives_the_old_id_is_recorded_once(subs):
    subs.kick.set(repeat="same")
    subs.active(CHAT)
    subs.kick.next("subscriptions_list", status=200, body={"data": [], "message": "OK"})
    subs.sync()
    one, = subs.sync()["subscriptions"]
    assert one["state"] == "active" and one["subscriptions"][0]["ours"]
    assert len(subs.live()) == 1 and subs.asked()[1:] == (2, 0)


def test_a_phantom_is_waited_for_and_does_not_hinder_the_others(subs):
    """Confirmed, and it never exists: created once, however often somebody asks."""
    subs.kick.set(phantoms=[CHAT])
    subs.ready(CHAT, FOLLOW)
    subs.wait("settling")
    for _ in range(5):
        subs.sync()
    assert states(subs.channel()) == {CHAT: "settling", FOLLOW: "active"}
    assert subs.events() == [FOLLOW] and subs.asked()[1:] == (1, 0)
    assert subs.asked()[0] <= 8


def test_a_phantom_is_created_again_after_a_minute(subs):
    subs.kick.set(phantoms=[CHAT])
    subs.ready(CHAT)
    subs.wait("settling")
    subs.kick.set(phantoms=[])
    subs.age(61)                                        # SUB_WAIT_FIRST_MS
    subs.sync()
    assert subs.events() == [CHAT] and subs.asked()[1:] == (2, 0)
    assert subs.sync()["subscriptions"][0]["state"] == "active"


def test_a_double_that_a_late_list_shows_is_removed(subs):
    """Both were made by us: the first was hidden for longer than it is waited for."""
    subs.kick.set(omit_fresh_s=3600)
    subs.ready(CHAT)
    subs.wait("settling")
    first, = subs.live()
    subs.age(61)
    subs.sync()
    assert len(subs.live()) == 2 and subs.asked()[1:] == (2, 0)
    subs.kick.set(omit_fresh_s=0)
    one, = subs.sync()["subscriptions"]
    assert one["state"] == "active" and subs.live() == [first]
    assert subs.asked()[1:] == (2, 1)


def test_what_is_dropped_for_failed_deliveries_is_created_again(subs):
    """The platform counts what is not answered 200 and drops the event, not the others."""
    subs.active(CHAT, FOLLOW)
    subs.kick.set(drop_after_failures=3)
    url = f"http://127.0.0.1:{subs.daemon.webhook_port}/webhooks/kick"
    refused = subs.kick.deliver(FOLLOW, url, user=USER, count=3, mode="flip_signature")
    assert [one["status"] for one in refused] == [401] * 3
    assert subs.events() == [CHAT]
    mark = subs.mark()
    subs.sync()
    assert subs.events() == sorted([CHAT, FOLLOW]) and subs.asked(mark) == (1, 1, 0)
    assert subs.kick.deliver(FOLLOW, url, user=USER)[0]["status"] == 200
    assert subs.sync()["subscriptions"][0]["state"] == "active"


def test_a_ghost_that_only_is_listed_is_not_created_again_and_again(subs):
    """Nobody can tell it from a quiet channel: it counts as active and costs a list a look.
    The silence alarm is for it (test_watch.py)."""
    subs.active(CHAT)
    subs.kick.silence_subscriptions(event=CHAT)
    mark, before = subs.mark(), subs.live()
    for _ in range(3):
        one, = subs.sync()["subscriptions"]
        assert one["state"] == "active"
    assert subs.asked(mark) == (3, 0, 0) and subs.live() == before


def test_a_removed_one_that_goes_on_delivering_is_answered_and_asks_for_nothing(subs):
    subs.active(CHAT, FOLLOW)
    subs.put(CHAT)
    subs.wait(lambda one: subs.events() == [CHAT] and states(one) == {CHAT: "active"})
    mark = subs.mark()
    url = f"http://127.0.0.1:{subs.daemon.webhook_port}/webhooks/kick"
    ghosts = subs.kick.deliver(FOLLOW, url, user=USER, count=5, ghost=True)
    assert [one["status"] for one in ghosts] == [200] * 5
    assert subs.asked(mark)[1:] == (0, 0) and subs.asked(mark)[0] <= 1
    subs.sync()
    assert subs.asked(mark)[1:] == (0, 0) and subs.events() == [CHAT]


def test_one_event_of_a_doubled_subscription_is_marked(subs):
    subs.active(FOLLOW)
    subs.kick.subscribe(FOLLOW, KICK_ID, CLIENT_ID)
    url = f"http://127.0.0.1:{subs.daemon.webhook_port}/webhooks/kick"
    assert [one["status"] for one in subs.kick.deliver(FOLLOW, url, user=USER)] == [200] * 2
    first, second = subs.daemon.events()
    assert second["duplicate_of"] == first["seq"] and first["duplicate_of"] is None
    subs.sync(adopt="true")
    assert len(subs.live()) == 1
    assert len(subs.kick.deliver(FOLLOW, url, user=USER)) == 1


def test_what_comes_late_and_in_another_order_is_taken_once_and_changes_nothing(subs):
    """Redemptions and the state of the stream, an hour old and the last one first, between fresh
    ones: nothing is refused or taken twice, and the older does not undo what is known."""
    subs.active(FOLLOW, REWARD, STATUS)
    mark = subs.mark()
    url = f"http://127.0.0.1:{subs.daemon.webhook_port}/webhooks/kick"
    reward = {"id": "01KBHE78QE4HZY1617DK5FC7YD", "redeemed_at": kinds.stamp(-1 / 23)}
    steps = [{**reward, "status": "pending"}, {**reward, "status": "accepted"}]
    ways = [{"is_live": True}, {"is_live": False}]
    fresh, late, answers = set(), set(), []

    def deliver(event, into, **options):
        sent = subs.kick.deliver(event, url, user=USER, **options)
        answers.extend(one["status"] for one in sent)
        into.update(one["id"] for one in sent)
        return sent

    def live():
        return re.search(r"^streamhold_streams_live (\d)$", subs.daemon.get("/metrics").text,
                         re.M).group(1)

    hour = {"age_s": 3600, "order": "reversed"}
    deliver(FOLLOW, fresh)
    first = deliver(REWARD, late, bodies=steps, **hour)
    deliver(STATUS, late, bodies=ways, **hour)
    assert live() == "0"            # its end came first
    deliver(STATUS, fresh, bodies=ways, order="reversed")
    assert live() == "0"
    time.sleep(1.1)                 # times of sending are whole seconds
    deliver(STATUS, fresh, bodies=[{"is_live": True, "title": "again"}])
    assert live() == "1"
    deliver(STATUS, late, bodies=[{"is_live": False, "title": "an hour ago"}], age_s=3600)
    assert live() == "1"            # what is older says nothing of now
    deliver(FOLLOW, late, bodies=[{"n": 1}], age_s=3600)
    deliver(REWARD, fresh, bodies=[{"id": "01KBHE78QE4HZY1617DK5FC7YE"}])

    assert set(answers) == {200}
    stored = subs.daemon.events()
    assert sorted(one["id"] for one in stored) == sorted(fresh | late)
    assert {one["id"] for one in stored if one["flags"] == ["late"]} == late
    assert {one["id"] for one in stored if one["flags"] == []} == fresh
    # In the order in which they came, each saying when it was sent.
    assert [(one["id"], one["data"]["status"]) for one in stored if one["kind"] == "reward"][:2] \
        == [(first[0]["id"], "accepted"), (first[1]["id"], "pending")]
    redeemed = [one for one in stored if one["id"] in {one["id"] for one in first}]
    assert redeemed[0]["occurred_at"] > redeemed[1]["occurred_at"]
    assert states(subs.channel()) == {FOLLOW: "active", REWARD: "active", STATUS: "active"}
    assert subs.sync()["actions"] == []
    assert subs.asked(mark) == (1, 0, 0)


def test_a_403_of_an_edge_server_is_not_taken_for_a_missing_scope(subs):
    subs.kick.next("subscriptions_create", mode="cf403")
    subs.ready(CHAT)
    one = subs.wait("unreachable")
    assert one["token"] == "user" and subs.asked() == (1, 1, 0) and subs.live() == []


@pytest.mark.parametrize("fault", [
    {"status": 500, "body": {"data": None, "message": "internal server error"}},
    {"mode": "empty403"}, {"mode": "html502"}, {"mode": "reset"}], ids=str)
def test_a_removal_that_fails_is_not_repeated_in_a_loop_and_is_done_later(subs, fault):
    subs.active(CHAT, FOLLOW)
    subs.kick.next("subscriptions_delete", **fault)
    mark = subs.mark()
    subs.put(CHAT)
    subs.wait("unreachable")
    time.sleep(0.3)
    assert subs.asked(mark) == (1, 0, 1) and len(subs.live()) == 2
    one, = subs.sync()["subscriptions"]
    assert subs.events() == [CHAT] and subs.asked(mark) == (2, 0, 2)
    assert one["state"] == "active"


# -- tokens -----------------------------------------------------------------------------------


def test_a_token_that_is_refused_is_renewed_once_and_the_call_repeated(subs):
    subs.ready(CHAT)
    subs.wait("settling")
    subs.kick.kill(use="access")
    mark = subs.mark()
    one, = subs.sync()["subscriptions"]
    assert one["state"] in ("active", "settling") and one["token"] == "user"
    assert subs.asked(mark)[0] == 2 and subs.asked(mark)[1:] == (0, 0)


def test_a_missing_scope_is_a_state_and_the_app_token_does_the_work(subs):
    subs.kick.set(grant_scopes=["user:read", "channel:read"])
    subs.ready(CHAT)
    one = subs.wait("missing_scope")
    assert one["token"] == "app" and subs.events() == [CHAT]
    assert "events:subscribe" in one["detail"]
    assert one["next_step"] == f"streamhold login kick {USER}"
    assert subs.asked() == (1, 1, 0)


def test_a_lost_login_is_a_state_and_the_app_token_keeps_the_subscriptions(subs):
    subs.ready(CHAT)
    subs.wait("settling")
    before = subs.live()
    subs.kick.kill()                  # access and refresh tokens both
    subs.daemon.post(f"/oauth/refresh/kick/{USER}")
    one = subs.wait("login_lost", timeout=20)
    assert one["next_step"] == f"streamhold login kick {USER}" and one["token"] == "app"
    assert subs.live() == before
    subs.kick.drop_subscriptions()
    subs.sync()
    assert subs.events() == [CHAT]
    assert login(subs.daemon, "kick").status == 200     # a new login mends the state by itself
    one = subs.wait(lambda one: one["state"] != "login_lost")
    assert one["token"] == "user" and len(subs.live()) == 1


def test_without_credentials_nothing_is_asked(subs):
    subs.start(wants(CHAT), logged_in=False, credentials=False)
    one = subs.wait("no_credentials")
    assert one["next_step"] == "streamhold app add kick" and subs.asked() == (0, 0, 0)
    put_credentials(subs.daemon, "kick")
    subs.wait("settling")
    assert subs.events() == [CHAT]


def test_a_channel_that_the_platform_does_not_know(subs):
    subs.start(wants(CHAT, username="no_such_channel"), logged_in=False)
    one = subs.wait("unknown_channel", username="no_such_channel")
    assert one["trouble"] and subs.asked() == (0, 0, 0)
    assert len(subs.kick.asked("channels")) == 1


# -- stopping ---------------------------------------------------------------------------------


def test_subscriptions_stay_when_the_broker_stops(subs):
    subs.ready(CHAT)
    subs.wait(compared)
    subs.daemon.stop()
    assert subs.events() == [CHAT] and subs.asked()[2] == 0


def test_clear_on_shutdown_removes_ours_only_and_the_next_start_subscribes_again(subs):
    subs.ready(CHAT, FOLLOW, clear_on_shutdown=True)
    subs.wait(compared)
    other = subs.kick.subscribe(BAN, KICK_ID, CLIENT_ID)
    mark = subs.mark()
    subs.daemon.stop()
    assert [row["id"] for row in subs.live()] == [other] and subs.asked(mark) == (1, 0, 1)
    subs.daemon.start()
    subs.wait(compared)
    assert subs.events() == sorted([CHAT, FOLLOW, BAN])


def test_a_platform_that_is_away_does_not_keep_the_broker_from_stopping(subs):
    subs.start({**wants(CHAT, clear_on_shutdown=True), "server": {
        "port": 0, "rate_limit_per_s": 0, "shutdown_timeout_ms": 1000}})
    subs.wait(compared)
    subs.kick.next("subscriptions_list", mode="hang", count=-1)
    began = time.monotonic()
    assert subs.daemon.stop() == 0
    assert time.monotonic() - began < 5


# -- the command ------------------------------------------------------------------------------


def test_the_command_sets_lists_syncs_and_clears(subs):
    subs.start()
    done = subs.daemon.cli("subs", "list")
    assert done.returncode == 0 and "streamhold subs set" in done.stderr
    done = subs.daemon.cli("subs", "set", USER, "channel.subscribed", CHAT)
    assert done.returncode == 0, done.stderr
    assert "older name" in done.stderr and f"{USER}: subscribed to {CHAT}" in done.stderr
    assert CHAT in done.stdout and "settling" in done.stdout
    assert len(subs.live()) == 3
    listed = json.loads(subs.daemon.cli("subs", "list", f"kick/{USER}", "--json").stdout)
    assert listed["format_version"] == 1
    channel, = listed["subscriptions"]
    assert channel["username"] == USER and len(channel["subscriptions"]) == 3
    subs.kick.drop_subscriptions(event=CHAT)
    assert subs.daemon.cli("subs", "sync", "--dry-run").returncode == 0
    done = subs.daemon.cli("subs", "clear")
    assert done.returncode == 2 and "streamhold subs clear NAME" in done.stderr
    done = subs.daemon.cli("subs", "clear", "--yes")
    assert done.returncode == 0 and subs.live() == []
    done = subs.daemon.cli("subs", "set", USER, "chat.sent")
    assert done.returncode == 2 and "is no event" in done.stderr
    done = subs.daemon.cli("subs", "list", "nobody")
    assert done.returncode == 5


def test_the_command_says_trouble_with_its_exit_status(subs):
    subs.kick.set(webhooks_enabled=False)
    subs.start()
    done = subs.daemon.cli("subs", "set", USER, CHAT)
    assert done.returncode == 6 and "Enable Webhooks" in done.stderr
    assert f"streamhold subs sync {USER}" in done.stderr


# -- whose events are ours --------------------------------------------------------------------


def test_a_channel_that_the_api_was_told_is_ours(subs):
    subs.start(logged_in=False)
    subs.put(FOLLOW, username="another_one")
    subs.wait(compared, username="another_one")
    url = f"http://127.0.0.1:{subs.daemon.webhook_port}/webhooks/kick"
    assert subs.kick.deliver(FOLLOW, url, user="Another_One")[0]["status"] == 200
    subs.kick.subscribe(FOLLOW, KICK_ID, CLIENT_ID)
    assert subs.kick.deliver(FOLLOW, url, user="Streamer123")[0]["status"] == 200
    assert len(subs.daemon.events()) == 1
    assert len(subs.daemon.events(include="foreign")) == 2


def test_a_name_that_went_to_somebody_else_is_not_ours(subs):
    """Once the id of a channel is known it decides; a body without one goes by its name."""
    subs.active(FOLLOW)
    url = f"http://127.0.0.1:{subs.daemon.webhook_port}/webhooks/kick"

    def verdict(**broadcaster):
        body = {**kinds.event(FOLLOW), "n": time.time()}
        body["broadcaster"] = {**body["broadcaster"], "username": "Streamer123",
                               "channel_slug": "streamer123", **broadcaster}
        sent = send(url, making.build(FOLLOW, Platforms.signer, body=body))
        return json.loads(sent.body)["status"]

    assert verdict(user_id=int(KICK_ID)) == "stored"
    assert verdict(user_id=int(KICK_ID), username="Renamed", channel_slug="renamed") == "stored"
    assert verdict(user_id=int(KICK_ID) + 1) == "foreign"
    assert verdict(user_id=None) == "stored"
    # The same by the subscription alone, without the login.
    assert subs.daemon.call("DELETE", f"/oauth/kick/{USER}").status == 200
    assert verdict(user_id=int(KICK_ID)) == "stored"
    assert verdict(user_id=int(KICK_ID) + 1) == "foreign"


def test_figures_tell_the_state_of_channels(subs):
    subs.kick.set(subscription_errors={KICKS: "no"})
    subs.ready(CHAT, KICKS)
    subs.wait("refused")
    text = subs.daemon.get("/metrics").text
    assert 'streamhold_subscription_channel_states{state="refused"} 1' in text
    assert 'streamhold_subscription_changes_total{what="created"} 1' in text
    assert "streamhold_subscriptions_wanted 2" in text


# -- deliveries of them -----------------------------------------------------------------------


def test_deliveries_of_other_subscriptions_are_counted_and_not_refused(subs):
    subs.active(CHAT)
    one, = subs.live()
    broadcaster = {**kinds.event(CHAT)["broadcaster"], "user_id": int(KICK_ID)}

    def deliver(subscription):
        reply = send(f"http://127.0.0.1:{subs.daemon.webhook_port}/webhooks/kick", making.build(
            CHAT, Platforms.signer, subscription=subscription,
            body={**kinds.event(CHAT), "broadcaster": broadcaster}))
        assert reply.status == 200, reply.body

    def counted():
        name = "streamhold_deliveries_other_subscription_total "
        line, = [line for line in subs.daemon.get("/metrics").text.splitlines()
                 if line.startswith(name)]
        return int(float(line.removeprefix(name)))

    deliver(one["id"])
    assert counted() == 0
    deliver("01K0000000000000000000ELSE")
    assert counted() == 1
    assert len(subs.daemon.events()) == 2
    sections = json.loads(subs.daemon.cli("inspect", "--json").stdout)["sections"]
    assert sections["counts"]["deliveries_other_subscription"] == 1
    told = sections["subscriptions"]
    assert (told["state"], told["worst_channel"], told["channels"], told["channels_active"],
            told["wanted"], told["active"], told["created"]) == ("active", USER, 1, 1, 1, 1, 1)
