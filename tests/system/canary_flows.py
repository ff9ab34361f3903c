"""Secrets with names of their own, and every flow that they go through. For test_canaries.py and
test_residue.py."""
import base64
import os
import re
import signal
import subprocess
import time
from urllib.parse import parse_qs, urlsplit

from tests.fake import delivery
from tests.fake.client import approve
from tests.fake.sender import send
from tests.lib import memory
from tests.lib.daemon import Streamhold
from tests.lib.keyring import wait_for
from tests.lib.platforms import NAMES, OTHER, USERS, follow
from tests.lib.target import Target

SECRETS = {name: f"CANARY-{name}-client-secret-{os.urandom(16).hex()}" for name in NAMES}
USER = "streamer123"
SHARED_S = 2.1      # a result that is younger is shared


class Run:
    """A daemon, its fakes, and every secret that came up: {name: bytes}."""

    def __init__(self, daemon, fakes):
        self.daemon, self.fakes, self.secrets = daemon, fakes, {}
        self.keyring = None

    def note(self, name, value):
        if value:
            value = value if isinstance(value, bytes) else value.encode()
            self.secrets.setdefault(f"{name}#{len(self.secrets)}", value)

    def of(self, *kinds):
        return {name: value for name, value in self.secrets.items()
                if name.split(".")[0].split("#")[0] in kinds}

    def login(self, platform, username="streamer123", query=""):
        started = self.daemon.get(f"/oauth/start/{platform}/{username}{query}").json()
        self.note(f"state.{platform}", started["state"])
        location = approve(started["auth_url"])
        code = parse_qs(urlsplit(location).query).get("code", [None])[0]
        self.note(f"code.{platform}", code)
        return follow(self.daemon, location), location

    def collect(self):
        """What the platforms have seen and handed out."""
        known = set(self.secrets.values())
        for name in self.fakes.fakes:
            for token in self.fakes[name].state()["tokens"]:
                if token["value"].encode() not in known:
                    kind = token["use"] if token["user"] else "app"
                    self.note(f"{kind}.{name}", token["value"])
            for asked in self.fakes[name].asked():
                form = parse_qs(asked.get("body") or "")
                for field, kind in (("code_verifier", "verifier"),
                                    ("device_code", "device_code")):
                    for value in form.get(field, []):
                        if value.encode() not in known:
                            known.add(value.encode())
                            self.note(f"{kind}.{name}", value)
        key = self.daemon.folder / "state" / "vault.key"
        if key.exists() and key.read_bytes() not in known:
            self.note("vault_key", key.read_bytes())

    def kinds(self):
        return {name.split(".")[0].split("#")[0] for name in self.secrets}


def prepare(plain, folder, fakes, tls=None, more=None, **options):
    config = fakes.config(folder, logging={"level": "debug"}, **(more or {}))
    if tls:
        config["platforms"] = tls.config(config["platforms"])
    daemon = Streamhold(folder, config, build=plain, **options).start()
    run = Run(daemon, fakes)
    base = f"http://localhost:{daemon.api_port}"
    for name in NAMES:
        fake = fakes[name]
        fake.add_app("canary-client", SECRETS[name], [f"{base}/oauth/callback/{name}"],
                     kind="web" if name == "youtube" else "confidential")
        fake.add_user(**USERS[name])
        fake.add_user(**OTHER[name])
        fake.set(authorize="auto")
        run.note(f"client_secret.{name}", SECRETS[name])
    return run


def put_credentials(run):
    body = {"client_id": "canary-client", "client_secret": SECRETS["kick"]}
    assert run.daemon.post("/oauth/credentials/kick", body).status == 200
    body["client_secret"] = SECRETS["youtube"]
    assert run.daemon.post("/oauth/credentials/youtube", body).status == 200
    added = run.daemon.cli("app", "add", "twitch", "--client-id", "canary-client",
                           "--secret-stdin", stdin=SECRETS["twitch"] + "\n")
    assert added.returncode == 0, added.stderr


