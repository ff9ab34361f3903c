"""Drives a running fake through /_control/: the same names and arguments as in Python.

``kick = Control("http://127.0.0.1:4001"); kick.set(authorize="auto"); kick.asked("token")``
"""
import json
import urllib.error
import urllib.request


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ControlError(Exception):
    """The fake refused the control call; the text says why."""


class Control:
    def __init__(self, base_url):
        self.base_url = base_url

    def __getattr__(self, name):
        def call(**arguments):
            request = urllib.request.Request(
                f"{self.base_url}/_control/{name}", method="POST",
                data=json.dumps(arguments).encode(),
                headers={"Content-Type": "application/json"})
            try:
                with DIRECT.open(request, timeout=60) as reply:
                    return json.load(reply)["result"]
            except urllib.error.HTTPError as err:
                raise ControlError(json.load(err)["error"]) from err
        if name.startswith("__"):
            raise AttributeError(name)
        return call

    def next(self, endpoint, **fault):
        return self.__getattr__("next")(endpoint=endpoint, **fault)

    def asked(self, endpoint=None, after=0):
        return self.__getattr__("asked")(endpoint=endpoint, after=after)
