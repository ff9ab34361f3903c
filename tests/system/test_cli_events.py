"""`streamhold events tail` and `show` against the real broker: the newest, what comes, and all of it
while the broker restarts."""
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from tests.fake import delivery as making
from tests.fake import events as kinds
from tests.fake.sender import send
from tests.lib.sse import Stream
from tests.lib.stopwatch import Stopwatch


@pytest.fixture
def daemon(streamhold, fakes, folder):
    return streamhold(fakes.config(folder))


@pytest.fixture
def deliver(daemon, fakes):
    def deliver(kind="chat.message.sent", **options):
        one = making.build(kind, fakes["kick"].signer, **options)
        assert send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one).status == 200
        return one
    return deliver


class Follower:
    """`events tail --follow` while it runs."""

    def __init__(self, daemon, *arguments):
        self.lines, self.errors = [], []
        self.process = subprocess.Popen(
            [daemon.program("streamhold"), "--config", str(daemon.config_file), "events", "tail",
             "--follow", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.threads = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in
                        ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def wait(self, count, seconds=20):
        end = time.monotonic() + seconds
        while len(self.lines) < count:
            assert time.monotonic() < end and self.process.poll() is None, \
                (self.lines, self.errors)
            time.sleep(0.01)
        return self.lines

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(20)
        for thread in self.threads:
            thread.join(5)
        return status


@pytest.fixture
def follow(daemon):
    running = []

    def follow(*arguments):
        running.append(Follower(daemon, *arguments))
        return running[-1]
    yield follow
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def tail(daemon, *arguments, status=0):
    done = daemon.cli("events", "tail", *arguments, "--json")
    assert done.returncode == status, done.stderr
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(document["format_version"] == 1 for document in documents)
    return [document["event"] for document in documents]


# -- tail -----------------------------------------------------------------------------------


def test_tail_shows_the_newest_oldest_first(daemon, deliver):
    sent = [deliver() for _ in range(13)]
    assert [one["id"] for one in tail(daemon)] == [one.message_id for one in sent[3:]]
    assert [one["id"] for one in tail(daemon, "--limit", "2")] == \
        [one.message_id for one in sent[11:]]
    assert [one["seq"] for one in tail(daemon, "--limit", "500")] == list(range(1, 14))
    assert tail(daemon) == [daemon.get(f"/events/{seq}").json() for seq in range(4, 14)]


def test_tail_of_nothing(daemon):
    assert tail(daemon) == []


def test_tail_looks_far_back_for_what_is_rare(daemon, deliver):
    rare = deliver("kicks.gifted")
    daemon.stop()
    columns = ("platform, type, version, received_at, occurred_at, broadcaster_id, "
               "broadcaster_name, flags, subscription_id, timestamp, signature, content_type, "
               "user_agent, sha256, body")
    daemon.sql("UPDATE events SET type = 'kicks.gifted' WHERE seq = 1")
    daemon.sql(f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
               f"INSERT INTO events (seq, message_id, {columns}) SELECT i, 'id-' || i, "
               f"{columns.replace(' type', ' ' + repr('channel.followed'))} FROM n, events "
               f"WHERE seq = 1")
    daemon.start()
    assert [one["id"] for one in tail(daemon, "--type", "kicks.gifted")] == [rare.message_id]
    assert [one["seq"] for one in tail(daemon, "--limit", "3")] == [2998, 2999, 3000]


@pytest.mark.parametrize("arguments, expected", [
    (["--type", "kicks.gifted"], [2]), (["--type", "kicks.gifted,moderation.banned"], [2, 3]),
    (["--kind", "tip"], [2]), (["--broadcaster", "streamer123"], [1, 2, 3]),
    (["--broadcaster", "4711"], []), (["--platform", "twitch"], []),
    (["--include", "synthetic"], [1, 2, 3, 4]), (["--include", "foreign,quarantined"], [1, 2, 3]),
])
def test_filters_of_tail_and_list(daemon, deliver, arguments, expected):
    for kind in ("channel.followed", "kicks.gifted", "moderation.banned"):
        deliver(kind)
    assert daemon.cli("trigger", "channel.followed").returncode == 0
    assert [one["seq"] for one in tail(daemon, *arguments)] == expected
    listed = json.loads(daemon.cli("events", "list", "--json", *arguments).stdout)
    assert [one["seq"] for one in listed["events"]] == expected


@pytest.mark.parametrize("arguments, words", [
    (["--kind", "tips"], "there is no kind 'tips'"), (["--include", "all"], "--include takes"),
    (["--platform", "kik"], "kick"), (["--limit", "0"], "--limit"), (["--limit", "501"], "--limit"),
])
def test_filters_that_cannot_be(daemon, arguments, words):
    done = daemon.cli("events", "tail", *arguments)
    assert done.returncode == 2 and words in done.stderr and "streamhold" in done.stderr


def waiting(daemon, count=1):
    """Until so many followers have found the end and wait for what comes."""
    def they_do():
        flows = json.loads(daemon.cli("inspect", "--json").stdout)["sections"]["flows"]
        return flows.get("events_list.wait", 0) >= count
    Stopwatch().wait(they_do, 20)


# -- follow ---------------------------------------------------------------------------------


def test_follow_goes_on_with_what_comes(daemon, deliver, follow):
    first = deliver()
    following = follow("--json")
    following.wait(1)
    later = []
    for number in range(5):
        later.append(deliver())
        following.wait(2 + number)
    assert [json.loads(line)["event"]["id"] for line in following.lines] == \
        [one.message_id for one in [first, *later]]
    assert following.stop() == 130
    assert following.errors == []


def test_follow_as_text_for_people(daemon, deliver, follow):
    following = follow("--limit", "0")
    waiting(daemon)
    deliver("channel.subscription.gifts")
    assert daemon.cli("trigger", "channel.followed").returncode == 0
    deliver("channel.followed")
    line, _ = following.wait(2)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  #1 +kick +channel\.subscription\.gifts +"
                    r"Streamer123 .*[+-]\d+\.\ds$", line)
    assert [re.search(r"#(\d+)", one).group(1) for one in following.lines] == ["1", "3"]


def test_follow_shows_what_is_synthetic_to_who_asks(daemon, follow):
    following = follow("--limit", "0", "--include", "synthetic")
    waiting(daemon)
    assert daemon.cli("trigger", "channel.followed").returncode == 0
    line, = following.wait(1)
    assert line.endswith(" synthetic")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_follow_survives_a_restart_of_the_broker_and_misses_nothing(daemon, deliver, follow, how):
    following = follow("--json", "--limit", "0")
    waiting(daemon)
    sent = [deliver()]
    following.wait(1)
    for _ in range(2):
        os.kill(daemon.broker_pid(), how)
        for _ in range(3):
            sent.append(deliver())      # the front holds them until the broker is there
        following.wait(len(sent), 30)
    assert [json.loads(line)["event"]["id"] for line in following.lines] == \
        [one.message_id for one in sent]
    assert any("Waiting until the broker is there again" in line for line in following.errors)
    assert following.stop() == 130


def test_follow_survives_a_restart_of_everything(daemon, deliver, follow):
    following = follow("--json", "--limit", "0")
    waiting(daemon)
    deliver()
    following.wait(1)
    daemon.stop()
    time.sleep(0.3)
    daemon.start()
    deliver()
    deliver()
    assert [json.loads(line)["event"]["seq"] for line in following.wait(3, 30)] == [1, 2, 3]


def test_follow_can_be_interrupted_while_it_waits_for_the_broker(daemon, follow):
    following = follow()
    waiting(daemon)
    daemon.stop()
    end = time.monotonic() + 10
    while not any("Waiting" in line for line in following.errors):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert following.stop() == 130


# -- show -----------------------------------------------------------------------------------


def test_show_by_number_and_by_id(daemon, deliver):
    one = deliver("chat.message.sent")
    for name in ("1", one.message_id):
        shown = json.loads(daemon.cli("events", "show", name, "--json").stdout)
        assert shown["format_version"] == 1
        assert shown["event"] == daemon.get("/events/1").json()
    text = daemon.cli("events", "show", "1").stdout
    line, rest = text.split("\n", 1)
    assert "chat.message.sent" in line
    assert json.loads(rest)["payload"] == json.loads(one.body)


def test_show_is_safe_for_terminals(daemon, deliver):
    body = kinds.event("chat.message.sent")
    body["content"] = "\x1b]0;x\x07 \u202e"
    deliver("chat.message.sent", body=body)
    text = daemon.cli("events", "show", "1").stdout
    assert text.isascii() and "\x1b" not in text and "\\u202e" in text.lower()


@pytest.mark.parametrize("name", ["7", "0", "99999999999999999999", "no-such-id"])
def test_show_of_nothing(daemon, name):
    done = daemon.cli("events", "show", name)
    assert done.returncode == 5 and done.stdout == ""
    assert "streamhold" in done.stderr


# -- replay ---------------------------------------------------------------------------------


def replay(daemon, *names):
    done = daemon.cli("events", "replay", *names, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["replayed"]


def test_a_replay_reaches_who_follows_marked_and_moves_nobody(daemon, deliver, follow):
    first, second = deliver(), deliver("kicks.gifted")
    following = follow("--json", "--limit", "1")
    following.wait(1)
    assert replay(daemon, "1", second.message_id) == [
        {"seq": 1, "type": "chat.message.sent", "replay": 1},
        {"seq": 2, "type": "kicks.gifted", "replay": 2}]
    following.wait(3)
    third = deliver()
    events = [json.loads(line)["event"] for line in following.wait(4)]
    assert [(one["id"], one["flags"]) for one in events] == [
        (second.message_id, []), (first.message_id, ["redelivered"]),
        (second.message_id, ["redelivered"]), (third.message_id, [])]
    assert events[1]["payload"] == json.loads(first.body)
    assert [one["flags"] for one in daemon.events()] == [[], [], []]
    assert len(tail(daemon)) == 3


def test_a_replay_passes_the_filters_of_the_reader(daemon, deliver, follow):
    deliver(), deliver("kicks.gifted")
    assert daemon.cli("trigger", "channel.followed").returncode == 0
    gifts = follow("--json", "--limit", "0", "--type", "kicks.gifted")
    others = follow("--json", "--limit", "0", "--include", "synthetic")
    waiting(daemon, 2)
    replay(daemon, "1", "2", "3")
    assert [json.loads(line)["event"]["seq"] for line in others.wait(3)] == [1, 2, 3]
    assert [json.loads(line)["event"]["seq"] for line in gifts.wait(1)] == [2]
    assert json.loads(others.lines[2])["event"]["flags"] == ["synthetic", "redelivered"]


def test_a_replay_reaches_streams_without_moving_their_place(daemon, deliver):
    for _ in range(3):
        deliver()
    with Stream(daemon.api_port, "?after=now") as stream:
        stream.until(lambda: stream.parser.last_id == b"3")
        replay(daemon, "1", "2")
        deliver()
        events = stream.take(3)
    read = [json.loads(one.data) for one in events]
    assert [(one["seq"], one["flags"]) for one in read] == [
        (1, ["redelivered"]), (2, ["redelivered"]), (4, [])]
    assert [one.id for one in events] == ["3", "3", "4"]


def test_replays_begin_anew_with_the_broker(daemon, deliver, follow):
    deliver()
    following = follow("--json", "--limit", "0")
    waiting(daemon)
    assert replay(daemon, "1", "1", "1")[2]["replay"] == 3
    following.wait(3)
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    deliver()
    following.wait(4, 30)
    assert replay(daemon, "2")[0]["replay"] == 1
    events = [json.loads(line)["event"] for line in following.wait(5)]
    assert [(one["seq"], one["flags"]) for one in events[3:]] == [(2, []), (2, ["redelivered"])]


@pytest.mark.parametrize("name", ["7", "0", "no-such-id"])
def test_a_replay_of_nothing(daemon, name):
    done = daemon.cli("events", "replay", name)
    assert done.returncode == 5 and done.stdout == "" and "streamhold" in done.stderr
