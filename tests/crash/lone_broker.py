"""A broker alone, on a copy of a prepared state folder: started in a moment, without the fronts,
asked by the command over an admin socket that outlives it."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import replace

from tests.lib.platforms import USER, login, put_credentials

ACCOUNT = f"kick/{USER}"
READY = re.compile(r"streamhold-broker \S+ is ready")
CUT_OFF = re.compile(r"was cut off")
ENDED = re.compile(r"tokens of '.*' at \w+ refreshed|the login of '.*' at \w+ is lost")


class Prepared:
    """One login at a fake platform, kept so that each round begins with it anew."""

    def __init__(self, streamhold, fakes, folder, build, rotation, refreshed=False,
                 keyring=None, platform="kick"):
        self.platform = platform
        self.account = f"{platform}/{USER}"
        self.fake = fakes[platform]
        self.has_previous = refreshed
        self.folder = folder
        self.environment = keyring.environment if keyring else {}
        more = {"keystore": {"backend": "secret-service"}} if keyring else {}
        self.daemon = streamhold(fakes.config(folder, **more), build=build,
                                 environment=self.environment)
        fakes.register(self.daemon, [platform])
        self.fake.set(rotation=rotation, grace_s=3600)
        put_credentials(self.daemon, platform)
        assert login(self.daemon, platform).status == 200
        if refreshed:
            assert self.daemon.post(f"/oauth/refresh/{self.account}").status == 200
        assert self.daemon.cli("token", "allow", self.account).returncode == 0
        assert self.daemon.stop() == 0
        self.state = folder / "state"
        self.kept = folder / "kept"
        shutil.copytree(self.state, self.kept)
        self.tokens = {value: replace(token) for value, token in self.fake.store.tokens.items()}
        self.generation = self.daemon.sql("SELECT generation FROM accounts")[0][0]

    def restore(self):
        """State folder and platform as they were. What a broker that was killed had sent is
        dealt with before."""
        self.fake.settle()
        shutil.rmtree(self.state)
        shutil.copytree(self.kept, self.state)
        with self.fake.lock:
            self.fake.store.tokens = {value: replace(token)
                                      for value, token in self.tokens.items()}
            self.fake.script.requests = []

    def refreshes(self):
        """Requests with a refresh token that the platform has had."""
        return [one["form"]["refresh_token"] for one in self.fake.asked("token")
                if one["form"].get("grant_type") == "refresh_token"]

    def spent(self):
        """Whether the platform has carried a refresh out."""
        return any(one["status"] == 200 for one in self.fake.asked("token"))

    def look(self, statement):
        """Asks a copy of the database as a crash has left it; its log included."""
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self.state.glob("streamhold.db*"):
            shutil.copy(path, copy)
        with sqlite3.connect(copy / "streamhold.db") as database:
            rows = database.execute(statement).fetchall()
        database.close()
        return rows

    def is_stored(self):
        """Whether fresh tokens are in the database."""
        return self.look("SELECT generation FROM accounts")[0][0] > self.generation

    def token_works(self, token):
        """Whether the platform takes it; Kick is asked as anybody asks it."""
        if self.platform != "kick":
            return any(one["value"] == token and one["use"] == "access" and one["live"]
                       for one in self.fake.state()["tokens"])
        asked = urllib.request.Request(self.fake.url("api") + "/public/v1/users",
                                       headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(asked, timeout=10) as reply:
                return reply.status == 200
        except urllib.error.HTTPError:
            return False


class LoneBroker:
    """The program by itself; `prepared` gives configuration and folders."""

    def __init__(self, prepared, build):
        self.prepared = prepared
        self.build = pathlib.Path(build)
        self.folder = prepared.folder
        self.config = prepared.daemon.config_file
        (self.folder / "run").mkdir(mode=0o700, exist_ok=True)
        self.socket = self.folder / "run" / "broker.sock"
        self.socket.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.socket))
        self.listener.listen(16)
        self.log_file = self.folder / "broker.log"
        self.process = None

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.listener.close()

    def start(self, wait=True):
        number = self.listener.fileno()
        script = f'export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=admin; exec "$@" 3<&{number}'
        with open(self.log_file, "w") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", script, "bash", str(self.build / "bin" / "streamhold-broker"),
                 "--config", str(self.config)],
                pass_fds=[number], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.prepared.environment})
        if wait:
            self.wait_log(READY)
        return self

    def rest(self):
        """Until what the broker does by itself after a start is over: Twitch wants tokens checked
        then (facts A.8)."""
        end = time.monotonic() + 10
        while self.prepared.platform == "twitch" and not self.checks():
            assert time.monotonic() < end, self.log()
            time.sleep(0.01)

    def checks(self):
        [account] = json.loads(self.cli("--json", "accounts").stdout)["accounts"]
        return account.get("checked_at")

    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_log(self, pattern, timeout=30):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if pattern.search(self.log()):
                return
            assert self.process.poll() is None, self.log()
            time.sleep(0.003)
        raise AssertionError(f"never logs {pattern.pattern!r}:\n{self.log()}")

    def come_to_rest(self):
        """Until a refresh that was cut off has been resolved. True when there was one."""
        found = CUT_OFF.search(self.log()) is not None
        if found:
            self.wait_log(ENDED)
        return found

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, or_killed=False):
        """In order; with `or_killed` somebody else may have been quicker. Its exit status."""
        self.process.terminate()
        code = self.process.wait(20)
        assert code == 0 or (or_killed and code == -signal.SIGKILL), f"{code}\n{self.log()}"
        return code

    def command(self, *words):
        return [str(self.build / "bin" / "streamhold"), "--socket", str(self.socket), *words]

    def cli(self, *words, timeout=60):
        return subprocess.run(self.command(*words), capture_output=True, text=True,
                              timeout=timeout)

    def account(self):
        done = self.cli("--json", "accounts")
        assert done.returncode == 0, done.stderr
        [account] = json.loads(done.stdout)["accounts"]
        return account
