"""`streamhold trigger`: synthetic deliveries through the whole way, marked by the key that verified
them, and kept from everybody who does not ask."""
import json
import os
import pathlib
import re
import signal
import time

import pytest

from tests.fake import delivery as making
from tests.fake import events as kinds
from tests.fake.sender import send
from tests.lib.platforms import USER, login, put_credentials


@pytest.fixture
def daemon(streamhold, fakes, folder):
    return streamhold(fakes.config(folder))


def trigger(daemon, *arguments, status=0):
    done = daemon.cli("trigger", *arguments, "--json")
    assert done.returncode == status, done.stderr + done.stdout
    return json.loads(done.stdout)["deliveries"]


def everything(daemon):
    return daemon.events(include="foreign,synthetic,quarantined")


def url(daemon):
    return f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick"


# -- what arrives ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", kinds.TYPES)
def test_each_type_has_the_documented_fields(daemon, kind):
    sent, = trigger(daemon, kind)
    assert (sent["status"], sent["verdict"], sent["type"]) == (200, "stored", kind)
    stored = daemon.get(f"/events/{sent['seq']}").json()
    assert stored["id"] == sent["id"] and stored["type"] == kind and stored["version"] == 1
    assert stored["flags"] == ["synthetic"] and stored["kind"] != "unknown"
    assert_same_shape(stored["payload"], kinds.event(kind), kind)


def assert_same_shape(made, documented, where):
    """The same members of the same JSON types, however deep."""
    if isinstance(documented, dict):
        assert isinstance(made, dict) and set(made) == set(documented), where
        for name in documented:
            assert_same_shape(made[name], documented[name], f"{where}.{name}")
    elif isinstance(documented, list):
        assert isinstance(made, list) and len(made) >= 1, where
        assert_same_shape(made[0], documented[0], where)
    elif documented is not None and made is not None:
        assert type(made) is type(documented), where


def test_each_of_several_is_an_event_of_its_own(daemon):
    sent = trigger(daemon, "chat.message.sent", "--count", "5")
    assert [one["verdict"] for one in sent] == ["stored"] * 5
    assert [one["seq"] for one in sent] == [1, 2, 3, 4, 5]
    stored = everything(daemon)
    assert len({one["payload"]["message_id"] for one in stored}) == 5
    assert len({one["payload"]["content"] for one in stored}) == 5


def test_who_does_not_ask_gets_none(daemon, fakes):
    trigger(daemon, "channel.followed", "--count", "2")
    genuine = making.build("channel.followed", fakes["kick"].signer)
    assert send(url(daemon), genuine).status == 200
    assert [one["id"] for one in daemon.events()] == [genuine.message_id]
    assert [one["flags"] for one in daemon.events(include="synthetic")] == \
        [["synthetic"], ["synthetic"], []]


# -- odd ones -------------------------------------------------------------------------------


def test_a_bad_signature_is_refused(daemon):
    sent, = trigger(daemon, "channel.followed", "--as", "bad-signature")
    assert (sent["status"], sent["verdict"], sent["seq"]) == (401, "refused", None)
    assert everything(daemon) == []
    counts = json.loads(daemon.cli("inspect", "--json").stdout)["sections"]["counts"]
    assert counts["deliveries_refused_signature"] == 1


def test_a_duplicate_is_stored_once(daemon):
    first, again, other = trigger(daemon, "chat.message.sent", "--as", "duplicate")
    assert first["verdict"] == "stored" and again["verdict"] == "duplicate"
    assert first["id"] == again["id"] != other["id"]
    assert first["seq"] == again["seq"] != other["seq"]
    stored = everything(daemon)
    assert [one["id"] for one in stored] == [first["id"], other["id"]]
    assert stored[0]["payload"] == stored[1]["payload"]


def test_a_late_one_claims_an_earlier_time(daemon):
    sent, = trigger(daemon, "channel.followed", "--as", "late")
    assert sent["verdict"] in ("stored", "late")
    stored = daemon.get(f"/events/{sent['seq']}").json()
    assert 2.9 * 3600e3 < stored["latency_ms"] < 3.1 * 3600e3


