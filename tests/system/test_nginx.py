"""A real nginx with the README's block in front of the webhook listener: signed deliveries come
through byte for byte."""
import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from tests.conftest import ROOT
from tests.fake import delivery as making
from tests.fake.keys import Signer
from tests.fake.sender import send
from tests.lib import ports
from tests.lib.stopwatch import Stopwatch

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(not NGINX, reason="needs nginx (tests/debian-packages.txt)")
SIGNER = Signer()
LONGEST = 262144            # webhooks.max_body_bytes
# What nginx needs to run in a folder of the test's own, by anybody.
FRAME = """daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
{block}    }}
}}
"""


def block_of_the_readme():
    found, = re.findall(r"^```nginx\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)
    return found


class Nginx:
    def __init__(self, folder, block):
        self.folder, self.port = folder / "nginx", ports.steady()
        self.folder.mkdir()
        config = self.folder / "nginx.conf"
        config.write_text(FRAME.format(folder=self.folder, port=self.port, block=block))
        self.url = f"http://127.0.0.1:{self.port}/webhooks/kick"
        self.process = subprocess.Popen(
            [NGINX, "-p", self.folder, "-e", self.folder / "error.log", "-c", config],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def is_there(self):
        assert self.process.poll() is None, self.process.stdout.read().decode()
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def daemon(streamhold, folder):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    return streamhold({"platforms": {"kick": {"public_key_file": str(key)}}})


# As it is shown, and the other way of it that docs/tunnels.md calls fine: nginx then hands a
# chunked body on in chunks.
@pytest.fixture(params=["on", "off"])
def nginx(request, daemon, folder):
    block = block_of_the_readme()
    for shown, here in (
            ("proxy_pass http://127.0.0.1:3001;", f"proxy_pass http://127.0.0.1:{daemon.webhook_port};"),
            ("proxy_request_buffering on;", f"proxy_request_buffering {request.param};")):
        assert block.count(shown) == 1
        block = block.replace(shown, here)
    running = Nginx(folder, block)
    try:
        Stopwatch().wait(running.is_there, 10)
        yield running
    finally:
        running.close()


def padded(size):
    """A chat message with a text so long that the body has that many bytes."""
    body = json.loads(making.build("chat.message.sent", SIGNER).body)
    body["content"] = ""
    body["content"] = "x" * (size - len(json.dumps(body)))
    return json.dumps(body).encode()


BODIES = {
    "usual": None,
    "spaces": b' { "a" : 1.0e2 ,\t"dup":1,\r\n"dup":2, "n":12345678901234567890, "e":"\\u00e9\\/"} \n',
    "every byte": bytes(range(256)) * 4,
    "header ends": b"\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "250 KiB": padded(250 * 1024),
    "longest": padded(LONGEST),
    "250 KiB of noise": os.urandom(250 * 1024),
}


def stored(daemon, one):
    """The body as it is handed out."""
    raw = daemon.get(f"/events/{one.message_id}").body
    encoded = json.loads(raw).get("payload_base64")
    return base64.b64decode(encoded) if encoded is not None else raw[
        raw.index(b'"payload":') + len(b'"payload":'):-1]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_deliveries_come_through_byte_for_byte(daemon, nginx, chunked):
    for name, body in BODIES.items():
        one = making.build("chat.message.sent", SIGNER, body=body)
        reply = send(nginx.url, one, chunked=chunked)
        assert reply.status == 200, (name, reply)
        verdict = "stored" if name in ("usual", "250 KiB", "longest") else "quarantined"
        assert json.loads(reply.body) == {"status": verdict}, name
        assert stored(daemon, one) == one.body, name
        assert json.loads(send(nginx.url, one, chunked=chunked).body) == {"status": "duplicate"}


def test_refusals_come_through(daemon, nginx):
    one = making.build("chat.message.sent", SIGNER)
    one.body = one.body[:-1] + b" }"
    reply = send(nginx.url, one)
    assert (reply.status, reply.header("Streamhold-Error")) == (401, "signature_refused")
    large = making.build("chat.message.sent", SIGNER, body=padded(LONGEST + 1))
    for chunked in (False, True):
        assert send(nginx.url, large, chunked=chunked).status == 413
    assert send(nginx.url + "/more", making.build("chat.message.sent", SIGNER)).status == 404
    assert daemon.events(include="quarantined") == []


def test_a_delivery_waits_at_nginx_while_the_broker_comes_back(daemon, nginx):
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    assert send(nginx.url, making.build("chat.message.sent", SIGNER)).status == 200
