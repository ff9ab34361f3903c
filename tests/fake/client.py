"""The tests' side: drive a running fake, and play the person at its consent page.

``kick = Control("http://127.0.0.1:4001"); kick.set(authorize="auto"); kick.asked("token")``
``callback = approve(auth_url)``: where the browser would be sent after "Allow".
"""
import http.client
import json
import re
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class ControlError(Exception):
    """The fake refused the control call; the text says why."""


@dataclass
class Answer:
    status: int
    headers: dict       # names in lower case
    body: bytes

    def json(self):
        return json.loads(self.body)


def fetch(method, url, body=None, headers=None, timeout=30):
    """One request, no redirects followed, no proxy. A dict as body is sent as a form."""
    parts = urlsplit(url)
    headers = dict(headers or {})
    if isinstance(body, dict):
        body, headers = urlencode(body), {**FORM, **headers}
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        connection.request(method, target, body, headers)
        reply = connection.getresponse()
        names = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(reply.status, names, reply.read())
    finally:
        connection.close()


def approve(auth_url, decision="allow"):
    """Opens an authorize address, answers the consent page if there is one, and gives the
    address that the browser is then sent to (None when it is sent nowhere)."""
    answer = fetch("GET", auth_url)
    if answer.status == 200:
        page = answer.body.decode()
        action = re.search(r'action="([^"]+)"', page).group(1)
        number = re.search(r'name="request" value="([^"]+)"', page).group(1)
        answer = fetch("POST", urljoin(auth_url, action),
                       {"request": number, "decision": decision})
    return answer.headers.get("location")


class Control:
    """Every control of the fake as a method, with the same arguments as in Python."""

    def __init__(self, base_url):
        self.base_url = base_url

    def call(self, name, **arguments):
        answer = fetch("POST", f"{self.base_url}/_control/{name}", json.dumps(arguments),
                       {"Content-Type": "application/json"}, timeout=60)
        if answer.status != 200:
            raise ControlError(answer.json()["error"])
        return answer.json()["result"]

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda **arguments: self.call(name, **arguments)

    def next(self, endpoint, **fault):
        return self.call("next", endpoint=endpoint, **fault)

    def asked(self, endpoint=None, after=0):
        return self.call("asked", endpoint=endpoint, after=after)