def refused_credentials(run):
    """Bodies that httpd or the broker turn away, with a secret in them."""
    secret = SECRETS["kick"]
    for body in ('{"client_id": "x", "client_secret": "%s"' % secret,
                 '{"client_id": "x", "client_secret": "%s", "client_secret": 1}' % secret,
                 '{"client_id": 7, "client_secret": "%s"}' % secret,
                 '{"client_id": "a b", "client_secret": "%s"}' % secret,
                 '{"client_id": "x", "client_secret": "%s", "scopes": 7}' % secret):
        answer = run.daemon.post("/oauth/credentials/kick", body,
                                 headers={"Content-Type": "application/json"})
        assert answer.status == 400
        assert secret not in answer.text


def failing_logins(run):
    daemon, fakes = run.daemon, run.fakes
    for name in NAMES:
        for fault in ({"mode": "answer", "status": 401, "body": {"error": "invalid_grant"}},
                      {"mode": "html502"}, {"mode": "truncate"}, {"mode": "drop_after_commit"},
                      {"mode": "pass", "patch": {"token_type": "mac"}}):
            fakes[name].next("token", grant_type="authorization_code", **fault)
            answer, location = run.login(name)
            assert answer.status == 502, answer.text
        assert follow(daemon, location).status == 400      # used up
        fakes[name].set(authorize="deny")
        answer, _ = run.login(name)
        assert answer.status == 400
        fakes[name].set(authorize="auto", identity=str(OTHER[name]["id"]))
        answer, _ = run.login(name)
        assert answer.status == 409, answer.text
        fakes[name].set(identity=None)
        # An unfinished one, with a code that is turned away for its state.
        state = daemon.get(f"/oauth/start/{name}/streamer123").json()["state"]
        run.note(f"state.{name}", state)
        run.note(f"code.{name}", f"CANARY-code-{os.urandom(16).hex()}")
        code = list(run.secrets.values())[-1].decode()
        other = NAMES[(NAMES.index(name) + 1) % 3]
        assert daemon.get(f"/oauth/callback/{other}?state={state}&code={code}").status == 400
        assert daemon.get(f"/oauth/callback/{name}?state={state}x&code={code}").status == 400


def logins(run):
    for name in NAMES:
        answer, _ = run.login(name)
        assert answer.status == 200, answer.text


def abandoned_login(run):
    """The command prints the address, with the state, and gives up."""
    said = run.daemon.cli("login", "kick", USER, "--timeout", "1s")
    for state in re.findall(r"state=([\w.~-]+)", said.stdout + said.stderr):
        run.note("state.kick", state)


def refreshes(run):
    for name in NAMES:
        assert run.daemon.post(f"/oauth/refresh/{name}/{USER}").status == 200


def failing_refreshes(run):
    """Replies that are lost, cut, foreign or unusable, with tokens in them."""
    for name in NAMES:
        for fault in ({"mode": "html502"}, {"mode": "truncate"},
                      {"mode": "pass", "patch": {"token_type": "mac"}}):
            run.fakes[name].next("token", grant_type="refresh_token", **fault)
        time.sleep(SHARED_S)
        assert run.daemon.post(f"/oauth/refresh/{name}/{USER}").status in (502, 503)
        run.fakes[name].clear()


def lost_login(run):
    """A refusal that ends a login, and the login after it."""
    time.sleep(SHARED_S)
    run.fakes["kick"].next("token", grant_type="refresh_token", status=401,
                           body={"error": "invalid_grant"}, count=-1)
    assert run.daemon.post(f"/oauth/refresh/kick/{USER}").status == 404
    run.fakes["kick"].clear()
    run.fakes["kick"].set(authorize="auto")
    assert run.login("kick")[0].status == 200


