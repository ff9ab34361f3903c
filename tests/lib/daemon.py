"""A running Streamhold in a folder of its own: configuration, start, ports, calls, stop."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import threading
import time

from tests.lib import described, shape

READY = re.compile(r"listening api=(?:http://localhost:(\d+)|(\S+)) "
                   r"webhook=(?:http://(?:\[[0-9a-f:]+\]|[^:/]+):(\d+)(\S*)|off)")
# What `up`, and a build that names the call, say of a process that the sandbox has killed.
KILLED = re.compile(r"was killed by the sandbox|is not allowed, the process dies")
NAMES = {"streamhold-brok": "broker", "streamhold-http": "httpd"}


class Answer:
    """One HTTP answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def merged(base, more):
    result = dict(base)
    for key, value in (more or {}).items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            value = merged(result[key], value)
        result[key] = value
    return result


class Streamhold:
    def __init__(self, folder, config=None, build=None, arguments=(), environment=None,
                 user=None):
        self.folder = pathlib.Path(folder)
        self.build = pathlib.Path(build)
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.user = user
        self.config = merged({
            "server": {"port": 0, "rate_limit_per_s": 0},
            "webhooks": {"port": 0},
            "keystore": {"backend": "file"},
            # Nobody listens on this port, so a test that has no fakes asks nobody.
            "platforms": {"kick": {"api_url": "http://127.0.0.1:9/public/v1"}},
            "paths": {"state_dir": str(self.folder / "state"),
                      "runtime_dir": str(self.folder / "run")},
        }, config)
        self.config_file = self.folder / "config.json"
        self.log = []
        self.killed = []        # by the sandbox, over all starts
        self.process = None
        self.api_port = self.webhook_port = None

    # -- life -------------------------------------------------------------------------

    def write_config(self):
        self.config_file.write_text(json.dumps(self.config))

    def program(self, name):
        return str(self.build / "bin" / name)

    def command(self):
        return [self.program("streamhold"), "up", "--config", str(self.config_file),
                *self.arguments]

    def spawn(self):
        """Starts without waiting; for tests of how starting fails."""
        self.write_config()
        environment = {**os.environ, **self.environment}
        for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            if name not in self.environment:
                environment.pop(name, None)
        options = {}
        if self.user:
            options = {"user": self.user, "group": "nogroup", "extra_groups": []}
        self.log = []
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=environment, text=True, errors="replace",
            cwd=self.folder, **options)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        for line in self.process.stdout:
            self.log.append(line.rstrip("\n"))
            if KILLED.search(line):
                self.killed.append(line.rstrip("\n"))

    def start(self, timeout=20):
        self.spawn()
        found = self.wait_log(READY, timeout)
        self.api_port = int(found.group(1)) if found.group(1) else None
        self.webhook_port = int(found.group(3)) if found.group(3) else None
        self._wait_links()
        return self

    def _wait_links(self, timeout=5):
        """The broker is ready before its fronts know of it, and some pages do not wait for it.
        Where the links cannot be seen in the log there is nothing to wait for."""
        if self.config.get("logging", {}).get("level", "info") not in ("info", "debug"):
            return
        roles = [role for role, port in (("api", self.api_port), ("webhook", self.webhook_port))
                 if port]
        wanted = [text for role in roles for text in (
            rf"\b{role}\b.{{0,40}}the broker is linked", f"the {role} front is connected")]
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.process.poll() is None and not all(
                any(re.search(text, line) for line in list(self.log)) for text in wanted):
            time.sleep(0.005)

    def stop(self, how=signal.SIGTERM, timeout=20):
        """Stops `up`; returns its exit status."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not stop in time:\n" + self.text_log())
        self.reader.join(5)
        return status

    def wait_exit(self, timeout=20):
        status = self.process.wait(timeout)
        self.reader.join(5)
        return status

    # -- looking ----------------------------------------------------------------------

    def text_log(self):
        return "\n".join(self.log)

    def wait_log(self, pattern, timeout=20, count=1):
        """Waits for the count-th log line that matches; returns the match."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = [match for match in (re.search(pattern, line) for line in list(self.log))
                     if match]
            if len(found) >= count:
                return found[count - 1]
            if self.process.poll() is not None:
                self.reader.join(5)
                if not any(re.search(pattern, line) for line in self.log):
                    break
            time.sleep(0.005)
        raise AssertionError(f"no log line matches {pattern!r}:\n" + self.text_log())

    def children(self):
        """{"broker": [pid], "httpd": [pid, pid]}"""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)
            except OSError:
                continue
            name = fields[0].split("(", 1)[1]
            state, parent = fields[1].split()[:2]
            if int(parent) == self.process.pid and state != "Z":
                found.setdefault(NAMES.get(name, name), []).append(int(entry.name))
        return found

    def broker_pid(self):
        return self.children()["broker"][0]

    def sanitizer_reports(self):
        marks = ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer",
                 "Assertion")
        return [line for line in self.log if any(mark in line for mark in marks)]

    @property
    def database(self):
        return self.folder / "state" / "streamhold.db"

    def sql(self, statement, *values):
        """Runs a statement on the database of a stopped daemon; gives its rows."""
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            rows = database.execute(statement, values).fetchall()
            database.commit()
            return rows

    # -- asking -----------------------------------------------------------------------

    def call(self, method, path, body=None, headers=None, port=None, timeout=30):
        """One request to the API, or to another port of this daemon. A dict or list as body is
        sent as JSON. The answer is one that docs/openapi.yaml has."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", port or self.api_port,
                                                timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return described.check(
                method, path, Answer(reply.status, dict(reply.getheaders()), reply.read()),
                webhook=port is not None and port == self.webhook_port)
        finally:
            connection.close()

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body, **options)

    def delete(self, path, **options):
        return self.call("DELETE", path, **options)

    def cli(self, *arguments, stdin=None, timeout=30, environment=None):
        """Runs the `streamhold` command against this daemon."""
        return subprocess.run(
            [self.program("streamhold"), "--config", str(self.config_file), *arguments],
            input=stdin, capture_output=True, text=True, timeout=timeout,
            env={**os.environ, **(environment or {})}, cwd=self.folder)

    def events(self, **query):
        """Every stored event, read page by page; their shape is checked."""
        after, found = 0, []
        while True:
            more = "".join(f"&{name}={value}" for name, value in query.items())
            page = self.get(f"/events?after={after}&limit=500{more}").json()
            if not page["events"]:
                return found
            found += shape.check(page["events"])
            after = page["next_after"]
