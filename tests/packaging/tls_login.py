"""Fake platforms behind TLS, and a person who logs in: python3 -m tests.packaging.tls_login FOLDER HOST

Runs in the network of a machine (machine.network). Prints the section `platforms` of its
configuration, waits for a line, then registers, logs in and refreshes over the API on port 3000,
and prints what came of it.
"""
import http.client
import json
import pathlib
import sys

from tests.fake.client import approve
from tests.lib.platforms import CLIENT_ID, CLIENT_SECRET, USER, Platforms
from tests.lib.tls_front import TlsFront

API = "http://localhost:3000"


def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", 3000, timeout=30)
    connection.request(method, path, body and json.dumps(body),
                       {"Host": "localhost:3000", "Content-Type": "application/json"})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, raw


class Daemon:
    api_port = 3000


def main():
    folder, host = pathlib.Path(sys.argv[1]), sys.argv[2]
    platforms = Platforms()
    tls = TlsFront(folder, host)
    platforms.register(Daemon, ["kick"])
    print(json.dumps(tls.config(platforms.config(folder)["platforms"])), flush=True)
    sys.stdin.readline()
    found = {"stored": ask("POST", "/oauth/credentials/kick", {
        "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET})[0]}
    auth_url = json.loads(ask("GET", f"/oauth/start/kick/{USER}")[1])["auth_url"]
    back = approve(auth_url)
    found["login"] = ask("GET", back.removeprefix(API))[0]
    found["refresh"] = ask("POST", f"/oauth/refresh/kick/{USER}")[0]
    found["status"] = json.loads(ask("GET", f"/oauth/status/kick/{USER}")[1])["status"]
    found["connections"] = tls.connections
    print(json.dumps(found), flush=True)
    tls.stop()
    platforms.stop()


main()
