"""The benchmark programs of the build folder: find them, run them, read their JSON."""
import json
import pathlib
import shlex
import socket
import subprocess
import time

# Signatures older than this are made anew: the daemon refuses stale deliveries.
CORPUS_AGE_S = 12 * 3600
LENGTH_DIGITS = 8
RUN_LIMIT_S = 180
SIGN_LIMIT_S = 1800


class BenchError(Exception):
    """The benchmark itself cannot go on."""


def run_json(command, limit=RUN_LIMIT_S):
    """Runs a program that prints one line of JSON."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True,
                              text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{shlex.join(map(str, command))}: no end in {limit} s") from None
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise BenchError(f"{shlex.join(map(str, command))}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Tools:
    def __init__(self, build, folder=None):
        places = [folder] if folder else [build / "bench", build / "bin"]
        self.folder = next((pathlib.Path(place) for place in places
                            if (pathlib.Path(place) / "bench_load").exists()), None)
        if not self.folder:
            raise BenchError("bench_load is not in " + " or ".join(map(str, places)) +
                             "; build with: cmake -DTESTS=ON")

    def path(self, name):
        return str(self.folder / name)

    def calib(self, folder, keys):
        """What this machine can do at this moment, see bench_calib."""
        return run_json([self.path("bench_calib"), "-k", keys, folder])

    def load(self, port, connections, seconds, corpus, offset):
        return run_json([self.path("bench_load"), "-a", f"127.0.0.1:{port}",
                         "-c", connections, "-d", seconds, "-o", offset, corpus])

    def get(self, port, connections, seconds, path):
        return run_json([self.path("bench_load"), "-a", f"127.0.0.1:{port}",
                         "-c", connections, "-d", seconds, "-G", path])


class Corpus:
    """The file of signed deliveries and its key, kept between runs while fresh."""

    def __init__(self, tools, folder):
        self.tools = tools
        self.file = folder / "corpus.bin"
        self.keys = folder / "keys"
        self.count = 0

    @property
    def public_key(self):
        return self.keys / "kick_public.pem"

    def make_key(self):
        """The key alone, with the smallest file there can be."""
        if not self.public_key.exists():
            self._sign(1)

    def make(self, count, say):
        self._look()
        age = time.time() - self.file.stat().st_mtime if self.count else 0
        if self.count >= count and age < CORPUS_AGE_S:
            return
        say(f"signing {count} deliveries (kept in {self.file.parent} for later runs)")
        self._sign(count)
        self._look()
        if self.count != count:
            raise BenchError(f"{self.file}: {self.count} records, {count} wanted")

    def _sign(self, count):
        command = [self.tools.path("bench_sign"), str(count), str(self.file),
                   str(self.keys)]
        done = subprocess.run(command, capture_output=True, text=True,
                              timeout=SIGN_LIMIT_S, check=False)
        if done.returncode != 0:
            raise BenchError(f"bench_sign: {done.stderr.strip()}")

    def _look(self):
        """bench_sign makes all records of one size."""
        self.count = 0
        if self.file.exists() and self.public_key.exists():
            size = LENGTH_DIGITS + len(self.record(0))
            self.count = self.file.stat().st_size // size

    def record(self, index):
        with open(self.file, "rb") as file:
            size = int(file.read(LENGTH_DIGITS))
            file.seek((LENGTH_DIGITS + size) * index + LENGTH_DIGITS)
            return file.read(size)


def send_one(port, request):
    """Sends one request on a connection of its own; returns the answer's status."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = connection.recv(4096)
            if not more:
                raise BenchError("the connection closed before the first answer")
            answer += more
    return int(answer.split(b" ", 2)[1])
