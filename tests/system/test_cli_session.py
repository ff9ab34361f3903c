"""The command and `up` with the real daemons and the fake platforms: a first session."""
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.parse

import pytest

from tests.fake import sender
from tests.fake.client import approve
from tests.lib.platforms import CLIENT_ID, CLIENT_SECRET, USER


@pytest.fixture
def service(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    return daemon


def as_json(result, status=0):
    assert result.returncode == status, result.stderr
    document = json.loads(result.stdout)
    assert document["format_version"] == 1
    return document


def add_app(service, platform="kick", secret=CLIENT_SECRET):
    return service.cli("app", "add", platform, "--client-id", CLIENT_ID, "--secret-stdin",
                       stdin=secret + "\n")


def start_login(service, *arguments):
    process = subprocess.Popen(
        [service.program("streamhold"), "--config", str(service.config_file), "login",
         *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def finish_login(service, address):
    target = urllib.parse.urlsplit(approve(address))
    assert target.hostname == "localhost" and target.port == service.api_port
    return service.get(f"{target.path}?{target.query}")


def login(service, *arguments):
    process, address = start_login(service, *arguments)
    page = finish_login(service, address)
    _, talk = process.communicate(timeout=20)
    return process.returncode, talk, page


def test_a_first_session(service, fakes):
    document = as_json(service.cli("status", "--json"))
    assert document["overall"] == "ok"
    assert (document["api_port"], document["webhook_port"]) == \
        (service.api_port, service.webhook_port)
    added = add_app(service)
    redirect = f"http://localhost:{service.api_port}/oauth/callback/kick"
    assert added.returncode == 0 and f"  {redirect}\n" in added.stdout
    assert document["redirect_uris"]["kick"] == redirect

    status, talk, page = login(service, "kick", USER)
    assert status == 0 and page.status == 200
    assert f"Logged in to kick as {USER} (verified)" in talk
    assert "granted: " in talk and "not granted" not in talk

    account = as_json(service.cli("accounts", "--json"))["accounts"][0]
    assert (account["platform"], account["username"], account["status"]) == \
        ("kick", USER, "valid")
    for one in sender.build_many("channel.followed", fakes.signer, "valid", 3):
        assert sender.send(f"http://127.0.0.1:{service.webhook_port}/webhooks/kick",
                           one).status == 200
    listed = as_json(service.cli("events", "list", "--json"))
    assert [event["seq"] for event in listed["events"]] == [1, 2, 3]
    assert listed["events"] == service.events()
    assert len(service.cli("events", "list", "--limit", "2").stdout.splitlines()) == 2

    sections = as_json(service.cli("inspect", "--json"))["sections"]
    assert {"versions", "listening", "fronts", "database", "keystore", "accounts", "counts",
            "flows"} <= set(sections)
    assert sections["counts"]["deliveries_stored"] == 3
    assert sections["fronts"]["api.connected"] == "yes"
    assert CLIENT_SECRET not in service.text_log() + json.dumps(sections)


@pytest.mark.parametrize("platform", ["twitch", "kick", "youtube"])
def test_every_platform_can_be_logged_in(service, platform):
    assert add_app(service, platform).returncode == 0
    status, talk, _ = login(service, platform, USER)
    assert status == 0 and f"Logged in to {platform}" in talk


def test_a_denied_login_is_status_4(service, fakes):
    add_app(service)
    fakes["kick"].set(authorize="deny")
    status, talk, page = login(service, "kick", USER)
    assert status == 4 and page.status == 400
    assert f"-> streamhold login kick {USER}\n" in talk


def test_an_exchange_that_fails_is_status_6(service, fakes):
    add_app(service)
    fakes["kick"].next("token", mode="html502", count=-1)
    status, talk, page = login(service, "kick", USER)
    assert status == 6 and page.status == 502 and "  -> streamhold" in talk


def test_another_account_is_status_4_and_adopt_takes_it(service):
    add_app(service)
    status, talk, page = login(service, "kick", "somebody_else")
    assert status == 4 and page.status == 409
    assert "-> streamhold login kick somebody_else --adopt" in talk
    status, talk, _ = login(service, "kick", "somebody_else", "--adopt")
    assert status == 0 and "as Streamer123" in talk


def test_missing_scopes_are_said(service, fakes):
    add_app(service)
    fakes["kick"].next("token", mode="pass", patch={"scope": "user:read channel:read"})
    status, talk, _ = login(service, "kick", USER)
    assert status == 0 and re.search(r"^not granted: .*chat:write", talk, re.M)
    assert "not granted" in service.cli("accounts").stdout


def test_login_without_an_app_is_status_5(service):
    result = service.cli("login", "kick", USER)
    assert result.returncode == 5 and "streamhold app add kick" in result.stderr


def test_a_login_survives_a_restart_of_the_broker(service):
    add_app(service)
    process, address = start_login(service, "kick", USER)
    time.sleep(0.3)     # until it waits
    os.kill(service.broker_pid(), signal.SIGKILL)
    service.wait_log("broker is ready again")
    finish_login(service, address)
    _, talk = process.communicate(timeout=20)
    assert process.returncode == 0, talk
    assert "Logged in to kick" in talk


def test_apps_are_listed_and_removed(service):
    add_app(service)
    app = as_json(service.cli("app", "list", "--json"))["apps"][0]
    assert (app["platform"], app["client_id"]) == ("kick", CLIENT_ID)
    assert CLIENT_SECRET not in service.cli("app", "list").stdout
    assert service.cli("app", "remove", "kick", "--yes").returncode == 0
    assert as_json(service.cli("app", "list", "--json"))["apps"] == []
    assert service.cli("app", "remove", "kick", "--yes").returncode == 5


def webhook_front(service):
    return next(pid for pid in service.children()["httpd"]
                if b"webhook" in open(f"/proc/{pid}/cmdline", "rb").read())


def test_without_the_webhook_front_it_is_degraded(service):
    service.process.send_signal(signal.SIGSTOP)     # so that nobody starts it again
    os.kill(webhook_front(service), signal.SIGKILL)
    end = time.monotonic() + 10
    while (result := service.cli("status", "--check")).returncode == 0:
        assert time.monotonic() < end
    assert result.returncode == 7 and result.stdout.startswith("degraded")
    assert as_json(service.cli("status", "--json"))["overall"] == "degraded"
    service.process.send_signal(signal.SIGCONT)
    service.wait_log("the webhook front is connected", count=2)
    assert service.cli("status", "--check").returncode == 0


def test_after_stopping_it_is_status_3(service):
    assert service.stop() == 0
    result = service.cli("status")
    assert (result.returncode, result.stdout) == (3, "stopped\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_user_is_refused(service, folder):
    folder.chmod(0o755)
    (folder / "run").chmod(0o755)
    (folder / "run" / "broker.sock").chmod(0o666)   # only the broker itself is in the way
    copy = folder / "streamhold"
    copy.write_bytes(open(service.program("streamhold"), "rb").read())
    copy.chmod(0o755)
    result = subprocess.run([copy, "accounts", "--socket", folder / "run" / "broker.sock"],
                            user="nobody", group="nogroup", extra_groups=[],
                            capture_output=True, text=True, timeout=20)
    assert result.returncode == 1 and "group streamhold" in result.stderr
    service.wait_log("may not use the admin socket")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_up_serves_an_ordinary_user(streamhold, build, folder):
    folder.chmod(0o755)
    shutil.copytree(build / "bin", folder / "bin")   # the build may lie where only root enters
    for name in ("state", "run"):
        (folder / name).mkdir(mode=0o700)
        os.chown(folder / name, 65534, 65534)
    daemon = streamhold(user="nobody", build=folder)
    assert daemon.get("/readyz").status == 200
    assert daemon.stop() == 0


def test_a_killed_broker_comes_back_and_answers(service):
    for turn in range(1, 4):
        os.kill(service.broker_pid(), signal.SIGKILL)
        service.wait_log("broker is ready again", count=turn)
        service.wait_log("api link: the broker is linked", count=turn + 1)
        assert service.get("/readyz").status == 200
    assert service.stop() == 0


def test_a_lost_key_ends_up_with_status_2(service, folder):
    add_app(service)
    assert service.stop() == 0
    (folder / "state" / "vault.key").unlink()
    service.spawn()
    assert service.wait_exit() == 2
    assert "vault.key" in service.text_log()
