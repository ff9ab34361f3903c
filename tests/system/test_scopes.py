"""Scopes that were not granted are named wherever a person looks, with what will not work
and what to do."""
import base64
import hashlib
import json
import re

import pytest

from tests.lib.platforms import CLIENT_ID, CLIENT_SECRET, USER, login, put_credentials

EVENTS = ["channel.followed", "channel.subscription.new"]
EFFECT = f"follows and subs of {USER} will not arrive"
LINE = (f"kick/{USER}: scope events:subscribe is missing: {EFFECT}; "
        f"run `streamhold login kick {USER}`\n")


@pytest.fixture
def daemon(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder, subscriptions={
        "kick": [{"username": USER, "events": EVENTS}]}))
    fakes.register(daemon)
    return daemon


def grant(fakes, scopes, grant_type="authorization_code"):
    # Not to the app token, which the subscriptions may ask for at the same time.
    fakes["kick"].next("token", patch={"scope": scopes}, grant_type=grant_type)


def without_events(daemon, fakes):
    put_credentials(daemon, "kick")
    grant(fakes, "user:read channel:read channel:write chat:write kicks:read")
    return login(daemon, "kick")


def script_of(page):
    return re.search(r"<script>(.*?)</script>", page.text, re.S).group(1)


def hash_of(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_everywhere_a_person_looks(daemon, fakes):
    page = without_events(daemon, fakes)
    assert page.status == 200 and "<h1>Ok</h1>" in page.text
    assert f"<p>The scope events:subscribe was not granted: {EFFECT}.</p>" in page.text
    for command in ("accounts", "status"):
        shown = daemon.cli(command)
        assert LINE in shown.stdout, shown.stdout
    for command in ("accounts", "status"):
        [account] = json.loads(daemon.cli("--json", command).stdout)["accounts"]
        assert account["unmet_scope"] == [{"scope": "events:subscribe", "effect": EFFECT}]
    [account] = daemon.get("/oauth/accounts").json()["accounts"]
    assert account["unmet_scope"] == [{"scope": "events:subscribe", "effect": EFFECT}]
    status = daemon.get(f"/oauth/status/kick/{USER}").json()
    assert status["unmet_scope"] == account["unmet_scope"]
    assert f"was not granted the scope 'events:subscribe': '{EFFECT}'" in daemon.text_log()


def test_the_page_closes_after_two_seconds_as_published_and_its_policy_fits(daemon, fakes):
    """With something to read, too: all but the paragraphs is the published page."""
    noted = without_events(daemon, fakes)
    plain = login(daemon, "kick")
    script = script_of(noted)
    assert "// Attempt to close window after 2 seconds" in script
    assert "setTimeout(() => { window.close(); }, 2000);" in script
    assert script == script_of(plain)
    assert hash_of(script) in noted.headers["Content-Security-Policy"]
    assert "was not granted" not in plain.text
    assert re.sub(r"  <p>The scope .*</p>\n", "", noted.text) == plain.text


def test_the_command_says_it_at_the_end_of_a_login(daemon, fakes):
    import subprocess
    from tests.fake.client import approve
    from tests.lib.platforms import follow
    put_credentials(daemon, "kick")
    grant(fakes, "user:read")
    process = subprocess.Popen(
        [daemon.program("streamhold"), "--config", str(daemon.config_file), "login", "kick",
         USER, "--no-browser"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = process.stdout.readline().strip()
    assert follow(daemon, approve(address)).status == 200
    _, talk = process.communicate(timeout=20)
    assert process.returncode == 0 and LINE in talk
    assert f"kick/{USER}: scope chat:write is missing: " in talk


def test_nothing_is_said_when_nothing_is_lacking(daemon, fakes):
    put_credentials(daemon, "kick")
    page = login(daemon, "kick")
    assert "was not granted" not in page.text and "setTimeout" in page.text
    assert "unmet_scope" not in daemon.get(f"/oauth/status/kick/{USER}").json()
    [account] = daemon.get("/oauth/accounts").json()["accounts"]
    assert account["unmet_scope"] == []
    assert "is missing" not in daemon.cli("status").stdout
    assert "was not granted" not in daemon.text_log()


def test_a_scope_that_was_never_asked_for_names_the_way(daemon, fakes):
    """The configuration wants events, and the credentials leave their scope out."""
    put_credentials(daemon, "kick", scopes=["user:read"])
    page = login(daemon, "kick")
    assert EFFECT in page.text
    shown = daemon.cli("status").stdout
    assert "it is not asked for: add it to --scopes of `streamhold app add kick`" in shown
    [account] = daemon.get("/oauth/accounts").json()["accounts"]
    assert account["missing_scope"] == [] and len(account["unmet_scope"]) == 1
    added = daemon.cli("app", "add", "kick", "--client-id", CLIENT_ID, "--secret-stdin",
                       "--scopes", "user:read events:subscribe", stdin=CLIENT_SECRET + "\n")
    assert added.returncode == 0, added.stderr
    assert "was not granted" not in login(daemon, "kick").text
    assert daemon.get("/oauth/accounts").json()["accounts"][0]["unmet_scope"] == []


def test_a_reload_that_switches_a_part_on_shows_at_once(streamhold, fakes, folder):
    import signal
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon)
    put_credentials(daemon, "kick", scopes=["user:read"])
    assert "was not granted" not in login(daemon, "kick").text
    daemon.config["subscriptions"] = {"kick": [{"username": USER, "events": EVENTS}]}
    daemon.write_config()
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_log("subscriptions.kick")
    assert EFFECT in daemon.cli("status").stdout


def test_foreign_text_is_escaped(streamhold, fakes, folder):
    """A user name may hold what HTML gives a meaning."""
    name = "<b>&bob\"'"
    daemon = streamhold(fakes.config(folder, subscriptions={
        "kick": [{"username": name, "events": EVENTS}]}))
    fakes.register(daemon)
    fakes["kick"].add_user(id=77, login=name, slug="bob")
    fakes["kick"].set(identity=name)
    put_credentials(daemon, "kick", scopes=["user:read"])
    from urllib.parse import quote
    page = login(daemon, "kick", quote(name, safe=""))
    assert page.status == 200
    assert "&lt;b&gt;&amp;bob&quot;&#39; will not arrive" in page.text
    assert "<b>" not in page.text


def test_what_a_refresh_loses_is_shown(daemon, fakes):
    put_credentials(daemon, "kick")
    assert login(daemon, "kick").status == 200
    grant(fakes, "user:read channel:read channel:write chat:write kicks:read",
          "refresh_token")
    answer = daemon.post(f"/oauth/refresh/kick/{USER}")
    assert answer.status == 200
    assert answer.json()["unmet_scope"] == [{"scope": "events:subscribe", "effect": EFFECT}]
    assert LINE in daemon.cli("accounts").stdout
