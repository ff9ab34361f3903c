"""A server under measurement: start, ports, its processes' CPU and memory, stop."""
import collections
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

from .tools import BenchError

READY = re.compile(r"listening api=http://localhost:(\d+) "
                   r"webhook=http://127\.0\.0\.1:(\d+)(/\S*)")
READY_LIMIT_S = 20
STOP_LIMIT_S = 20
WEBHOOK_PATH = "/webhooks/kick"
TICK = os.sysconf("SC_CLK_TCK")
# As /proc shows names: cut at 15 bytes.
ROLES = {"streamhold-brok": "broker", "streamhold-vaul": "vault", "streamhold": "up"}


def make_config(folder, runtime, public_key, events=None):
    return {
        "server": {"port": 0, "rate_limit_per_s": 0},
        "webhooks": {"port": 0, "rate_limit_per_s": 0},
        "paths": {"state_dir": str(folder / "state"), "runtime_dir": str(runtime)},
        "platforms": {"kick": {"public_key_file": str(public_key)}},
        "keystore": {"backend": "file"},
        "events": events or {},
    }


def process_tree(root):
    """The pids of a process and all its descendants."""
    children = collections.defaultdict(list)
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z":
            children[int(fields[1])].append(int(entry.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children[pid]
    return found


def process_role(pid):
    name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    if name == "streamhold-http":
        line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
        role = re.search(rb"--role[ =](\w+)", line)
        return role.group(1).decode() if role else "httpd"
    return ROLES.get(name, name)


class Usage:
    """CPU seconds and memory of a process tree at one moment, by role."""

    def __init__(self, root):
        self.cpu, self.rss, self.peak = {}, {}, {}
        for pid in process_tree(root):
            try:
                self._add(pid)
            except (OSError, KeyError):
                continue  # it ended meanwhile

    def _add(self, pid):
        role = process_role(pid)
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        status = dict(line.split(":", 1) for line in
                      pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        kilobytes = {name: int(status[name].split()[0]) for name in ("VmRSS", "VmHWM")}
        self.cpu[pid] = (int(stat[11]) + int(stat[12])) / TICK
        self.rss[role] = self.rss.get(role, 0) + kilobytes["VmRSS"] / 1024
        self.peak[role] = self.peak.get(role, 0) + kilobytes["VmHWM"] / 1024

    def cpu_since(self, before):
        """CPU seconds since an earlier moment; None when a process was replaced."""
        if self.cpu.keys() != before.cpu.keys():
            return None
        return sum(self.cpu.values()) - sum(before.cpu.values())


class Running:
    """A server that somebody else started: nothing is started, stopped or counted."""

    def __init__(self, webhook_port, api_port, pid=None):
        self.webhook_port, self.api_port, self.pid = webhook_port, api_port, pid
        self.ready_ms = None

    def usage(self):
        return Usage(self.pid) if self.pid else None

    def stop(self):
        return None

    def stored(self):
        return None

    def clean(self):
        pass


class Server(Running):
    """A fresh server in a folder of its own, as a child of this process."""

    def __init__(self, command, work, public_key, events=None):
        super().__init__(None, None)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slice-", dir=work))
        # Socket addresses are short, whatever the work folder is called.
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="streamhold-bench-",
                                                     dir="/tmp"))
        config = self.folder / "config.json"
        config.write_text(json.dumps(make_config(self.folder, self.runtime / "run",
                                                 public_key, events)))
        self.command = [part.replace("{config}", str(config)) for part in command]
        self.log = collections.deque(maxlen=200)
        self.ready = threading.Event()
        self.process = None

    def start(self):
        self.started = time.monotonic()
        try:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, cwd=self.folder, start_new_session=True)
        except OSError as error:
            self.clean()
            raise BenchError(f"{self.command[0]}: {error.strerror}") from None
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.ready.wait(READY_LIMIT_S) or not self.webhook_port:
            self.stop()
            self.clean()
            raise BenchError(f"{shlex.join(self.command)}: not ready\n{self.text_log()}")
        self.ready_ms = (self.ready_at - self.started) * 1000
        return self

    def _read(self):
        for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            self.log.append(line)
            found = None if self.webhook_port else READY.search(line)
            if found:
                self.ready_at = time.monotonic()
                if found.group(3) != WEBHOOK_PATH:
                    self.log.append(f"webhook path is not {WEBHOOK_PATH}")
                    break
                self.api_port = int(found.group(1))
                self.webhook_port = int(found.group(2))
                self.ready.set()
        self.ready.set()

    def text_log(self):
        return "\n".join(list(self.log)[-20:])

    def stop(self):
        """Ends the server by TERM; returns what went wrong, or None."""
        if self.process.poll() is not None:
            return f"the server ended by itself ({self.process.returncode})"
        tree = process_tree(self.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            for pid in tree:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
            return f"the server did not stop in {STOP_LIMIT_S} s and was killed"
        self.reader.join(5)
        return f"the server ended with status {status}" if status else None

    def stored(self):
        """(events, message ids) in the database of a stopped server, or None."""
        database = self.folder / "state" / "streamhold.db"
        if not database.exists():
            return None
        connection = sqlite3.connect(database)
        try:
            return connection.execute(
                "SELECT count(*), count(DISTINCT message_id) FROM events").fetchone()
        except sqlite3.Error as error:
            raise BenchError(f"{database}: {error}") from None
        finally:
            connection.close()

    def clean(self):
        """Removes the folder and what a server that died may have left running."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.runtime, ignore_errors=True)