def test_a_late_one_is_no_older_than_is_taken(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder, webhooks={"port": 0, "timestamp_tolerance_s": 600}))
    sent, = trigger(daemon, "channel.followed", "--as", "late")
    assert sent["status"] == 200
    latency = daemon.get(f"/events/{sent['seq']}").json()["latency_ms"]
    assert 530e3 < latency < 600e3


def test_an_unknown_version_is_unknown(daemon):
    sent, = trigger(daemon, "channel.followed", "--as", "unknown-version")
    assert sent["verdict"] == "unknown"
    stored = daemon.get(f"/events/{sent['seq']}").json()
    assert set(stored["flags"]) == {"synthetic", "unknown"} and stored["version"] == 99


@pytest.mark.parametrize("kind", kinds.TYPES)
def test_a_foreign_one_is_foreign_where_something_is_ours(streamhold, fakes, folder, kind):
    daemon = streamhold(fakes.config(folder, subscriptions={
        "kick": [{"username": "Own_Channel", "events": ["channel.followed"]}]}))
    mine, = trigger(daemon, kind)
    foreign, = trigger(daemon, kind, "--as", "foreign")
    assert (mine["verdict"], foreign["verdict"]) == ("stored", "foreign")
    assert daemon.get(f"/events/{mine['seq']}").json()["broadcaster"]["name"] == "Own_Channel"


def test_whose_channel_it_is(daemon, fakes):
    fakes.register(daemon, ["kick"])
    put_credentials(daemon, "kick")
    assert login(daemon, "kick").status == 200
    account, = daemon.get("/oauth/accounts").json()["accounts"]
    for arguments, expected in [
            ((), account["user_id"]), (("--broadcaster", USER.upper()), account["user_id"]),
            (("--broadcaster", account["user_id"]), account["user_id"]),
            (("--broadcaster", "4711"), "4711"), (("--broadcaster", "4711:Some_One"), "4711")]:
        sent, = trigger(daemon, "channel.followed", *arguments)
        stored = daemon.get(f"/events/{sent['seq']}").json()
        assert stored["broadcaster"]["id"] == expected
        assert ("foreign" in stored["flags"]) == (expected == "4711")
    assert stored["broadcaster"]["name"] == "Some_One"


# What becomes of a form: statuses, verdicts, flags of what is stored.
FORMS = {
    "bad-signature": ([401], ["refused"], []),
    "duplicate": ([200] * 3, ["stored", "duplicate", "stored"],
                  [{"synthetic"}, {"synthetic", "duplicate"}]),
    "late": ([200], ["stored"], [{"synthetic", "late"}]),
    "foreign": ([200], ["foreign"], [{"synthetic", "foreign"}]),
    "unknown-version": ([200], ["unknown"], [{"synthetic", "unknown"}]),
}


def test_each_form_of_each_type(streamhold, fakes, folder):
    """One after the other into one database, so that none depends on an empty one."""
    daemon = streamhold(fakes.config(folder, subscriptions={
        "kick": [{"username": "Own_Channel", "events": ["channel.followed"]}]}))
    for kind in kinds.TYPES:
        for form, (statuses, verdicts, flags) in FORMS.items():
            before = len(everything(daemon))
            sent = trigger(daemon, kind, "--as", form)
            told = kind, form, sent
            assert [one["status"] for one in sent] == statuses, told
            assert [one["verdict"] for one in sent] == verdicts, told
            stored = everything(daemon)[before:]
            assert [set(one["flags"]) for one in stored] == flags, told
            assert {one["type"] for one in stored} <= {kind}


# -- certainty ------------------------------------------------------------------------------


def post(daemon, headers, body):
    one = making.Delivery(headers, body, "", "")
    return send(url(daemon), one)


def synthetic_headers(daemon):
    """What is stored of a synthetic delivery, to be tried again in other clothes."""
    sent, = trigger(daemon, "channel.followed")
    stored = daemon.get(f"/events/{sent['seq']}").json()
    return sent, stored


