"""A program that events are pushed to: answers as it is told, and remembers what it was given.
Run as a process it notes what it was given in a file, and may be killed at any moment."""
import base64
import functools
import hashlib
import hmac
import http.server
import json
import pathlib
import socket
import socketserver
import subprocess
import sys
import threading
import time
from dataclasses import dataclass


@dataclass
class Push:
    """What one attempt brought."""

    path: str
    headers: dict
    body: bytes
    at: float
    status: int

    @functools.cached_property
    def event(self):
        # Here, since the process below is started by itself.
        from tests.lib import shape     # pylint: disable=import-outside-toplevel
        return shape.check([json.loads(self.body)["data"]])[0]

    @property
    def seq(self):
        return self.event["seq"]

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def redelivered(self):
        """As the header says, which must agree with the event."""
        said = self.headers.get("streamhold-redelivered") == "true"
        assert said == ("redelivered" in self.event["flags"])
        return said


def signature(secret, push_id, timestamp, body):
    """Standard Webhooks 1.0, written anew."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{push_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass        # a peer that goes is no error


class Target:
    """answer(push) gives a status, or (status, headers), or None to close without an answer."""

    def __init__(self, answer=lambda push: 200, port=0):
        self.answer, self.pushes, self.changed = answer, [], threading.Condition()
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                names = [name.lower() for name in self.headers.keys()]
                assert len(set(names)) == len(names), names
                push = Push(self.path, {name.lower(): value
                                        for name, value in self.headers.items()},
                            body, time.time(), 0)
                said = target.answer(push)
                status, headers = said if isinstance(said, tuple) else (said, {})
                push.status = status
                with target.changed:
                    target.pushes.append(push)
                    target.changed.notify_all()
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):
                raise AssertionError("a redirect was followed")

            def log_message(self, *_):
                pass

        self.server = _Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)
        if kind is None:
            from tests.lib import shape     # pylint: disable=import-outside-toplevel
            shape.check([json.loads(push.body)["data"] for push in self.pushes])

    def taken(self):
        """The attempts that were answered with a 2xx, in the order of their answers."""
        with self.changed:
            return [push for push in self.pushes if push.status and 200 <= push.status < 300]

    def wait(self, count, timeout=20, what=None):
        """Waits until there are so many attempts (or such attempts); gives them."""
        what = what or (lambda push: True)

        def found():
            return [push for push in self.pushes if what(push)]

        with self.changed:
            good = self.changed.wait_for(lambda: len(found()) >= count, timeout)
            assert good, f"{len(found())} of {count} attempts after {timeout} s: " + \
                str([push.status for push in self.pushes][-20:])
            return found()

    def wait_taken(self, count, timeout=20):
        return self.wait(count, timeout,
                         lambda push: push.status and 200 <= push.status < 300)


class Process:
    """A target that is a process of its own: kill() and start() as often as one likes. Whoever pushes
    meanwhile is refused the connection, as by any program that is not there."""

    def __init__(self, notes, work_s=0):
        self.notes, self.work_s, self.secret, self.child = pathlib.Path(notes), work_s, "", None
        # Keeps the port for the children, and does not listen.
        self.holder = socket.socket()
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.holder.bind(("127.0.0.1", 0))
        self.port = self.holder.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def start(self):
        """Returns when it listens."""
        self.child = subprocess.Popen(
            [sys.executable, "-E", __file__, str(self.port), str(self.notes), str(self.work_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.child.stdin.write(self.secret + "\n")
        self.child.stdin.flush()
        assert self.child.stdout.readline() == "ready\n"

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def close(self):
        self.kill()
        self.holder.close()

    def size(self):
        return self.notes.stat().st_size if self.notes.exists() else 0

    def noted(self):
        """(seq, redelivered) in the order in which they came. A process that was killed may leave
        a line unfinished, and has then not taken that event."""
        lines = self.notes.read_bytes().decode().split("\n")[:-1] if self.notes.exists() else []
        return [(int(line.split()[0]), line.split()[1] == "1") for line in lines]


def _serve(port, path, work_s, secret):
    """Notes each event, then works, then answers 200; 400 when the signature is wrong."""
    notes = open(path, "ab", buffering=0)       # pylint: disable=consider-using-with

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            wanted = signature(secret, self.headers["webhook-id"],
                               self.headers["webhook-timestamp"], body)
            good = wanted in self.headers["webhook-signature"].split()
            if good:
                event = json.loads(body)["data"]
                marked = int(self.headers.get("streamhold-redelivered") == "true")
                notes.write(b"%d %d\n" % (event["seq"], marked))
                time.sleep(work_s)
            self.send_response(200 if good else 400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(_Server):
        def server_bind(self):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            super().server_bind()

    with Server(("127.0.0.1", port), Handler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.stdin.readline().strip())
