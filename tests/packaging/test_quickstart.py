"""packaging/quickstart: what a new user types first. The build of the tests stands in for the
one that it makes; in the long run it builds by itself."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import urllib.request

import pytest

from tests.conftest import ROOT
from tests.lib.stopwatch import Stopwatch

PROGRAMS = ("streamhold", "streamhold-broker", "streamhold-httpd", "streamhold-vault")
BUILD_S = 1200
TYPES = ("channel.followed", "channel.subscription.gifts", "chat.message.sent")


def copy_tree(tree):
    """The files that git knows, as in a fresh clone."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True,
                           capture_output=True).stdout.split(b"\0")
    for name in map(os.fsdecode, filter(None, names)):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def stub(folder, name, status=0, says=""):
    """A program of that name that only notes how it was called."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "{name} $*" >>{folder}/calls\n'
                    f'echo "{says}"\nexit {status}\n')
    path.chmod(0o755)


class Quickstart:
    def __init__(self, folder, programs):
        self.tree, self.stubs, self.text = folder / "tree", folder / "stubs", ""
        self.log = folder / "log"
        copy_tree(self.tree)
        for name in ("apt-get", "sudo"):
            stub(self.stubs, name, 1)
        if programs:
            for name in ("cmake", "ninja"):
                stub(self.stubs, name)
            (self.tree / "build/bin").mkdir(parents=True)
            for name in PROGRAMS:
                shutil.copy2(programs / name, self.tree / "build/bin" / name)
        self.process = None

    def start(self, *arguments):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("XDG_") and "proxy" not in name}
        environment["PATH"] = f"{self.stubs}:{environment['PATH']}"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                ["packaging/quickstart", *arguments], cwd=self.tree, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                errors="replace", start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.text += line

    def wait(self, pattern, seconds=30):
        found = re.compile(pattern, re.M)

        def there():
            assert self.process.poll() is None or found.search(self.text), self.text
            return found.search(self.text)
        try:
            Stopwatch().wait(there, seconds)
        except AssertionError:
            raise AssertionError(
                f"no {pattern!r} in\n{self.text}\n{self.log.read_text()}") from None
        return found.search(self.text)

    def interrupt(self):
        """As Ctrl-C does: to all that run in the terminal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        status = self.process.wait(20)
        self.reader.join(5)
        return status

    def processes(self):
        """Those of its session that are still there."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.getsid(int(entry.name)) == self.process.pid:
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return [one for one in found if one]

    def close(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


in_the_long_run = pytest.mark.skipif(not os.environ.get("STREAMHOLD_LONG"),
                                     reason="the long run lets it build by itself")


@pytest.fixture(params=["built", pytest.param("builds", marks=in_the_long_run)])
def quickstart(request, folder, plain):
    found = Quickstart(folder, plain / "bin" if request.param == "built" else None)
    found.stubbed = request.param == "built"
    yield found
    found.close()


def get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        return json.load(answer)


def check_calls(quickstart):
    notes, tree = quickstart.stubs / "calls", quickstart.tree.resolve()
    calls = notes.read_text().splitlines() if notes.exists() else []
    assert calls == ([f"cmake -S {tree} -B {tree}/build -G Ninja", f"ninja -C {tree}/build"]
                     if quickstart.stubbed else [])


def test_the_demo_walks_through_everything(quickstart):
    quickstart.start("--demo")
    place = quickstart.wait(r"Starting the fake platforms and Streamhold in (\S+)$", BUILD_S)[1]
    try:
        quickstart.wait(r"is removed at the end\.$", 60)
        text = quickstart.text
        check_calls(quickstart)
        assert os.path.isdir(place)
        # The steps in their order, and what came of each.
        assert re.findall(r"^== (\d)\.", text, re.M) == ["1", "2", "3", "4", "5"]
        assert re.search(r'^\{"platform":"kick","created_at":"\S+","updated_at":"\S+"\}$', text, re.M)
        assert re.search(r"^OAuth Callback Received$", text, re.M)
        api = re.search(r"^  API (http://localhost:\d+), fake Kick", text, re.M)[1]
        account = re.search(r"^\$ curl \S+/oauth/status/kick/(\S+)\n(\{.*\})$", text, re.M)
        status = json.loads(account[2])
        assert status["status"] == "valid" and status["platform"] == "kick"
        assert status["username"] == account[1]
        for kind in TYPES:
            sent = re.search(rf"^\$ tests\.fake\.sender .* --type {kind}\n((?:.*\n)+?)(?=\n)",
                             text, re.M)[1]
            assert '"status": 200' in sent, sent
            assert kind in sent.splitlines()[-1] and "#" in sent.splitlines()[-1], sent
        last = json.loads(re.search(r"^\$ curl '\S+/events\?after=\d+'\n(\{.*\})$", text, re.M)[1])
        assert [event["type"] for event in last["events"]] == [TYPES[-1]]
        # It runs: everything is there, and is what was shown.
        stored = [event["type"] for event in get(f"{api}/events")["events"]]
        assert stored == list(TYPES)
    finally:
        status = quickstart.interrupt()
    assert status == 130
    assert not os.path.exists(place)
    assert not quickstart.processes()
    leftover = subprocess.run(["find", ".", "-name", "__pycache__"], cwd=quickstart.tree,
                              capture_output=True, text=True, check=True).stdout
    assert leftover == ""


def write_config(folder, **webhooks):
    config = folder / "config.json"
    config.write_text(json.dumps({
        "server": {"port": 0}, "webhooks": {"port": 0, **webhooks},
        "keystore": {"backend": "file"},
        "platforms": {"kick": {"api_url": "http://127.0.0.1:9/public/v1"}},
        "paths": {"state_dir": str(folder / "state"), "runtime_dir": str(folder / "run")}}))
    return config


def late_webhook_front(tree):
    """The broker and the API are there long before it."""
    program = tree / "build/bin/streamhold-httpd"
    program.rename(f"{program}.real")
    program.write_text(f'#!/bin/sh\ncase "$*" in *webhook*) sleep 1 ;; esac\n'
                       f'exec {program}.real "$@"\n')
    program.chmod(0o755)
    for folder in tree.parents:
        if folder.name.startswith("sh-"):
            folder.chmod(0o755)     # the front is another user where root runs this


@pytest.mark.parametrize("quickstart", ["built"], indirect=True)
def test_webhooks_that_are_off_are_said_to_be(quickstart, folder):
    quickstart.start("--config", str(write_config(folder, enabled=False)))
    quickstart.wait(r"^\s*Ctrl-C here stops it\.$")
    assert re.search(r"^\s+webhooks +off$", quickstart.text, re.M), quickstart.text
    assert "null" not in quickstart.text and "switch webhooks.enabled on" in quickstart.text
    assert quickstart.interrupt() == 130


def test_the_ordinary_run_says_where_things_are_and_what_is_next(quickstart, folder):
    config = write_config(folder)
    if quickstart.stubbed:
        late_webhook_front(quickstart.tree)
    quickstart.start("--config", str(config))
    quickstart.wait(r"^\s*Ctrl-C here stops it\.$", BUILD_S)
    text = quickstart.text
    check_calls(quickstart)
    api = re.search(r"^\s+API +(http://localhost:\d+)$", text, re.M)[1]
    port = api.rsplit(":", 1)[1]
    assert re.search(r"^\s+webhooks +http://127\.0\.0\.1:\d+/webhooks/kick$", text, re.M)
    for platform in ("twitch", "kick", "youtube"):
        assert re.search(rf"^\s+{platform} +http://localhost:{port}/oauth/callback/{platform}$",
                         text, re.M), text
    command = f"{quickstart.tree.resolve()}/build/bin/streamhold --config {config}"
    for step in ("app add kick", "login kick YOUR_NAME", "subs set YOUR_NAME all", "status",
                 "events list"):
        assert f"{command} {step}\n" in text, text
    assert re.search(r"cloudflared tunnel --url http://127\.0\.0\.1:\d+$", text, re.M)
    # The commands are those that work.
    done = subprocess.run([*command.split(), "status", "--json"], capture_output=True, text=True,
                          timeout=30)
    assert json.loads(done.stdout)["api_url"] == api
    assert get(f"{api}/healthz")["status"] == "alive"
    assert quickstart.interrupt() == 130
    assert not quickstart.processes()


@pytest.mark.parametrize("quickstart", ["built"], indirect=True)
@pytest.mark.parametrize("name", ["cmake", "ninja"])
def test_a_build_that_fails_says_so(quickstart, name):
    stub(quickstart.stubs, name, 7, f"{name} has a reason")
    quickstart.start()
    assert quickstart.process.wait(30) == 1
    quickstart.reader.join(5)
    assert f"{name} has a reason" in quickstart.log.read_text()
    assert "the build failed; all of its output is in" in quickstart.log.read_text()


@pytest.mark.parametrize("quickstart", ["built"], indirect=True)
def test_help_builds_nothing(quickstart):
    quickstart.start("--help")
    assert quickstart.process.wait(30) == 0
    quickstart.reader.join(5)
    assert "packaging/quickstart --demo" in quickstart.text
    assert not (quickstart.stubs / "calls").exists()