def test_the_platform_cannot_make_synthetic_ones_nor_we_genuine_ones(daemon, fakes):
    """The key decides, and each key counts for its own ids only."""
    sent, _ = synthetic_headers(daemon)
    for message_id in (sent["id"] + "X", "synthetic.01M7Y7N4P3D5RJD9J3Y3NTTE49"):
        one = making.build("channel.followed", fakes["kick"].signer, message_id=message_id)
        assert send(url(daemon), one).status == 401
    genuine = making.build("channel.followed", fakes["kick"].signer)
    genuine.headers.append(("Kick-Event-Synthetic", "true"))
    assert send(url(daemon), genuine).status == 200
    assert everything(daemon)[-1]["flags"] == []


def test_the_key_ends_with_the_run_and_never_shows(daemon, folder):
    """No private key on disk, in the log, or in a core of the command's memory."""
    trigger(daemon, "channel.followed")
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    sent = None
    end = time.monotonic() + 15
    while sent is None and time.monotonic() < end:
        done = daemon.cli("trigger", "channel.followed", "--json")
        sent = json.loads(done.stdout)["deliveries"] if done.returncode == 0 else None
    assert sent and sent[0]["status"] == 200
    daemon.stop()
    assert len([line for line in daemon.log if "a key for synthetic deliveries was made" in line]) == 2
    found = [path for path in pathlib.Path(folder).rglob("*")
             if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert found == [] and "PRIVATE" not in daemon.text_log()


def test_a_synthetic_delivery_does_not_count_as_a_sign_of_life(daemon):
    trigger(daemon, "channel.followed")
    counts = json.loads(daemon.cli("inspect", "--json").stdout)["sections"]["counts"]
    assert counts["deliveries_synthetic"] == 1 and counts["last_delivery_at"] == "never"


def test_a_bad_signature_of_ours_asks_nobody_for_the_key(streamhold, fakes, folder):
    made = fakes.config(folder)
    del made["platforms"]["kick"]["public_key_file"]
    daemon = streamhold(made)
    daemon.wait_log("Kick has a new public key")
    time.sleep(1.3)     # KICK_SUSPECT_GAP_MS
    trigger(daemon, "channel.followed", "--as", "bad-signature", "--count", "5")
    assert len(fakes["kick"].asked("public_key")) == 1


# -- the command ----------------------------------------------------------------------------


def test_text_says_what_was_answered(daemon):
    done = daemon.cli("trigger", "kicks.gifted", "--count", "2")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines, 1):
        assert re.match(rf"200 stored +#{number} +kicks\.gifted +synthetic\.[0-9A-Z]{{26}}  \d+ ms$",
                        line)
    assert "include=synthetic" in done.stderr


@pytest.mark.parametrize("arguments, words", [
    (["chat.mesage.sent"], ["did you mean 'chat.message.sent'", "moderation.banned"]),
    (["channel.followed", "--as", "lat"], ["did you mean 'late'", "streamhold trigger --help"]),
    (["channel.followed", "--count", "0"], ["--count"]),
    (["channel.followed", "--count", "1001"], ["--count"]),
    ([], ["usage: streamhold trigger TYPE"]),
])
def test_what_is_typed_wrong(daemon, arguments, words):
    done = daemon.cli("trigger", *arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize("who", ["", "a/b", "x:y", "12:" , "99999999999999999999999:x"])
def test_a_broadcaster_that_cannot_be(daemon, who):
    done = daemon.cli("trigger", "channel.followed", "--broadcaster", who)
    assert done.returncode == 2
    assert "streamhold" in done.stderr and everything(daemon) == []


def test_without_a_webhook_front(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder, webhooks={"enabled": False}))
    done = daemon.cli("trigger", "channel.followed")
    assert done.returncode == 3
    assert "The webhook front is not connected" in done.stderr


def test_on_all_addresses(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder, webhooks={"port": 0, "host": "0.0.0.0"}))
    sent, = trigger(daemon, "channel.followed")
    assert sent["status"] == 200
