"""Readers of the stream that no one here wrote: curl, Node's EventSource from npm, and the bot of
the README as it is printed there."""
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.conftest import ROOT
from tests.fake import events as kinds
from tests.lib.tools import npm_package
from tests.system.test_stream import config, deliver

PACKAGE, needs_package = npm_package("eventsource")


class Lines:
    """A program whose lines are waited for."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
        self.lines = queue.Queue()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def take(self, count, timeout=20):
        return [self.lines.get(timeout=timeout) for _ in range(count)]

    def silent(self, seconds=0.3):
        time.sleep(seconds)
        return self.lines.empty()

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def daemon(streamhold, folder):
    return streamhold(config(folder))


@pytest.fixture
def run():
    running = []

    def start(*arguments, **options):
        running.append(Lines(*arguments, **options))
        return running[-1]

    yield start
    for one in running:
        one.kill()


def wait_other_front(daemon, before):
    end = time.monotonic() + 20
    while True:
        now = daemon.children().get("httpd", [])
        if len(now) == len(before) and not set(now) & set(before):
            return
        assert time.monotonic() < end
        time.sleep(0.01)


@needs_package
def test_eventsource_of_npm_gets_each_event_once(daemon, run):
    client = run(["node", str(ROOT / "tests/npm/follow.cjs"), str(PACKAGE),
                  f"http://localhost:{daemon.api_port}/events/stream?after=0", *kinds.TYPES,
                  "streamhold.gap"])
    assert json.loads(client.take(1)[0]) == {"open": True}
    sent, got = [], []
    for turn in range(6):
        sent += [(kind, deliver(daemon, kind)[0]) for kind in kinds.TYPES]
        if turn % 3 == 1:
            os.kill(daemon.broker_pid(), signal.SIGKILL)
        if turn % 3 == 2:       # the client comes back by itself, with the last id
            before = daemon.children()["httpd"]
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            wait_other_front(daemon, before)
        while len(got) < len(sent):
            event = json.loads(client.take(1)[0])
            if "open" not in event:
                got.append(event)
    assert client.silent()
    assert [int(event["id"]) for event in got] == list(range(1, len(sent) + 1))
    for event, (kind, one) in zip(got, sent):
        assert event["type"] == kind
        value = json.loads(event["data"])
        assert value["id"] == one.message_id and str(value["seq"]) == event["id"]
        assert event["data"].encode() == daemon.get(f"/events/{event['id']}").body


@needs_package
def test_eventsource_of_npm_joins_lines(daemon, run):
    client = run(["node", str(ROOT / "tests/npm/follow.cjs"), str(PACKAGE),
                  f"http://localhost:{daemon.api_port}/events/stream?"
                  "include=foreign,quarantined", *kinds.TYPES])
    client.take(1)
    body = b'{\n\n "a" : "' + b"x" * 70000 + b'",\n"b":\t2\n}\n'
    deliver(daemon, body=body)
    event = json.loads(client.take(1)[0])
    assert event["data"].encode() == daemon.get("/events/1").body
    assert b'"payload":' + body + b"}" in event["data"].encode()


def test_curl_shows_it(daemon, run):
    client = run(["curl", "-sN", f"http://localhost:{daemon.api_port}/events/stream?kind=chat"])
    assert client.take(2) == ["retry: 1000", ""]
    assert client.take(2) == ["id: 0", ""]
    deliver(daemon, "channel.followed")
    deliver(daemon, "chat.message.sent")
    first, second, third, last = client.take(4)
    assert (first, second, last) == ("id: 2", "event: chat.message.sent", "")
    assert third.startswith('data: {"seq":2,')


def wait_for_place(folder, number):
    """Until the bot has written it down, it would see the last event again after a break."""
    end = time.monotonic() + 20
    while (folder / "last-id").read_text() != number:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_bot_of_the_readme_misses_nothing(daemon, run, folder):
    text = (ROOT / "README.md").read_text()
    bot, = [code for code in re.findall(r"```python\n(.*?)```", text, re.S)
            if "events/stream" in code]
    program = folder / "bot.py"
    program.write_text(bot.replace("http://localhost:3000/",
                                   f"http://localhost:{daemon.api_port}/"))

    def start():
        return run([sys.executable, str(program)], cwd=folder)

    first = start()
    deliver(daemon, count=5)
    lines = first.take(5)
    wait_for_place(folder, "5")
    first.kill()
    deliver(daemon, count=5)            # while it is away
    second = start()
    lines += second.take(5)
    wait_for_place(folder, "10")
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    before = daemon.children()["httpd"]
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_other_front(daemon, before)
    deliver(daemon, count=5)
    lines += second.take(5)
    assert second.silent()
    assert [int(line.split()[0]) for line in lines] == list(range(1, 16))
