"""Calls about subscriptions are few: on the timer, in parts, with a refused token, in a dry run; and
each state is told in the same way wherever one looks."""
import json
import os
import re
import signal
import time
from urllib.parse import parse_qsl

import pytest

from tests.lib.platforms import CLIENT_ID, OTHER, USER, login
from tests.system.test_subscriptions import CHAT, FOLLOW, KICK_ID, Subs, states, wants

LONG = bool(os.environ.get("STREAMHOLD_LONG"))
REMOVED_AT_ONCE = 50        # KICK_SUBS_REMOVE_MAX
REFUSED_S = 60              # SUBS_REFUSED_FIRST_MS


@pytest.fixture
def subs(streamhold, fakes, folder):
    return Subs(streamhold, fakes, folder)


def wait_lists(subs, count, timeout=20):
    end = time.monotonic() + timeout
    while subs.asked()[0] < count:
        assert time.monotonic() < end, subs.asked()
        time.sleep(0.02)


# -- the timer --------------------------------------------------------------------------------

TRAPS = {       # what the platform does: the state that it leads to, and calls until then
    "limit": ({"subscription_limit": 0}, "limit_reached"),
    "webhooks off": ({"webhooks_enabled": False}, "webhooks_off"),
    "refused": ({"subscription_errors": {CHAT: "no", FOLLOW: "no"}}, "refused"),
    "phantom": ({"phantoms": [CHAT, FOLLOW]}, "settling"),
    "omitted": ({"omit_fresh_s": 3600}, "settling"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_the_timer_looks_and_does_not_create_again(subs, trap):
    """A second between two looks, and a minute at least between two creations."""
    setting, state = TRAPS[trap]
    subs.kick.set(**setting)
    subs.ready(CHAT, FOLLOW, reconcile_interval_s=1)
    subs.wait(state)
    began, before = time.monotonic(), subs.asked()[0]
    wait_lists(subs, before + 4)
    took = time.monotonic() - began
    assert subs.asked()[1:] == (1, 0)
    # An interval is shortened by a quarter at most.
    assert subs.asked()[0] - before <= 2 + took / 0.75
    assert subs.channel()["state"] == state


def test_dropped_again_and_again_is_one_creation_for_each_look(subs):
    """The platform drops for failed deliveries, and they go on failing."""
    subs.ready(CHAT, reconcile_interval_s=1)
    subs.wait("active")
    for _ in range(3):
        lists, creations = subs.asked()[:2]
        subs.kick.drop_subscriptions()
        wait_lists(subs, lists + 2)
        assert subs.asked()[1] - creations <= 1
    assert subs.asked()[2] == 0 and len(subs.live()) == 1


@pytest.mark.skipif(not LONG, reason="waits for more than a minute")
def test_an_answer_that_is_lost_after_a_refusal_leads_to_no_loop(subs):
    """The time of the next try that the refusal set passes while the creation after it is
    waited for."""
    subs.kick.set(subscription_errors={CHAT: "no"})
    subs.ready(CHAT)
    subs.wait("refused")
    refused = time.monotonic()
    time.sleep(REFUSED_S / 2)
    subs.kick.set(subscription_errors={}, omit_fresh_s=3600)
    subs.kick.next("subscriptions_create", mode="drop_after_commit")
    subs.sync()
    subs.sync()
    assert subs.asked()[1:] == (2, 0) and states(subs.channel()) == {CHAT: "settling"}
    time.sleep(max(0.0, refused + REFUSED_S - 1 - time.monotonic()))
    mark = subs.mark()
    time.sleep(4)
    assert subs.asked(mark)[0] <= 2 and subs.asked(mark)[1:] == (0, 0)
    subs.kick.set(omit_fresh_s=0)
    one, = subs.sync()["subscriptions"]
    assert one["state"] == "active" and len(subs.live()) == 1 and subs.asked()[1] == 2


# -- parts, tokens, dry runs ------------------------------------------------------------------


def test_more_than_a_call_holds_is_removed_in_parts(subs):
    """Addresses stay short (Kick 4.3)."""
    subs.active(CHAT)
    first, = subs.live()
    for _ in range(2 * REMOVED_AT_ONCE + 20):
        subs.kick.subscribe(CHAT, KICK_ID, CLIENT_ID)
    mark = subs.mark()
    one, = subs.sync(adopt="true")["subscriptions"]
    assert one["state"] == "active" and subs.live() == [first]
    assert subs.asked(mark) == (1, 0, 3)
    sent = [parse_qsl(entry["raw_query"]) for entry in subs.kick.asked("subscriptions_delete")]
    assert [len(ids) for ids in sent] == [REMOVED_AT_ONCE, REMOVED_AT_ONCE, 20]
    assert len({pair for ids in sent for pair in ids}) == 120
    subs.sync()
    assert subs.asked(mark) == (2, 0, 3)


def grants(subs, mark):
    """How often tokens were asked for, by the kind of grant."""
    asked = [entry["form"]["grant_type"] for entry in subs.kick.asked("token", mark)]
    return asked.count("refresh_token"), asked.count("client_credentials")


REFUSED = {"status": 401, "body": {"data": None, "message": "Unauthorized"}}


@pytest.mark.parametrize("call, calls", [
    ("subscriptions_list", (2, 1, 1)), ("subscriptions_create", (1, 2, 1)),
    ("subscriptions_delete", (1, 1, 2))])
def test_a_token_that_is_refused_at_any_call_is_renewed_and_that_call_repeated(
        subs, call, calls):
    subs.active(CHAT)
    subs.kick.next(call, **REFUSED)
    mark = subs.mark()
    assert subs.put(FOLLOW).status == 200
    subs.wait(lambda one: subs.events() == [FOLLOW] and one["state"] == "settling")
    assert subs.asked(mark) == calls and grants(subs, mark) == (1, 0)
    assert subs.channel()["token"] == "user"


@pytest.mark.parametrize("call, calls", [
    ("subscriptions_list", (4, 0, 0)), ("subscriptions_create", (2, 4, 1)),
    ("subscriptions_delete", (2, 0, 4))])
def test_tokens_that_are_all_refused_end_the_comparison(subs, call, calls):
    """That of the login, a new one, that of the application, a new one; then no more."""
    subs.active(CHAT)
    subs.kick.next(call, count=-1, **REFUSED)
    mark = subs.mark()
    assert subs.put(FOLLOW).status == 200
    one = subs.wait("refused")
    assert one["trouble"] and one["next_step"] == f"streamhold subs sync {USER}"
    time.sleep(1)
    assert subs.asked(mark) == calls
    assert grants(subs, mark) == (1, 2)


def test_a_dry_run_tells_all_that_would_be_done_and_only_asks_for_the_list(subs):
    subs.active(CHAT, FOLLOW)
    subs.kick.drop_subscriptions(event=CHAT)
    stranger = subs.kick.subscribe(FOLLOW, KICK_ID, CLIENT_ID)
    before, mark = subs.live(), subs.mark()
    done = subs.daemon.cli("subs", "sync", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"{USER}: would subscribe to {CHAT}" in done.stderr
    assert "would remove" not in done.stderr
    told = json.loads(subs.daemon.cli("subs", "sync", "--dry-run", "--json").stdout)
    assert told["dry_run"] is True
    assert [(one["action"], one["event"]) for one in told["actions"]] == [("create", CHAT)]
    told = subs.sync(dry_run="true", adopt="true")
    assert sorted((one["action"], one["event"], one["id"] == stranger)
                  for one in told["actions"]) == [
        ("adopt", FOLLOW, True), ("create", CHAT, False), ("remove", FOLLOW, True)]
    assert subs.asked(mark) == (3, 0, 0) and subs.live() == before
    assert subs.channel()["state"] == "active"      # nothing was looked at for real
    subs.sync()
    mark = subs.mark()
    done = subs.daemon.cli("subs", "sync", "--dry-run")
    assert done.returncode == 0 and "Nothing would be changed." in done.stderr
    assert subs.asked(mark) == (1, 0, 0)


# -- states -----------------------------------------------------------------------------------


def lose_login(subs):
    subs.kick.kill()
    subs.daemon.post(f"/oauth/refresh/kick/{USER}")


STATES = {      # how to get there, words of the sentence, the next step
    "limit_reached": (lambda subs: subs.kick.set(subscription_limit=0),
                      "as many subscriptions as the platform allows", "streamhold subs list"),
    "webhooks_off": (lambda subs: subs.kick.set(webhooks_enabled=False),
                     "switch Enable Webhooks on", f"streamhold subs sync {USER}"),
    "missing_scope": (lambda subs: (subs.kick.set(grant_scopes=["user:read"]),
                                    login(subs.daemon, "kick")),
                      "lacks the scope events:subscribe", f"streamhold login kick {USER}"),
    "login_lost": (lose_login, "the login was lost", f"streamhold login kick {USER}"),
    "refused": (lambda subs: subs.kick.set(subscription_errors={CHAT: "in maintenance"}),
                "the platform said: in maintenance", f"streamhold subs sync {USER}"),
    "unreachable": (lambda subs: subs.kick.next("subscriptions_list", mode="html502", count=-1),
                    "tried again, ever more seldom", f"streamhold subs sync {USER}"),
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_has_a_sentence_and_a_next_step_wherever_one_looks(subs, state):
    reach, words, step = STATES[state]
    subs.active(CHAT)
    subs.kick.drop_subscriptions()
    reach(subs)
    subs.sync()
    one = subs.wait(state, timeout=20)
    assert one["trouble"] and words in one["detail"] and one["next_step"] == step
    every = subs.daemon.get("/subscriptions/kick").json()["subscriptions"]
    assert [(each["state"], each["next_step"]) for each in every] == [(state, step)]
    listed, = json.loads(subs.daemon.cli("subs", "list", "--json").stdout)["subscriptions"]
    assert (listed["state"], listed["detail"], listed["next_step"]) == \
        (state, one["detail"], step)
    done = subs.daemon.cli("subs", "list")
    assert f"{USER} is {state}: {one['detail']}" in done.stderr and step in done.stderr
    figures = dict(re.findall(
        r'^streamhold_subscription_channel_states\{state="(\w+)"\} (\d+)$',
        subs.daemon.get("/metrics").text, re.M))
    assert {name for name, count in figures.items() if count != "0"} == {state}


# -- the command and the configuration --------------------------------------------------------

SECOND = OTHER["kick"]["login"]
SECOND_ID = str(OTHER["kick"]["id"])


def test_the_command_clears_and_adopts_the_channel_that_it_is_told(subs):
    """And nothing of another channel, nor what somebody else made."""
    subs.active(CHAT)
    assert subs.put(CHAT, username=SECOND).status == 200
    subs.wait("settling", username=SECOND)
    strange = [subs.kick.subscribe(FOLLOW, user, CLIENT_ID) for user in (KICK_ID, SECOND_ID)]
    mine = [one["id"] for one in subs.live(SECOND_ID)]
    done = subs.daemon.cli("subs", "clear", USER)
    assert done.returncode == 0, done.stderr
    assert [one["id"] for one in subs.live()] == strange[:1]
    assert [one["id"] for one in subs.live(SECOND_ID)] == mine
    assert subs.channel()["events"] == [] and subs.channel(SECOND)["events"] == [CHAT]
    done = subs.daemon.cli("subs", "adopt", SECOND)
    assert done.returncode == 0, done.stderr
    assert f"{SECOND}: took over {FOLLOW} ({strange[1]})" in done.stderr
    assert f"{SECOND}: removed {FOLLOW} ({strange[1]})" in done.stderr
    assert [one["id"] for one in subs.live()] == strange[:1]
    assert subs.events(SECOND_ID) == [CHAT]
    for verb in ("clear", "adopt", "sync"):
        done = subs.daemon.cli("subs", verb, "nobody")
        assert done.returncode == 5 and "streamhold" in done.stderr, verb


def test_a_reload_changes_what_is_wanted_by_one_comparison(subs):
    """An older name counts for what it is called now, with a warning."""
    subs.start(wants(CHAT, FOLLOW))
    subs.wait("settling")
    subs.sync()
    mark = subs.mark()
    subs.daemon.config.update(wants("channel.subscribed", FOLLOW))
    subs.daemon.write_config()
    os.kill(subs.daemon.process.pid, signal.SIGHUP)
    new = ["channel.subscription.new", "channel.subscription.renewal", FOLLOW]
    subs.wait(lambda one: one["events"] == new and subs.events() == sorted(new))
    subs.daemon.wait_log("is the older name")
    assert subs.asked(mark) == (1, 1, 1)
    subs.daemon.config["subscriptions"] = {}
    subs.daemon.write_config()
    os.kill(subs.daemon.process.pid, signal.SIGHUP)
    end = time.monotonic() + 15
    while subs.live():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert subs.asked(mark)[1:] == (1, 2)
