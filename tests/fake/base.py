"""What the three fakes share: threads, routing, the control path, consent, token bodies.

A platform class lists its hosts (each gets its own port, as the real ones have their own
names: asking the token endpoint of the API host is 404) and its routes. Every public
method named in CONTROL can be called in Python, or as POST /_control/<name> with the
keyword arguments as a JSON object; GET /_control/requests and /_control/state read.
"""
import asyncio
import json
import socket
import sys
import threading
import time
import traceback
from dataclasses import asdict
from email.utils import formatdate
from html import escape
from urllib.parse import urlencode

from .http import (Listener, Response, html_response, json_response, redirect_response)
from .loop import LoopThread
from .script import Script
from .store import ROTATIONS, Grant, Store

CONTROL_PATH = "/_control/"
NUMBER, TEXT, LIST, FLAG = [int, float], [str], [list, tuple, type(None)], (True, False)

# name: (default, allowed values or types); Kick 8 and F.1
SETTINGS = {
    "latency_ms": (0, NUMBER),
    "now_offset_s": (0, NUMBER),            # moves the platform's own clock: ages tokens
    "date_offset_s": (0, NUMBER),           # lies in the Date header only
    "authorize": ("page", ("page", "auto", "deny", "error500", "never", "wrong_state")),
    "identity": (None, [str, type(None)]),  # who is logged in at the consent page
    "grant_scopes": (None, LIST),           # grant only these of the scopes asked for
    "code_life_s": (600, NUMBER),
    "rotation": ("strict", ROTATIONS),
    "grace_s": (30, NUMBER),
    "old_access": ("killed", ("kept", "killed")),
    "refresh_life_s": (30 * 86400, NUMBER),
    "access_life_s": (7200, NUMBER),
    "app_life_s": (5184000, NUMBER),
    "expires_in": ("int", ("int", "string", "float", "missing", "null", "zero", "negative",
                           "huge", "junk")),
    "scope_form": ("string", ("array", "string", "missing", "null")),
    "refresh_form": ("normal", ("normal", "missing", "null", "empty")),
    "token_form": ("plain", ("plain", "special", "long")),
}


def expires_in_forms(life):
    """Every form of expires_in that F.1 and E.4 name."""
    return {"int": life, "string": str(life), "float": float(life), "null": None, "zero": 0,
            "negative": -1, "huge": 10 ** 300, "junk": f"{life}abc"}


