"""Misbehaviour on order, the control path, and the program that starts all three."""
import contextlib
import gc
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from .client import Control, ControlError, approve, fetch
from .flow import INVALID_GRANT_401, SECRET, VERIFIER, check
from .store import s256
from .twitch import FakeTwitch

# -- scripts -----------------------------------------------------------------------


def raw_exchange(flow, timeout=5, silence=0.2):
    """All bytes that come back for a refresh, and how the connection ended: within `timeout` the
    first must come, and nothing for `silence` after it is the end."""
    body = urlencode({"grant_type": "client_credentials", "client_id": "cid",
                      "client_secret": SECRET}).encode()
    parts = urlsplit(flow.token_url)
    head = (f"POST {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/"
            f"x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n").encode()
    data = b""
    with socket.create_connection((parts.hostname, parts.port), timeout) as sock:
        sock.sendall(head + body)
        try:
            while piece := sock.recv(65536):
                data += piece
                sock.settimeout(silence)
        except socket.timeout:
            return data, "open"
        except ConnectionResetError:
            return data, "reset"
    return data, "end"


def test_stopping_closes_every_connection_and_leaves_no_task(monkeypatch, caplog):
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: ignored.append(str(what.exc_value)))
    for _ in range(20):
        fake = FakeTwitch().start()
        clients = [socket.create_connection(("127.0.0.1", fake.listeners["id"].port), 5)
                   for _ in range(20)]
        for client in clients[::2]:
            client.sendall(b"GET / HTTP/1.1\r\n")
        fake.stop()
        for client in clients:
            with client, contextlib.suppress(ConnectionResetError):
                assert client.recv(100) == b""
        del fake, clients, client
        gc.collect()
    assert not ignored and not caplog.records


@pytest.mark.parametrize("mode,ending,first", [
    ("drop_before", "end", b""), ("drop_after_commit", "end", b""),
    ("reset", "reset", b""), ("reset_after_commit", "reset", b""),
    ("hang", "open", b""), ("half_close", "end", b"HTTP/1.1 200 OK"),
    ("html502", "open", b"HTTP/1.1 502 Bad Gateway"),
    ("empty400", "open", b"HTTP/1.1 400"), ("empty403", "open", b"HTTP/1.1 403"),
    ("cf403", "open", b"HTTP/1.1 403"), ("truncate", "open", b"HTTP/1.1 200")])
def test_wire_modes(kick, mode, ending, first):
    kick.fake.next("token", mode=mode)
    data, ended = raw_exchange(kick, 0.5 if mode == "hang" else 5)
    assert ended == ending and data.startswith(first) and bool(data) == bool(first)
    head, _, body = data.partition(b"\r\n\r\n")
    if mode == "half_close":
        promised = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        assert 0 < len(body) < promised
    if mode == "truncate":
        with pytest.raises(ValueError):
            json.loads(body)
    if mode.startswith("empty"):
        assert body == b"" and b"Content-Length: 0" in head
    if mode == "cf403":
        assert json.loads(body)["error"].startswith("Request blocked") and b"cf-ray" in head
    issued = len(kick.fake.state()["tokens"])
    assert issued == (1 if mode in ("drop_after_commit", "reset_after_commit", "half_close",
                                    "truncate") else 0)
    assert raw_exchange(kick)[0].startswith(b"HTTP/1.1 200")     # once only


def test_lost_answer_after_rotation(kick):
    first = kick.login()["refresh_token"]
    kick.fake.next("token", mode="drop_after_commit")
    with pytest.raises(OSError):
        kick.refresh(first)
    check(kick.refresh(first), INVALID_GRANT_401)
    assert [entry["mode"] for entry in kick.fake.asked("token")][1] == "drop_after_commit"


def test_slow_and_drip(kick):
    kick.fake.next("token", mode="slow", delay_s=0.3)
    begun = time.monotonic()
    kick.login()
    assert time.monotonic() - begun >= 0.3
    kick.fake.next("token", mode="drip", interval_s=0.001)
    assert kick.login()["access_token"]


