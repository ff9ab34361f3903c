"""What a test tells a fake: answers to give next, settings, and the log of requests.

The log keeps secrets on purpose: tests count and compare what was sent.
"""
import base64
import json
import time

from .http import Response, WIRES

CLOUDFLARE = {"error": "Request blocked by security policy.", "reference": "8f1c2a9b7d3e4f50"}
HTML_502 = (b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
            b"<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n")

# mode: (is the request carried out first, how the answer goes on the wire)
MODES = {
    "answer": (False, "send"),
    "pass": (True, "send"),
    "slow": (True, "send"),
    "drip": (True, "drip"),
    "truncate": (True, "truncate"),
    "half_close": (True, "half_close"),
    "drop_before": (False, "drop"),
    "drop_after_commit": (True, "drop"),
    "reset": (False, "reset"),
    "reset_after_commit": (True, "reset"),
    "hang": (False, "hang"),
    "hang_after_commit": (True, "hang"),
    "html502": (False, "send"),
    "empty400": (False, "send"),
    "empty403": (False, "send"),
    "cf403": (False, "send"),
    "raw": (False, "raw"),
}
SLOW_S = 5.0
FIELDS = {"endpoint", "mode", "status", "body", "body_base64", "body_size", "headers",
          "delay_s", "interval_s", "hold_s", "commit", "patch", "remove", "raw",
          "raw_base64", "count", "grant_type"}


def canned(mode):
    """The ready-made answers that carry no platform shape of their own (Kick 0, F.1)."""
    if mode == "html502":
        return Response(502, HTML_502, [("Content-Type", "text/html")])
    if mode == "empty400":
        return Response(400)
    if mode == "empty403":
        return Response(403)
    if mode == "cf403":
        body = json.dumps(CLOUDFLARE, separators=(",", ":")).encode()
        return Response(403, body, [("Content-Type", "application/json"),
                                    ("cf-ray", "8f1c2a9b7d3e4f50-FRA"),
                                    ("Server", "cloudflare")])
    return Response(200)


class Fault:
    """One entry of the script: how the next request to an endpoint is treated.

    count: how often it applies, -1 for ever. grant_type: only to token requests with this
    one. commit: whether the platform carries the request out first (tokens rotate, messages
    post). patch/remove: change members of the JSON object that the platform would have
    answered. body: a string, or a JSON value.
    """

    def __init__(self, **fields):
        unknown = set(fields) - FIELDS
        if unknown:
            raise ValueError(f"unknown field: {', '.join(sorted(unknown))}")
        answers = fields.keys() & {"status", "body", "body_base64", "body_size"}
        changes = fields.keys() & {"patch", "remove", "delay_s"}
        default = "answer" if answers or not changes else "pass"
        self.mode = fields.get("mode") or default
        if self.mode not in MODES:
            raise ValueError(f"unknown mode: {self.mode}")
        self.fields = fields
        self.count = int(fields.get("count", 1))
        commit, self.wire = MODES[self.mode]
        self.commit = bool(fields.get("commit", commit))
        assert self.wire in WIRES

    def shape(self, response):
        """The answer to send: the platform's own (if it was asked), changed as scripted."""
        get = self.fields.get
        if response is None:
            response = canned(self.mode)
        if "status" in self.fields:
            response.status = int(get("status"))
        if "body" in self.fields:
            self._set_body(response, get("body"))
        if "body_base64" in self.fields:
            response.body = base64.b64decode(get("body_base64"))
        if "body_size" in self.fields:
            response.body = b"x" * int(get("body_size"))
        self._patch(response)
        extra = get("headers") or []
        for name, value in extra.items() if isinstance(extra, dict) else extra:
            if name.lower() == "content-type":
                response.headers = [pair for pair in response.headers
                                    if pair[0].lower() != "content-type"]
            response.headers.append((name, str(value)))
        response.wire = self.wire
        response.delay_s = float(get("delay_s", SLOW_S if self.mode == "slow" else 0))
        response.interval_s = float(get("interval_s", response.interval_s))
        response.hold_s = float(get("hold_s", response.hold_s))
        response.raw = (base64.b64decode(get("raw_base64", ""))
                        or str(get("raw", "")).encode("latin-1"))
        return response

    @staticmethod
    def _set_body(response, body):
        if isinstance(body, str):
            response.body = body.encode()
            return
        response.body = json.dumps(body, separators=(",", ":")).encode()
        if not any(name.lower() == "content-type" for name, _ in response.headers):
            response.headers.append(("Content-Type", "application/json"))

    def _patch(self, response):
        patch, remove = self.fields.get("patch"), self.fields.get("remove")
        if not patch and not remove:
            return
        value = json.loads(response.body)
        value.update(patch or {})
        for name in remove or []:
            value.pop(name, None)
        response.body = json.dumps(value, separators=(",", ":")).encode()


class Script:
    """Faults by endpoint, settings with their allowed values, and the request log."""

    def __init__(self, settings):
        self.defaults = settings
        self.reset()

    def reset(self):
        self.faults = []
        self.values = {name: default for name, (default, _) in self.defaults.items()}
        self.requests = []

    def __getitem__(self, name):
        return self.values[name]

    def set(self, **changes):
        for name, value in changes.items():
            if name not in self.defaults:
                raise ValueError(f"unknown setting: {name}")
            allowed = self.defaults[name][1]
            if isinstance(allowed, tuple) and value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}")
            if isinstance(allowed, list) and not isinstance(value, tuple(allowed)):
                raise ValueError(f"{name} has the wrong type")
        self.values.update(changes)
        return dict(self.values)

    def next(self, endpoint, **fields):
        """Queues a fault for the next request(s) to endpoint; "*" is any endpoint."""
        self.faults.append((endpoint, Fault(**fields)))

    def take(self, endpoint, request=None):
        for index, (name, fault) in enumerate(self.faults):
            if name not in (endpoint, "*"):
                continue
            wanted = fault.fields.get("grant_type")
            if wanted and (request is None or request.form.get("grant_type") != wanted):
                continue
            if fault.count > 0:
                fault.count -= 1
                if fault.count == 0:
                    del self.faults[index]
            return fault
        return None

    def log(self, host, endpoint, request):
        entry = {
            "seq": len(self.requests) + 1,
            "time": time.time(),
            "host": host,
            "endpoint": endpoint,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "raw_query": request.raw_query,
            "headers": [list(pair) for pair in request.headers],
            "body": request.body.decode("utf-8", "backslashreplace"),
            "form": request.form,
            "connection": request.connection,
            "status": None,
            "mode": None,
        }
        self.requests.append(entry)
        return entry

    def asked(self, endpoint=None, after=0):
        """The log, oldest first: all of it, or one endpoint's, after a seq."""
        return [entry for entry in self.requests[int(after):]
                if endpoint in (None, entry["endpoint"])]