def device_logins(run):
    """One that is finished on the other device, and one that is not."""
    run.fakes["twitch"].set(device_interval_s=1)
    waiting = subprocess.Popen(
        [run.daemon.program("streamhold"), "--config", str(run.daemon.config_file), "login",
         "twitch", USER, "--device"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    waiting.stdout.readline()
    run.fakes["twitch"].device_decide(waiting.stdout.readline().strip())
    _, talk = waiting.communicate(timeout=30)
    assert waiting.returncode == 0, talk
    run.daemon.cli("login", "twitch", USER, "--device", "--timeout", "2s")


def pasted_login(run):
    """The address typed back: for the wrong login first, then right, then once more."""
    for fault in ({"mode": "html502"}, None):
        if fault:       # the device login before may be asked for once more meanwhile
            run.fakes["twitch"].next("token", grant_type="authorization_code", **fault)
        typing = subprocess.Popen(
            [run.daemon.program("streamhold"), "--config", str(run.daemon.config_file), "login",
             "twitch", USER, "--paste"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        location = approve(typing.stdout.readline().strip())
        query = parse_qs(urlsplit(location).query)
        run.note("state.twitch", query["state"][0])
        run.note("code.twitch", query["code"][0])
        _, talk = typing.communicate(location + "\n", timeout=30)
        assert (typing.returncode == 0) == (fault is None), talk
    again = run.daemon.cli("login", "twitch", USER, "--paste", stdin=location + "\n")
    assert again.returncode == 1
    for state in re.findall(r"state=([\w.~-]+)", again.stdout + again.stderr):
        run.note("state.twitch", state)


def adopted_login(run):
    """Another account than asked, stored under its own name, and gone again."""
    for name in ("twitch", "youtube"):
        run.fakes[name].set(identity=str(OTHER[name]["id"]))
        answer, _ = run.login(name, query="?adopt=true")
        assert answer.status == 200, answer.text
        run.fakes[name].set(identity=None)
        run.collect()
        stored = {(account["platform"], account["username"])
                  for account in run.daemon.get("/oauth/accounts").json()["accounts"]}
        assert (name, OTHER[name]["login"]) in stored, stored
        assert run.daemon.delete(f"/oauth/{name}/{OTHER[name]['login']}").status == 200


def failing_pushes(run):
    """A secret that is turned away, and a signed push that is refused before it is taken."""
    answers = iter([500, 200])
    with Target(lambda push: next(answers, 200)) as target:
        add = ("--forward", target.url, "--allow-private", "127.0.0.1")
        wrong = f"whsec_CANARY{os.urandom(16).hex()}!"
        run.note("push.wrong", wrong)
        refused = run.daemon.cli("consumers", "add", "wrong", *add, "--secret-stdin",
                                 stdin=wrong + "\n")
        assert refused.returncode != 0 and wrong not in refused.stdout + refused.stderr
        made = run.daemon.cli("consumers", "add", "failing", *add)
        run.note("push.failing", made.stdout.strip())
        assert run.daemon.cli("consumers", "test", "failing").returncode != 0
        assert run.daemon.cli("consumers", "test", "failing").returncode == 0
        assert len(target.pushes) == 2
    assert run.daemon.delete("/consumers/failing").status == 200


def webhooks(run):
    """Deliveries that are taken and that are turned away, while secrets are in the broker."""
    for mode, status in (("valid", 200), ("flip_body", 401)):
        reply = send(f"http://127.0.0.1:{run.daemon.webhook_port}/webhooks/kick",
                     delivery.build("channel.followed", run.fakes.signer, mode))
        assert reply.status == status, reply
    for arguments in ((), ("--as", "bad-signature")):
        run.daemon.cli("trigger", "channel.followed", *arguments)


def tokens_handed_out(run):
    """A person is handed a token, and a program is given one; both are told to nobody else."""
    name = f"kick/{USER}"
    assert run.daemon.cli("token", "get", name).returncode == 1
    assert run.daemon.cli("token", "allow", name).returncode == 0
    given = run.daemon.cli("token", "get", name)
    run.collect()
    assert given.stdout.strip().encode() in run.of("access").values(), given.stderr
    ran = run.daemon.cli("exec", name, "--", "printenv", "STREAMHOLD_TOKEN")
    assert ran.stdout == given.stdout
    assert run.daemon.cli("audit").returncode == 0


def app_tokens(run):
    """The client's own token, which keeps the subscriptions of a channel without a login."""
    path = f"/subscriptions/kick/{OTHER['kick']['login']}"
    assert run.daemon.call("PUT", path, {"events": ["channel.followed"]}).status == 200
    assert run.daemon.post("/subscriptions/kick/sync").status == 200
    assert run.daemon.get(path).json()["token"] == "app"
    run.collect()
    assert run.of("app")
    assert run.daemon.delete(path).status == 200


def push_secrets(run):
    """Secrets to sign with: made, given, and one given over the API."""
    with Target() as target:
        words = ("--forward", target.url, "--allow-private", "127.0.0.1")
        made = run.daemon.cli("consumers", "add", "canary", *words)
        run.note("push.made", made.stdout.strip())
        rotated = run.daemon.cli("consumers", "rotate-secret", "canary")
        run.note("push.rotated", rotated.stdout.strip())
        given = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        run.note("push.given", given)
        assert run.daemon.cli("consumers", "rotate-secret", "canary", "--secret-stdin",
                              stdin=given + "\n").returncode == 0
        assert run.daemon.cli("consumers", "test", "canary").returncode == 0
        sent = ["whsec_" + base64.b64encode(os.urandom(32)).decode() for _ in range(3)]
        for secret in sent:
            run.note("client_secret.push", secret)
        assert run.daemon.cli("consumers", "add", "other", *words, "--secret-stdin",
                              stdin=sent[0] + "\n").returncode == 0
        for current, secret, status in ((sent[0], sent[1], 200), (sent[0], sent[2], 403),
                                        (sent[2], "short", 400)):
            answer = run.daemon.call("PUT", "/consumers/other/secret",
                                     {"current": current, "secret": secret})
            assert answer.status == status, answer.text
        assert run.daemon.cli("consumers", "test", "other").returncode == 0
        assert len(target.pushes) == 2
        for name in ("canary", "other"):
            assert run.daemon.cli("consumers", "remove", name, "--yes").returncode == 0


def new_key(run):
    """Everything is sealed anew; both keys are secrets."""
    run.collect()
    if run.keyring:
        return
    moved = run.daemon.cli("keystore", "rotate")
    assert moved.returncode == 0, moved.stderr
    before = len(run.of("vault_key"))
    run.collect()
    assert len(run.of("vault_key")) == before + 1


def moved_keystore(run):
    """From the keyring into a file, under a key that is made, and back."""
    if not run.keyring:
        return
    for to in ("file", "secret-service"):
        # Items of the move before are removed meanwhile.
        wait_for(lambda: run.daemon.cli("keystore", "migrate", "--to", to).returncode == 0,
                 20, 0.2)
        run.collect()


def reading(run):
    daemon = run.daemon
    for path in ("/status", "/readyz", "/metrics", "/oauth/accounts", "/oauth/credentials",
                 "/events", "/nothing", *[f"/oauth/status/{name}/{USER}" for name in NAMES]):
        run.collect()
        assert not memory.hits(daemon.get(path).body, run.secrets), path
    for verb in (["accounts", "--ask", "--json"], ["status", "--json"], ["inspect", "--json"],
                 ["app", "list"], ["keystore", "status"], ["audit", "--json"]):
        said = daemon.cli(*verb)
        run.collect()
        assert not memory.hits((said.stdout + said.stderr).encode(), run.secrets), verb
    daemon.process.send_signal(signal.SIGUSR1)


def deletion(run):
    """Where the platform revokes, and where it does not."""
    assert run.daemon.delete(f"/oauth/youtube/{USER}").json()["revocation"] == "ok"
    run.fakes["twitch"].next("revoke", status=500, body="")
    assert run.daemon.delete(f"/oauth/twitch/{USER}").json()["revocation"] != "ok"


# In this order. A flow asserts that it took place.
FLOWS = [refused_credentials, put_credentials, failing_logins, logins, abandoned_login, refreshes,
         failing_refreshes, lost_login, device_logins, pasted_login, adopted_login,
         tokens_handed_out, app_tokens, push_secrets, failing_pushes, webhooks, new_key,
         moved_keystore, reading, deletion]


def every_flow(run):
    for flow in FLOWS:
        flow(run)
        run.collect()
