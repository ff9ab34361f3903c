"""A broker for the command alone: listens on broker.sock and answers from a dictionary."""
import os
import socket
import struct
import subprocess
import threading

from tests.lib.link import Message, encode

NOW = 1768730400000          # 2026-01-18T10:00:00Z
KICK_CREDENTIALS = {
    "platform": "kick", "client_id": "my-client", "scopes": "user:read channel:read",
    "redirect_uri": "http://localhost:34567/oauth/callback/kick",
    "created_at": NOW, "updated_at": NOW + 1000,
}
ACCOUNT = {
    "platform": "kick", "username": "Streamer123", "status": "valid",
    "expires_at": NOW, "refresh_at": NOW - 300000, "refreshable": True,
    "scopes": "user:read channel:read", "missing_scopes": "", "identity": "verified",
    "user_id": "123", "display_name": "Streamer123",
}
REPORT = [
    ("versions", "streamhold", "1.2.3", False), ("versions", "sqlite", "3.40", False),
    ("listening", "api_url", "http://localhost:34567", False),
    ("listening", "api_port", "34567", True),
    ("listening", "webhook_url", "http://127.0.0.1:34568/webhooks/kick", False),
    ("listening", "webhook_port", "34568", True),
    ("listening", "redirect_uri.kick", "http://localhost:34567/oauth/callback/kick", False),
    ("fronts", "api.connected", "yes", False), ("counts", "deliveries_stored", "42", True),
]


def reports(rows=REPORT):
    return [("report", dict(zip(("section", "name", "value", "number"), row)))
            for row in rows] + [("list_end", {})]


def health(**states):
    return [("health", {"component": name, "state": state, "needed": True,
                        "detail": "" if state == "healthy" else f"{name} is ill"})
            for name, state in states.items()] + [("list_end", {})]


def failed(code, message="It did not work.", retry_after=0):
    return [("failed", {"code": code, "message": message, "retry_after": retry_after})]


class AdminBroker:
    """answers: {message name: list of (name, fields), or a function of the message}"""

    def __init__(self, folder, build, schema=None, silent=False):
        self.path = folder / "broker.sock"
        self.build = build
        self.schema = schema
        self.silent = silent
        self.asked = []
        self.connections = 0
        self.held = []
        self.answers = {
            "health_get": health(broker="healthy", database="healthy"),
            "report_get": reports(),
            "accounts_list": [("account", ACCOUNT), ("list_end", {})],
            "credentials_list": [("credentials", KICK_CREDENTIALS), ("list_end", {})],
        }
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.silent:
                peer.close()
                continue
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        pending = b""
        try:
            while True:
                while len(pending) < 4 or \
                        len(pending) < 4 + struct.unpack(">I", pending[:4])[0]:
                    more = peer.recv(65536)
                    if not more:
                        return
                    pending += more
                length = struct.unpack(">I", pending[:4])[0]
                message = Message(pending[4:4 + length])
                pending = pending[4 + length:]
                self.asked.append(message)
                if message.name == "hello":
                    peer.sendall(encode("hello", 0, schema=self.schema or message.schema,
                                        program="fake-broker", version="0", role="broker",
                                        frame_max=65536))
                    continue
                answer = self.answers.get(message.name)
                if callable(answer):
                    answer = answer(message)
                if answer is None:
                    self.held.append((peer, message))
                elif answer == "hang up":
                    peer.close()
                    return
                else:
                    peer.sendall(b"".join(encode(name, message.rid, **fields)
                                          for name, fields in answer))
        except OSError:
            return

    def questions(self, name=None):
        return [message for message in self.asked
                if message.name != "hello" and name in (None, message.name)]

    def close(self):
        self.listener.close()
        if self.path.exists():
            self.path.unlink()

    # -- the command ------------------------------------------------------------------

    def command(self, *arguments):
        return [str(self.build / "bin" / "streamhold"), *arguments, "--socket",
                str(self.path)]

    def run(self, *arguments, stdin="", environment=None, timeout=20):
        result = subprocess.run(
            self.command(*arguments), input=stdin, capture_output=True, text=True,
            timeout=timeout, env={**os.environ, "TZ": "UTC", **(environment or {})})
        assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr, \
            result.stderr
        return result
