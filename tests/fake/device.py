"""The device grant that Twitch (A.7) and Google (C.10) share: codes, polls, a page."""
from dataclasses import dataclass

from .http import html_response
from .store import Grant, random_text

USER_CODE = "BCDFGHJKLMNPQRSTVWXZ"
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Connect a device</title></head>
<body><h1>Connect a device</h1><form method="post" action="{action}">
<input name="user_code" id="user_code" value="{code}">
<button type="submit" name="decision" value="allow" id="allow">Allow</button>
<button type="submit" name="decision" value="deny" id="deny">Deny</button>
</form></body></html>
"""


@dataclass
class Flow:
    device_code: str
    user_code: str
    app: object
    scopes: tuple
    expires: float
    state: str = "pending"
    grant: Grant = None
    polled: float = None


class DeviceFlow:
    """Mixed into a platform; device_form gives the alphabet and lengths of its codes."""

    settings = {
        "device_life_s": (1800, [int, float]),
        "device_interval_s": (5, [int, float]),
    }
    CONTROL = ("device_decide", "device_flows")

    def start_device(self, app, scopes):
        form = self.device_form
        code = random_text(USER_CODE, form["user_code"])
        if form.get("dash"):
            code = f"{code[:4]}-{code[4:]}"
        flow = Flow(random_text(form["alphabet"], form["length"]), code, app, tuple(scopes),
                    self.now() + self.script["device_life_s"])
        self.store.flows.append(flow)
        return flow

    def device_decide(self, user_code=None, allow=True, user=None):
        """What the person does on the page; without a code the newest flow is meant."""
        with self.lock:
            for flow in reversed(self.store.flows):
                if flow.state == "pending" and user_code in (None, flow.user_code):
                    flow.state = "granted" if allow else "denied"
                    owner = self.store.user(user or self.script["identity"])
                    flow.grant = Grant(flow.app, owner, flow.scopes)
                    return flow.user_code
        raise LookupError(f"no pending device flow: {user_code}")

    def device_flows(self):
        with self.lock:
            return [{"user_code": flow.user_code, "state": flow.state}
                    for flow in self.store.flows]

    def poll_device(self, device_code, app):
        """(state, grant): pending, slow_down, denied, granted, expired or unknown."""
        for flow in self.store.flows:
            if flow.device_code != device_code or flow.app is not app:
                continue
            now = self.now()
            early = flow.polled is not None \
                and now - flow.polled < self.script["device_interval_s"]
            flow.polled = now
            if flow.state == "spent":
                return "unknown", None
            if now >= flow.expires:
                return "expired", None
            if flow.state == "pending":
                return ("slow_down" if early else "pending"), None
            state, flow.state = flow.state, "spent"
            return state, flow.grant
        return "unknown", None

    @staticmethod
    def device_page(action, code):
        return PAGE.format(action=action, code=code)

    def activated(self, request):
        try:
            self.device_decide(request.form.get("user_code"),
                               request.form.get("decision") == "allow")
        except LookupError:
            return html_response(400, "<html><body>That code is not valid.</body></html>")
        return html_response(200, "<html><body><h1>Done</h1></body></html>")
