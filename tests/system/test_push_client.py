"""Pushed events, verified by a Standard Webhooks library that no one here wrote."""
import base64
import json
import subprocess

from tests.conftest import ROOT
from tests.lib.target import Target
from tests.lib.tools import npm_package
from tests.system.consumer_stage import deliver, start

PACKAGE, needs_package = npm_package("standardwebhooks")


def line(push, **changed):
    return json.dumps({"headers": {**push.headers, **changed},
                       "body": base64.b64encode(push.body).decode()})


def verify(secret, lines):
    done = subprocess.run(["node", str(ROOT / "tests/npm/verify.cjs"), str(PACKAGE)],
                          input="\n".join([secret, *lines]) + "\n", capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


@needs_package
def test_standardwebhooks_of_npm_verifies_what_is_pushed(streamhold, folder):
    daemon = start(streamhold, folder)
    answers = iter([503, 200])
    with Target(lambda push: next(answers, 200)) as target:
        done = daemon.cli("consumers", "add", "bot", "--forward", target.url, "--allow-private",
                          "127.0.0.1")
        secret = done.stdout.strip()
        deliver(daemon, 2)
        deliver(daemon, 1, "channel.followed")
        target.wait_taken(3)
        assert daemon.cli("consumers", "test", "bot").returncode == 0
        pushes = target.wait(5)
    assert verify(secret, [line(push) for push in pushes]) == [
        "chat.message.sent", "chat.message.sent", "chat.message.sent", "channel.followed",
        "streamhold.test"]
    one, other = pushes[0], pushes[3]
    wrong = [line(one, **{"webhook-id": other.id}),
             line(one, **{"webhook-timestamp": str(int(one.headers["webhook-timestamp"]) + 1)}),
             line(one, **{"webhook-signature": other.headers["webhook-signature"]})]
    assert verify(secret, wrong) == ["refused"] * 3
    stranger = "whsec_" + base64.b64encode(b"s" * 32).decode()
    assert verify(stranger, [line(one)]) == ["refused"]