def with_query(uri, pairs):
    return uri + ("&" if "?" in uri else "?") + urlencode(pairs)


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>
<p>This is a fake {platform} for tests. <b>{app}</b> asks to act for <b>{user}</b>:</p>
<ul>{scopes}</ul>
<form method="post" action="{action}">
<input type="hidden" name="request" value="{request}">
<button type="submit" name="decision" value="allow" id="allow">Allow</button>
<button type="submit" name="decision" value="deny" id="deny">Deny</button>
</form></body></html>
"""


class FakePlatform:
    """Base of FakeKick, FakeTwitch and FakeGoogle. Usable as a context manager."""

    name = "platform"
    hosts = ()
    settings = {}
    denied = "The resource owner denied the request"
    CONTROL = ("next", "set", "reset", "add_app", "add_user", "kill", "issue", "asked",
               "clear", "state")

    def __init__(self, port=0, host="127.0.0.1", ports=None, tls=None):
        wanted = dict(ports or {})
        wanted.setdefault(self.hosts[0], port)
        self.lock = threading.RLock()
        self.script = Script({**SETTINGS, **self.settings})
        self.store = Store(self.now, self.mint)
        self.scheme = "https" if tls else "http"
        self.listeners = {
            name: Listener(self._handler(name), self._date, host, wanted.get(name, 0), tls)
            for name in self.hosts}
        self.routes = self.make_routes()
        self.loop = None

    # -- running -------------------------------------------------------------------

    def start(self):
        self.loop = LoopThread()
        self.loop.start()
        for listener in self.listeners.values():
            self.loop.run(listener.start())
        return self

    def stop(self):
        for listener in self.listeners.values():
            self.loop.run(listener.stop())
        self.loop.stop()

    def settle(self, seconds=20):
        """Waits until all that clients had sent before they went away has been dealt with."""
        for listener in self.listeners.values():
            # Accepted in their order: when this one is answered, those before it are known.
            with socket.create_connection((listener.host, listener.port), seconds) as last:
                last.sendall(b"HEAD /_control/ HTTP/1.1\r\nConnection: close\r\n\r\n")
                while last.recv(4096):
                    pass
            end = time.monotonic() + seconds
            while listener.open:
                if time.monotonic() > end:
                    raise TimeoutError(f"{listener.open} connections stay open")
                time.sleep(0.002)

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def url(self, host=None):
        listener = self.listeners[host or self.hosts[0]]
        return f"{self.scheme}://{listener.host}:{listener.port}"

    def now(self):
        return time.time() + self.script["now_offset_s"]

    def _date(self):
        return formatdate(self.now() + self.script["date_offset_s"], usegmt=True)

    # -- scripting (Python and /_control/) -----------------------------------------

    def next(self, endpoint, **fault):
        """Scripts the next answer(s) of an endpoint; see script.Fault for the fields."""
        with self.lock:
            known = {name for name, _ in self.routes.values()} | {"*", "unknown"}
            if endpoint not in known:
                raise ValueError(f"unknown endpoint: {endpoint} (known: {sorted(known)})")
            self.script.next(endpoint, **fault)

    def clear(self):
        """Drops the scripted answers that were not used yet."""
        with self.lock:
            self.script.faults = []

    def set(self, **changes):
        """Changes settings; answers all of them."""
        with self.lock:
            return self.script.set(**changes)

    def reset(self):
        """Settings, script, log, codes and tokens as at start; apps and users stay."""
        with self.lock:
            self.script.reset()
            self.store.clear()

    def add_app(self, client_id, client_secret, redirect_uris=(), **more):
        with self.lock:
            return asdict(self.store.add_app(client_id, client_secret, redirect_uris, **more))

    def add_user(self, id, login, **more):
        with self.lock:
            return asdict(self.store.add_user(id, login, **more))

    def kill(self, token=None, user=None, client_id=None, use=None):
        """Ends tokens: one by value, or all of a user, an app, or one use of them."""
        with self.lock:
            return self.store.kill_where("killed", token, user, client_id, use)

    def issue(self, client_id, user=None, scopes=(), app=False):
        """Makes tokens without a login; answers the token endpoint's body."""
        with self.lock:
            owner = None if app else self.store.user(user)
            grant = Grant(self.store.apps[client_id], owner, tuple(scopes))
            return self.token_body(grant, refresh=not app)

    def asked(self, endpoint=None, after=0):
        """The requests so far (not the control ones), with bodies, headers and times."""
        with self.lock:
            return [dict(entry) for entry in self.script.asked(endpoint, after)]

    def state(self):
        """What the platform holds: for assertions and for looking around."""
        with self.lock:
            now = self.now()
            tokens = [{"value": token.value, "use": token.use, "live": token.live(now),
                       "dead": token.dead, "client_id": token.grant.app.client_id,
                       "user": token.grant.user and token.grant.user.id,
                       "scopes": list(token.grant.scopes), "expires": token.expires}
                      for token in self.store.tokens.values()]
            return {"platform": self.name, "urls": {h: self.url(h) for h in self.hosts},
                    "settings": dict(self.script.values), "tokens": tokens,
                    "apps": [asdict(app) for app in self.store.apps.values()],
                    "users": [asdict(user) for user in self.store.users.values()]}

    def _control(self, request):
        name = request.path[len(CONTROL_PATH):]
        if request.method == "GET":
            name = {"requests": "asked"}.get(name, name)
            if name not in ("asked", "state"):
                return json_response(404, {"error": f"no such control: {name}"})
            arguments = request.query
        else:
            arguments = request.json() if request.body else {}
        if name not in self.CONTROL or request.method not in ("GET", "POST"):
            return json_response(404, {"error": f"no such control: {name}"})
        if not isinstance(arguments, dict):
            return json_response(400, {"error": "the body must be a JSON object"})
        try:
            result = getattr(self, name)(**arguments)
        except (TypeError, ValueError, LookupError) as err:
            return json_response(400, {"error": f"{type(err).__name__}: {err}"})
        return json_response(200, {"result": result})

    # -- serving -------------------------------------------------------------------

    def _handler(self, host):
        async def handle(request):
            if request.path.startswith(CONTROL_PATH):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(None, self._control, request)
            if self.script["latency_ms"]:
                await asyncio.sleep(self.script["latency_ms"] / 1000)
            with self.lock:
                return self._answer(host, request)
        return handle

    def _answer(self, host, request):
        endpoint, handler = self._route(host, request)
        entry = self.script.log(host, endpoint, request)
        fault = self.script.take(endpoint, request)
        response = None
        if fault is None or fault.commit:
            try:
                response = handler(request)
            except Exception:
                traceback.print_exc(file=sys.stderr)
                response = json_response(500, {"message": "the fake failed, see its stderr"})
        if fault is not None:
            response = fault.shape(response)
            entry["mode"] = fault.mode
        entry["status"] = response.status
        return response

    def _route(self, host, request):
        """The longest matching path; a pattern that ends in / also takes what follows."""
        path = request.path
        for key in ((host, request.method, path),
                    (host, request.method, path[: path.rfind("/") + 1])):
            if key in self.routes:
                return self.routes[key]
        return "unknown", self.not_found

    def make_routes(self):
        """{(host, method, path): (endpoint name, handler)}"""
        raise NotImplementedError

    def mint(self, use):
        """A fresh code, access or refresh token of the platform's form."""
        raise NotImplementedError

    def not_found(self, request):
        return html_response(404, "<html><body><h1>404 Not Found</h1></body></html>")

    # -- the consent step ----------------------------------------------------------

    def consent(self, app, redirect_uri, scopes, state, action, **code):
        """Answers a correct authorize request by the setting ``authorize``.

        action: where the page's form posts to. code: challenge, method, offline.
        """
        if self.script["grant_scopes"] is not None:
            scopes = [scope for scope in scopes if scope in self.script["grant_scopes"]]
        grant = Grant(app, self.store.user(self.script["identity"]), tuple(scopes))
        asked = (grant, redirect_uri, state, code)
        mode = self.script["authorize"]
        if mode == "never":
            return Response(wire="hang")
        if mode == "error500":
            return json_response(500, {"message": "Internal Server Error"})
        if mode == "page":
            return self._consent_page(asked, action)
        return self._decide(asked, mode != "deny", mode == "wrong_state")

    def _consent_page(self, asked, action):
        number = f"{len(self.store.consents) + 1}"
        self.store.consents[number] = asked
        grant = asked[0]
        items = "".join(f"<li>{escape(scope)}</li>" for scope in grant.scopes)
        return html_response(200, PAGE.format(
            title=f"{self.name.capitalize()} sign-in", platform=self.name, scopes=items,
            app=escape(grant.app.name), user=escape(grant.user.display_name),
            action=escape(action), request=number))

    def decide(self, request):
        """The consent page's form: request, decision=allow|deny. Each page works once."""
        asked = self.store.consents.pop(request.form.get("request"), None)
        if asked is None or request.form.get("decision") not in ("allow", "deny"):
            return self.not_found(request)
        return self._decide(asked, request.form["decision"] == "allow", False)

    def _decide(self, asked, allowed, spoil_state):
        grant, redirect_uri, state, extra = asked
        if spoil_state:
            state = "not-" + (state or "")
        if not allowed:
            pairs = [("error", "access_denied")]
            pairs += [("error_description", self.denied)] if self.denied else []
            pairs += [("state", state)] if state is not None else []
            return redirect_response(with_query(redirect_uri, pairs))
        code = self.store.add_code(grant, redirect_uri, self.script["code_life_s"], **extra)
        return redirect_response(
            with_query(redirect_uri, self.success_pairs(code.value, state, grant)))

    def success_pairs(self, code, state, grant):
        """The query of a successful redirect."""
        return [("code", code)] + ([("state", state)] if state is not None else [])

    # -- token bodies --------------------------------------------------------------

    def token_body(self, grant, refresh=True, kept=None):
        """Issues tokens for a grant and builds the answer in the form the settings ask for.

        refresh: issue a new refresh token; kept: one to hand out again instead.
        """
        settings = self.script
        life = settings["access_life_s"] if grant.user else settings["app_life_s"]
        access = self.store.add_token("access", grant, life)
        body = {"access_token": access.value, "token_type": self.token_type}
        value = kept
        if refresh:
            value = self.store.add_token(
                "refresh", grant, self.refresh_life(grant.app)).value
        forms = {"normal": value, "null": None, "empty": ""}
        if value is not None and settings["refresh_form"] != "missing":
            body["refresh_token"] = forms[settings["refresh_form"]]
        if settings["expires_in"] != "missing":
            body["expires_in"] = expires_in_forms(int(life))[settings["expires_in"]]
        self.add_scope(body, grant)
        return body

    def refresh_life(self, app):
        return self.script["refresh_life_s"]

    def add_scope(self, body, grant):
        """App tokens carry no scope; user tokens as scope_form says, in sorted order."""
        scopes = sorted(grant.scopes)
        forms = {"string": " ".join(scopes), "array": scopes, "null": None}
        if grant.user and self.script["scope_form"] != "missing":
            body["scope"] = forms[self.script["scope_form"]]

    def refreshed(self, value, app, rotation=None):
        """The refresh grant: spends the token by the rotation policy; raises Refused."""
        rotation = rotation or self.script["rotation"]
        grant, renew = self.store.spend_refresh(value, app, rotation, self.script["grace_s"])
        if self.script["old_access"] == "killed":
            self.store.kill(grant, "refreshed", "access")
        return self.token_body(grant, refresh=renew, kept=None if renew else value)


def pretty(value):
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