def test_scripted_answers(kick):
    kick.fake.next("token", status=503, headers={"Retry-After": "7"}, count=2)
    for _ in range(2):
        answer = kick.exchange()
        assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    kick.fake.next("token", patch={"expires_in": None, "x": 1}, remove=["scope"])
    body = kick.login()
    assert body["expires_in"] is None and body["x"] == 1 and "scope" not in body
    kick.fake.next("token", body_size=100000)
    assert len(kick.exchange().body) == 100000
    kick.fake.next("token", mode="raw", raw="HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert kick.exchange().json() == {}


def test_control_over_http(kick):
    control = Control(kick.fake.url("api"))
    control.next("token", mode="empty400")
    assert kick.exchange().status == 400
    assert control.asked("token")[0]["form"]["client_secret"] == SECRET
    with pytest.raises(ControlError, match="unknown setting"):
        control.set(rotatoin="strict")
    with pytest.raises(ControlError, match="must be one of"):
        control.set(rotation="sometimes")
    with pytest.raises(ControlError, match="unknown endpoint"):
        control.next("tokens", mode="reset")
    with pytest.raises(ControlError, match="unknown mode"):
        control.next("token", mode="explode")
    control.set(rotation="relaxed")
    control.reset()
    state = control.state()
    assert state["settings"]["rotation"] == "strict" and len(state["apps"]) == 2
    url = kick.fake.url() + "/_control/"
    assert fetch("GET", url + "requests?endpoint=token").json() == {"result": []}
    assert fetch("GET", url + "reset").status == 404
    assert fetch("POST", url + "stop").status == 404


# -- the program -------------------------------------------------------------------


def test_program(tmp_path):
    uri = "http://localhost:3999/oauth/callback/kick"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fake", "--dir", str(tmp_path), "--auto",
         "--redirect", "kick=" + uri], stdout=subprocess.PIPE, cwd=root)
    try:
        ready = json.loads(process.stdout.readline())
        with open(tmp_path / "fakes.json", encoding="utf-8") as file:
            assert json.load(file) == ready
        for name in ("secret.kick", "secret.twitch", "secret.youtube", "kick_private.pem"):
            assert os.stat(tmp_path / name).st_mode & 0o777 == 0o600
        section = ready["config"]["platforms"]["kick"]
        query = urlencode({"response_type": "code", "client_id": "demo-client",
                           "redirect_uri": uri, "scope": "user:read", "state": "s",
                           "code_challenge": s256(VERIFIER), "code_challenge_method": "S256"})
        location = approve(section["authorize_url"] + "?" + query)
        answer = fetch("POST", section["token_url"], {
            "grant_type": "authorization_code", "client_id": "demo-client",
            "client_secret": (tmp_path / "secret.kick").read_text(), "redirect_uri": uri,
            "code_verifier": VERIFIER,
            "code": parse_qs(urlsplit(location).query)["code"][0]})
        bearer = {"Authorization": "Bearer " + answer.json()["access_token"]}
        user = fetch("GET", section["api_url"] + "/users", headers=bearer).json()["data"][0]
        assert user["name"] == ready["platforms"]["kick"]["user"]
        key = fetch("GET", section["api_url"] + "/public-key").json()["data"]["public_key"]
        assert (tmp_path / "kick_public.pem").read_text() == key + "\n"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_tls(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", "key", "-out", "cert"], cwd=tmp_path, check=True,
                   stderr=subprocess.DEVNULL)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    client = ssl.create_default_context(cafile=tmp_path / "cert")
    with FakeTwitch(tls=server) as fake:
        assert fake.url().startswith("https://127.0.0.1:")
        connection = http.client.HTTPSConnection(urlsplit(fake.url()).netloc, context=client)
        connection.request("GET", "/oauth2/validate")
        assert connection.getresponse().status == 401
        connection.close()
