"""The API front by itself: every route's answers, guards and their order, with a broker
that answers from a table."""

import base64
import hashlib
import json
import re
import socket
import subprocess
import time

import pytest

from tests.lib.front import Front, Reader, program
from tests.lib.stopwatch import Stopwatch

JSON = ["Content-Type: application/json"]
CLIENT = {"client_id": "abc123", "client_secret": "xyz789"}
NO_TOKEN = "No OAuth token found for platform twitch and username streamer123"
INVALID_PLATFORM = {"error": "Invalid platform. Must be one of: twitch, kick, youtube"}


def account(status="valid", **more):
    return ("account", {"platform": "twitch", "username": "Streamer123", "status": status,
                        "expires_at": 1768730400000, "refresh_at": 1768730100000,
                        "refreshable": True, "scopes": "channel:read:subscriptions chat:read",
                        "missing_scopes": "", "identity": "verified", "since": 0} | more)


def failed(code, message, retry_after=0):
    return [("failed", {"code": code, "message": message, "retry_after": retry_after})]


@pytest.fixture(scope="module")
def front(build):
    with Front(config={"server": {"rate_limit_per_s": 0, "allowed_hosts": ["proxy.test"],
                                  "allowed_origins": ["https://panel.test"]}},
               unix=True) as front:
        yield front


@pytest.fixture
def broker(front):
    broker = front.broker()
    yield broker
    broker.close()


# ---- the contract, one answer each ----

def test_credentials_are_stored(front, broker):
    broker.answers["credentials_put"] = lambda m: [("credentials_stored", {
        "platform": m.platform, "created_at": 1768730400000, "updated_at": 1768730400001})]
    body = json.dumps(CLIENT | {"scopes": ["a:b", "c"], "unknown": 1}).encode()
    answer = front.ask("POST", "/oauth/credentials/twitch", JSON, body)
    assert answer.status == 200
    assert answer.json() == {"platform": "twitch", "created_at": "2026-01-18T10:00:00.000Z",
                             "updated_at": "2026-01-18T10:00:00.001Z"}
    assert broker.asked[-1].fields == {"platform": "twitch", "client_id": "abc123",
                                       "client_secret": b"xyz789", "scopes": "a:b c"}


@pytest.mark.parametrize("scopes", ["", ', "scopes": []'])
def test_no_scopes_mean_the_defaults(front, broker, scopes):
    broker.answers["credentials_put"] = lambda m: [("credentials_stored", {"platform": "kick"})]
    body = '{"client_id": "a", "client_secret": "b"%s}' % scopes
    assert front.ask("POST", "/oauth/credentials/kick", JSON, body.encode()).status == 200
    assert broker.asked[-1].scopes is None


@pytest.mark.parametrize("body, text", [
    (b"", "A JSON body is required"),
    (b"{", "The body is not valid JSON (line 1, column 1)"),
    (b"[]", "The body must be a JSON object"),
    (b"3", "The body must be a JSON object"), (b"null", "The body must be a JSON object"),
    (b'"x"', "The body must be a JSON object"), (b" true\n", "The body must be a JSON object"),
    (b"nul", "The body is not valid JSON (line 1, column 3)"),
    (b"nullx", "The body is not valid JSON (line 1, column 5)"), (b"3 4", None),
    (b'{"client_id":"a",}', None), (b'{"a":"\xff"}', None),
    (b'{"a":"\\u0000"}', None), (b'{"a":1}{"b":2}', None), (b"[" * 60000, None),
    (b'{"a":{}' + b'}' * 2, None), (b"\xef\xbb\xbf{}", None),
    (b'{"client_id":"a","client_id":"a","client_secret":"b"}',
     "The JSON body has the same key twice (line 1): client_id"),
    (b"{}", "client_id and client_secret are required"),
    (b'{"client_id":"a"}', "client_id and client_secret are required"),
    (b'{"client_id":"","client_secret":"b"}', "client_id and client_secret are required"),
    (b'{"client_id":"a","client_secret":5}', "client_id and client_secret are required"),
    (b'{"client_id":"a","client_secret":null}', "client_id and client_secret are required"),
    (b'{"client_id":"%s","client_secret":"b"}' % (b"a" * 513), "client_id is longer than 512 bytes"),
    (b'{"client_id":"a","client_secret":"%s"}' % (b"a" * 2049),
     "client_secret is longer than 2048 bytes"),
    (b'{"client_id":"a","client_secret":"b","scopes":"x"}', "scopes must be an array of strings"),
    (b'{"client_id":"a","client_secret":"b","scopes":null}', "scopes must be an array of strings"),
    (b'{"client_id":"a","client_secret":"b","scopes":[1]}', "scopes must be an array of strings"),
    (b'{"client_id":"a","client_secret":"b","scopes":["a b"]}', None),
    (b'{"client_id":"a","client_secret":"b","scopes":[""]}', None),
    (b'{"client_id":"a","client_secret":"b","scopes":[%s]}' % b",".join([b'"a"'] * 65),
     "scopes has too many entries"),
])
def test_bodies_that_are_refused(front, broker, body, text):
    answer = front.ask("POST", "/oauth/credentials/kick", JSON, body)
    assert answer.status == 400
    assert answer["Streamhold-Error"] == "invalid_request"
    if text:
        assert answer.json() == {"error": text}
    assert b"xyz" not in answer.body
    assert broker.asked == []


def test_refused_bodies_are_not_repeated(front, broker):
    body = b'{"client_id":"a","client_secret":SECRETSECRET}'
    assert b"SECRET" not in front.ask("POST", "/oauth/credentials/kick", JSON, body).body


def test_login_is_started(front, broker):
    broker.answers["login_start"] = lambda m: [("login_started", {
        "auth_url": "https://id.twitch.tv/oauth2/authorize?client_id=a&b=%20\"", "state": "abc"})]
    answer = front.ask(path="/oauth/start/twitch/streamer123")
    assert answer.status == 200
    assert answer.json() == {"auth_url": "https://id.twitch.tv/oauth2/authorize?client_id=a&b=%20\"",
                             "state": "abc"}
    assert broker.asked[-1].fields == {"platform": "twitch", "username": "streamer123",
                                       "adopt": False}
    front.ask(path="/oauth/start/twitch/a%20%C3%A9?adopt=true")
    assert broker.asked[-1].fields == {"platform": "twitch", "username": "a é", "adopt": True}
    assert front.ask(path="/oauth/start/twitch/a?adopt=maybe").status == 400


def test_head_starts_no_login(front, broker):
    answer = front.ask("HEAD", "/oauth/start/twitch/streamer123")
    assert (answer.status, answer["Content-Length"]) == (200, "0")
    assert answer["Content-Type"] == "application/json"
    assert front.ask("HEAD", "/oauth/start/mixer/a").status == 400
    assert front.ask("HEAD", "/oauth/start/twitch/a?adopt=maybe").status == 400
    assert broker.asked == []


def test_login_without_credentials(front, broker):
    text = "No OAuth credentials configured for platform: twitch"
    broker.answers["login_start"] = lambda m: failed("no_credentials", text)
    answer = front.ask(path="/oauth/start/twitch/streamer123")
    assert (answer.status, answer.json()) == (404, {"error": text})
    assert answer["Streamhold-Error"] == "no_credentials"


def test_status_of_a_valid_token(front, broker):
    broker.answers["account_get"] = lambda m: [account()]
    answer = front.ask(path="/oauth/status/twitch/streamer123")
    assert answer.status == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {
        "username": "Streamer123", "platform": "twitch", "status": "valid",
        "expires_at": "2026-01-18T10:00:00.000Z", "refresh_at": "2026-01-18T09:55:00.000Z",
        "scope": ["channel:read:subscriptions", "chat:read"]}


@pytest.mark.parametrize("refreshable", [True, False])
def test_status_of_an_expired_token(front, broker, refreshable):
    broker.answers["account_get"] = lambda m: [account("expired", refreshable=refreshable)]
    answer = front.ask(path="/oauth/status/twitch/streamer123").json()
    assert answer["status"] == "expired"
    assert answer["refreshable"] is refreshable


def test_status_of_a_lost_login(front, broker):
    broker.answers["account_get"] = lambda m: [account(
        "reauth_required", username="streamer123", reason="refused <b>", since=1768730400000)]
    answer = front.ask(path="/oauth/status/twitch/streamer123")
    assert answer.status == 404
    assert answer["Streamhold-Error"] == "no_token"
    assert answer.json() == {"error": NO_TOKEN, "status": "reauth_required",
                             "reason": "refused <b>", "since": "2026-01-18T10:00:00.000Z"}
    assert b"<b>" not in answer.body


def test_status_without_token(front, broker):
    broker.answers["account_get"] = lambda m: failed("no_token", NO_TOKEN)
    answer = front.ask(path="/oauth/status/twitch/streamer123")
    assert (answer.status, answer.json()) == (404, {"error": NO_TOKEN})


def test_token_is_deleted(front, broker):
    broker.answers["account_delete"] = lambda m: [("account_deleted", {
        "platform": "twitch", "username": "streamer123", "revocation": "ok"})]
    answer = front.ask("DELETE", "/oauth/twitch/streamer123")
    assert answer.status == 200
    assert answer.json() == {"message": "OAuth token deleted successfully", "platform": "twitch",
                             "username": "streamer123", "revocation": "ok"}
    broker.answers["account_delete"] = lambda m: failed("no_token", NO_TOKEN)
    assert front.ask("DELETE", "/oauth/twitch/streamer123").status == 404


@pytest.mark.parametrize("method, path", [
    ("POST", "/oauth/credentials/{}"), ("GET", "/oauth/credentials/{}"),
    ("DELETE", "/oauth/credentials/{}"), ("GET", "/oauth/start/{}/a"),
    ("GET", "/oauth/callback/{}"), ("GET", "/oauth/callback/{}/state"),
    ("HEAD", "/oauth/callback/{}"), ("GET", "/oauth/status/{}/a"), ("DELETE", "/oauth/{}/a")])
@pytest.mark.parametrize("platform", ["mixer", "Kick", "kick%00"[:4] + "x", "%6bick2", "..."])
def test_other_platforms_are_refused(front, broker, method, path, platform):
    answer = front.ask(method, path.format(platform), JSON)
    assert answer.status == 400
    assert answer["Streamhold-Error"] == "invalid_platform"
    if method != "HEAD":
        assert answer.json() == INVALID_PLATFORM


@pytest.mark.parametrize("username", ["a%0Ab", "%7F", "a" * 101, "a%00b", "a%2Fb", "%FF", "%C3"])
def test_usernames_that_are_refused(front, broker, username):
    for method, path in (("GET", "/oauth/start/kick/"), ("GET", "/oauth/status/kick/"),
                         ("DELETE", "/oauth/kick/")):
        assert front.ask(method, path + username).status == 400
    assert broker.asked == []


# ---- the callback ----

def check_policy(answer):
    """Every style and script of a page is allowed by its hash, and nothing else."""
    text = answer.body.decode()
    for tag in ("style", "script"):
        inner = re.search(f"<{tag}>(.*?)</{tag}>", text, re.S)
        allowed = re.search(f"{tag}-src ([^;]*)", answer["Content-Security-Policy"])
        assert (inner is None) == (allowed is None)
        if inner:
            digest = base64.b64encode(hashlib.sha256(inner[1].encode()).digest()).decode()
            assert allowed[1] == f"'sha256-{digest}'"
    assert answer["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert answer["Content-Type"] == "text/html; charset=utf-8"


def published_page():
    return """<!DOCTYPE html>
<html>
<head>
  <title>OAuth Callback Received</title>
  <style>
    body { font-family: system-ui, sans-serif; max-width: 500px; margin: 50px auto; text-align: center; }
    h1 { color: #10b981; }
  </style>
</head>
<body>
  <h1>Ok</h1>
  <p>OAuth callback received successfully.</p>
  <p>Your access tokens have been stored securely.</p>
  <p>You can close this window.</p>
  <script>
    // Attempt to close window after 2 seconds
    setTimeout(() => { window.close(); }, 2000);
  </script>
</body>
</html>
"""


@pytest.mark.parametrize("path", ["/oauth/callback/kick?code=c%2B1&state=s1",
                                  "/oauth/callback/kick/s1?code=c%2B1",
                                  "/oauth/callback/kick/s1?state=s1&code=c%2B1"])
def test_callback_finishes_a_login(front, broker, path):
    broker.answers["login_finish"] = lambda m: [("login_finished", {
        "platform": "kick", "username": "a", "identity": "verified", "scopes": "",
        "missing_scopes": ""})]
    answer = front.ask(path=path, headers=["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate",
                                           "Sec-Fetch-Dest: document"])
    assert answer.status == 200
    assert answer.body.decode() == published_page()
    check_policy(answer)
    assert broker.asked[-1].fields == {"platform": "kick", "state": b"s1", "code": b"c+1",
                                       "error": None, "error_description": None, "iss": None}


@pytest.mark.parametrize("path", [
    "/oauth/callback/kick?code=c", "/oauth/callback/kick?code=c&state=",
    "/oauth/callback/kick/a?code=c&state=b", "/oauth/callback/kick/a?code=c&state=",
    "/oauth/callback/kick?code=c&state=a&state=a", "/oauth/callback/kick/a?state=a&state=a&code=c",
    "/oauth/callback/kick?code=c&state=" + "a" * 513, "/oauth/callback/kick",
    "/oauth/callback/kick?error=access_denied"])
def test_states_that_are_refused(front, broker, path):
    answer = front.ask(path=path)
    assert (answer.status, answer.json()) == (400, {"error": "Invalid state parameter"})
    assert answer["Streamhold-Error"] == "invalid_state"
    assert broker.asked == []


@pytest.mark.parametrize("name", ["code", "error", "error_description", "iss"])
def test_parameters_given_twice_are_refused(front, broker, name):
    answer = front.ask(path=f"/oauth/callback/kick?state=s&{name}=a&{name}=b")
    assert answer.status == 400
    assert broker.asked == []


@pytest.mark.parametrize("code, status", [
    ("login_denied", 400), ("login_incomplete", 400), ("exchange_failed", 502),
    ("other_account", 409), ("storage_failed", 503), ("keystore_unavailable", 503),
    ("broker_away", 503), ("outcome_unknown", 503), ("timed_out", 503)])
def test_failed_logins_are_escaped_pages(front, broker, code, status):
    broker.answers["login_finish"] = lambda m: failed(code, "<script>alert('1')</script> & \"x\"")
    answer = front.ask(path="/oauth/callback/kick?state=s&error=x")
    assert answer.status == status
    assert b"<script>" not in answer.body
    assert b"&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;" in answer.body
    is_open = code in ("outcome_unknown", "timed_out")
    assert (b"<p>No access tokens were stored." in answer.body) == (not is_open)
    assert (b"<p>It is not known whether access tokens were stored. Look with "
            b"<code>streamhold accounts</code>" in answer.body) == is_open
    check_policy(answer)
    assert answer["Streamhold-Error"] == code
    assert (answer.get("Retry-After") is None) == (status != 503)


def test_state_refused_by_the_broker_is_json(front, broker):
    broker.answers["login_finish"] = lambda m: failed("invalid_state", "whatever")
    answer = front.ask(path="/oauth/callback/kick?state=s&code=c")
    assert (answer.status, answer.json()) == (400, {"error": "Invalid state parameter"})


def test_long_errors_are_cut_within_bounds(front, broker):
    broker.answers["login_finish"] = lambda m: failed("login_denied", "no")
    front.ask(path="/oauth/callback/kick?state=s&error=" + "e" * 300 +
              "&error_description=" + "%C3%A9" * 250)
    assert broker.asked[-1].error == "e" * 256
    assert broker.asked[-1].error_description == "é" * 250


def test_head_and_prefetch_use_nothing_up(front, broker):
    path = "/oauth/callback/kick?code=c&state=s"
    answer = front.ask("HEAD", path)
    assert (answer.status, answer["Content-Length"]) == (200, "0")
    for header in ("Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender",
                   "Purpose: prefetch", "X-Moz: prefetch"):
        assert front.ask(path=path, headers=[header]).status == 503
    assert broker.asked == []


# ---- what is ours to shape ----

CREDENTIALS = ("credentials", {"platform": "kick", "client_id": "id", "scopes": "a b",
                               "redirect_uri": "http://localhost:3000/oauth/callback/kick",
                               "created_at": 0, "updated_at": 0})


def test_credentials_are_shown_without_secret(front, broker):
    broker.answers["credentials_list"] = lambda m: [CREDENTIALS, ("list_end", {})]
    one = {"platform": "kick", "client_id": "id", "scopes": ["a", "b"],
           "redirect_uri": "http://localhost:3000/oauth/callback/kick",
           "created_at": "1970-01-01T00:00:00.000Z", "updated_at": "1970-01-01T00:00:00.000Z"}
    assert front.ask(path="/oauth/credentials").json() == {"credentials": [one]}
    assert broker.asked[-1].platform is None
    assert front.ask(path="/oauth/credentials/kick").json() == one
    assert broker.asked[-1].platform == "kick"
    broker.answers["credentials_list"] = lambda m: [("list_end", {})]
    assert front.ask(path="/oauth/credentials").json() == {"credentials": []}
    answer = front.ask(path="/oauth/credentials/kick")
    assert answer.status == 404
    assert answer.json() == {"error": "No OAuth credentials configured for platform: kick"}


def test_credentials_are_deleted(front, broker):
    broker.answers["credentials_delete"] = lambda m: [("credentials_deleted", {"platform": "kick"})]
    assert front.ask("DELETE", "/oauth/credentials/kick").json() == {
        "message": "OAuth credentials deleted successfully", "platform": "kick"}


def test_accounts_are_listed(front, broker):
    broker.answers["accounts_list"] = lambda m: [
        account(), account("reauth_required", reason="gone", since=1), ("list_end", {})]
    accounts = front.ask(path="/oauth/accounts").json()["accounts"]
    assert [one["status"] for one in accounts] == ["valid", "reauth_required"]
    assert accounts[1]["reason"] == "gone"
    assert "expires_at" not in accounts[1]


def event(seq, text=b'{"a": 1}', **more):
    return ("event", {"seq": seq, "platform": "kick", "type": "chat.message.sent", "kind": "chat",
                      "flags": "", "flag_bits": 0, "length": len(text), "json": text} | more)


def test_events_are_listed_as_the_broker_composed_them(front, broker):
    odd = b'{"seq":7,"payload":{ "x" :1.0,\t"y":"\\u00e9"}}'
    broker.answers["events_list"] = lambda m: [
        event(7, odd), event(9, b'{"seq":9}', flags="foreign late"), ("list_end", {"next": 9})]
    answer = front.ask(path="/events?after=6&limit=2&type=t&platform=kick&include=foreign&kind=chat")
    assert answer.body == b'{"events":[' + odd + b',{"seq":9}],"next_after":9}'
    assert broker.asked[-1].fields == {"after": 6, "limit": 2, "type": "t", "platform": "kick",
                                       "kind": "chat", "foreign": True, "synthetic": False,
                                       "broadcaster": None, "bytes": 0, "follow": False,
                                       "offer": False,
                                       "replays": 0, "wait_ms": 0, "run": 0,
                                       "quarantined": False}
    front.ask(path="/events")
    assert broker.asked[-1].fields == {"after": 0, "limit": 100, "type": None, "platform": None,
                                       "kind": None, "foreign": False, "synthetic": False,
                                       "broadcaster": None, "bytes": 0, "follow": False,
                                       "offer": False,
                                       "replays": 0, "wait_ms": 0, "run": 0,
                                       "quarantined": False}


@pytest.mark.parametrize("words", ["foreign", "synthetic", "quarantined", "synthetic,foreign",
                                   "quarantined,foreign,synthetic", "foreign,foreign"])
def test_what_is_left_out_can_be_asked_for(front, broker, words):
    broker.answers["events_list"] = lambda m: [("list_end", {"next": 0})]
    assert front.ask(path="/events?include=" + words).status == 200
    asked = broker.asked[-1].fields
    assert {word for word in ("foreign", "synthetic", "quarantined") if asked[word]} == \
        set(words.split(","))


def test_long_events_come_in_parts(front, broker):
    whole = json.dumps({"text": "x" * 100000}).encode()

    def rows(m):
        for seq in (1, 2):
            yield ("event", event(seq, whole)[1] | {"json": whole[:30000]})
            for at in range(30000, len(whole), 30000):
                yield ("event_part", {"json": whole[at:at + 30000]})
        yield ("list_end", {"next": 2})

    broker.answers["events_list"] = lambda m: list(rows(m))
    assert front.ask(path="/events").json()["events"] == [json.loads(whole)] * 2


def test_broken_pages_are_an_error(front, broker):
    for rows in ([event(1, b"{}", length=5), ("list_end", {})],
                 [event(1, b"{}x", length=2)], [("event_part", {"json": b"x"})],
                 [event(1, b"{}", length=5), event(2)]):
        broker.answers["events_list"] = lambda m, rows=rows: rows
        assert front.ask(path="/events").status == 500


@pytest.mark.parametrize("query, asked", [
    ("type=a&type=b", {"type": "a,b"}), ("type=a,b,a", {"type": "a,b"}),
    ("include=foreign&include=foreign", {"foreign": True}),
    ("include=foreign,", {"foreign": True}), ("include=,", {"foreign": False})])
def test_event_parameters_may_be_lists(front, broker, query, asked):
    broker.answers["events_list"] = lambda m: [("list_end", {"next": 0})]
    assert front.ask(path="/events?" + query).status == 200
    fields = broker.asked[-1].fields
    assert {name: fields[name] for name in asked} == asked


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=", "after=1&after=2", "limit=0",
                                   "limit=501", "limit=", "limit=1.5", "include=all", "include=foreign%00x",
                                   "kind=" + "k" * 17, "kind=a&kind=b",
                                   "type=" + "t" * 129, "platform=mixer",
                                   "after=18446744073709551616", "after=%31%"[:-1] + "x",
                                   "types=chat.message.sent", "Type=a", "kind=chat&x=1", "foreign"])
def test_event_parameters_that_are_refused(front, broker, query):
    assert front.ask(path="/events?" + query).status == 400
    assert broker.asked == []


def test_one_event(front, broker):
    broker.answers["event_get"] = lambda m: [event(7, b'{"seq":7}'), ("list_end", {})]
    assert front.ask(path="/events/7").json()["seq"] == 7
    assert broker.asked[-1].fields == {"seq": 7, "id": None}
    front.ask(path="/events/01ABC")
    assert broker.asked[-1].fields == {"seq": 0, "id": "01ABC"}
    broker.answers["event_get"] = lambda m: [("list_end", {})]
    assert front.ask(path="/events/8").status == 404
    for path in ("/events/0", "/events/18446744073709551616", "/events/" + "a" * 129):
        answer = front.ask(path=path)
        assert (answer.status, answer.json()) == (404, {"error": "There is no such event"})


def health(component, state, needed=True, detail=""):
    return ("health", {"component": component, "state": state, "needed": needed, "detail": detail})


def test_health(front, broker):
    broker.answers["health_get"] = lambda m: [health("database", "healthy"),
                                              health("webhooks", "unhealthy", False, "no tunnel"),
                                              health("tokens_kick", "degraded", False, "paused"),
                                              ("list_end", {})]
    status = front.ask(path="/status").json()
    assert status["status"] == "degraded"
    assert set(status["components"]) == {"server", "broker", "database", "keystore", "webhooks",
                                         "events", "logins", "subscriptions",
                                         "tokens_kick"}
    assert status["components"]["tokens_kick"] == {"status": "degraded", "detail": "paused"}
    assert status["components"]["webhooks"] == {"status": "unhealthy", "detail": "no tunnel"}
    assert front.ask(path="/readyz").json() == {"ready": True}
    broker.answers["health_get"] = lambda m: [health("keystore", "unhealthy", True, "locked"),
                                              ("list_end", {})]
    assert front.ask(path="/status").json()["status"] == "unhealthy"
    answer = front.ask(path="/readyz")
    assert (answer.status, answer.json()) == (503, {"ready": False,
                                                    "reasons": ["keystore: locked"]})
    assert front.ask().status == 200


def test_a_broker_that_is_silent_is_unhealthy_within_a_second(front, broker):
    watch = Stopwatch()
    status = front.ask(path="/status")
    assert status.status == 200
    assert status.json()["components"]["broker"]["status"] == "unhealthy"
    assert 0.9 < watch.wall() and watch.within(1.5)


@pytest.mark.parametrize("path, status", [("/status", 200), ("/readyz", 503)])
def test_a_broker_that_goes_while_it_is_asked_is_not_waited_for(front, path, status):
    other = front.broker({})
    with front.connect() as client:
        client.sendall(front.head(path=path))
        while not other.asked:
            time.sleep(0.005)
        watch = Stopwatch()
        other.close()
        answer = Reader(client).answer()
        assert watch.within(0.5)
        assert answer.status == status
        assert "the broker is not connected" in answer.body.decode()


def test_pages_for_people_and_programs(front):
    page = front.ask(path="/")
    assert page.status == 200
    check_policy(page)
    assert "connect-src 'self'" in page["Content-Security-Policy"]
    description = front.ask(path="/openapi.json")
    assert description.json()["openapi"].startswith("3.")


# ---- guards ----

def test_every_answer_has_the_security_headers(front):
    for answer in (front.ask(), front.ask(path="/nothing"), front.ask(host="evil.test"),
                   front.ask("OPTIONS"), front.ask(path="/oauth/callback/kick")):
        assert answer["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "no-referrer"
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["Cache-Control"] == "no-store"
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer["Date"])
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_hosts_that_are_ours(front):
    for host in (f"localhost:{front.port}", f"127.0.0.1:{front.port}", f"[::1]:{front.port}",
                 "proxy.test", "PROXY.test"):
        assert front.ask(host=host).status == 200
    assert front.ask(client=front.connect(socket.AF_INET6)).status == 200


@pytest.mark.parametrize("host", [
    "evil.test", "evil.test:{port}", "127.0.0.1.nip.io:{port}", "127.0.0.1", "localhost",
    "LOCALHOST:{port}", "localhost.:{port}", "localhost:1", "localhost:0{port}", "[::1]",
    "[0:0:0:0:0:0:0:1]:{port}", "127.1:{port}", "0.0.0.0:{port}", "localhost@evil:{port}",
    "2130706433:{port}", "localhost:{port}.evil.test", "proxy.test:80", "xproxy.test", "proxy.tes",
    "[::ffff:127.0.0.1]:{port}", "localhost:{port}:{port}", "0x7f.1:{port}"])
def test_hosts_that_are_not_ours(front, host):
    answer = front.ask(host=host.format(port=front.port))
    assert answer.status in (421, 400)
    assert answer["Connection"] == "close"


def test_any_host_is_fine_on_a_unix_socket(front):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(front.folder / "api.sock"))
        assert front.ask(host="localhost", client=client).status == 200


@pytest.mark.parametrize("headers", [
    ["Origin: https://evil.test"], ["Origin: null"], ["Origin: http://localhost"],
    ["Origin: http://localhost:1"], ["Origin: https://localhost:{port}"], ["Origin:"],
    ["Origin: http://localhost:{port}", "Origin: http://localhost:{port}"],
    ["Sec-Fetch-Site: cross-site"], ["Sec-Fetch-Site: Cross-Site"],
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none"]])
def test_foreign_pages_are_refused(front, broker, headers):
    headers = [header.format(port=front.port) for header in headers]
    for method, path in (("GET", "/oauth/accounts"), ("POST", "/oauth/credentials/kick"),
                         ("DELETE", "/oauth/kick/a"), ("GET", "/nothing"), ("PUT", "/healthz")):
        answer = front.ask(method, path, headers)
        assert (answer.status, answer["Streamhold-Error"]) == (403, "foreign_origin")
    assert broker.asked == []


def test_own_and_allowed_origins_are_served(front):
    for origin in (f"http://localhost:{front.port}", f"http://127.0.0.1:{front.port}",
                   f"http://[::1]:{front.port}", "https://panel.test"):
        assert front.ask(headers=[f"Origin: {origin}"]).status == 200
    assert front.ask(headers=["Sec-Fetch-Site: same-origin"]).status == 200
    assert front.ask(headers=["Sec-Fetch-Site: none"]).status == 200
    assert front.ask(headers=["Origin: https://panel.test", "Sec-Fetch-Site: cross-site"]).status == 200


def test_callback_takes_navigations_only(front, broker):
    path = "/oauth/callback/kick?state=s&code=c"
    for mode, dest in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")):
        assert front.ask(path=path, headers=["Sec-Fetch-Site: cross-site",
                                             f"Sec-Fetch-Mode: {mode}",
                                             f"Sec-Fetch-Dest: {dest}"]).status == 403
    assert broker.asked == []


def test_writes_need_json(front, broker):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                 "application/jsonx", "application/json-patch+json", "json", "", "text/json",
                 "application/json, text/plain"):
        answer = front.ask("POST", "/oauth/credentials/kick", [f"Content-Type: {kind}"], b"{}")
        assert (answer.status, answer["Streamhold-Error"]) == (415, "unsupported_media_type")
    assert front.ask("POST", "/oauth/credentials/kick", [], b"{}").status == 415
    assert front.ask("POST", "/oauth/credentials/kick", JSON * 2, b"{}").status == 415
    assert front.ask("DELETE", "/oauth/kick/a", ["Content-Type: text/plain"], b"{}").status == 415
    for kind in ("application/json;charset=utf-8", "Application/JSON ; a=b"):
        assert front.ask("POST", "/oauth/credentials/kick", [f"Content-Type: {kind}"],
                         b"{}").status == 400
    for coding in ("gzip", "identity", ""):
        assert front.ask("POST", "/oauth/credentials/kick",
                         JSON + [f"Content-Encoding: {coding}"], b"{}").status == 415
    assert broker.asked == []


def test_methods(front):
    for path, allow in (("/healthz", "GET, HEAD"), ("/oauth/kick/a", "DELETE"),
                        ("/oauth/callback/kick", "GET, HEAD"), ("/", "GET, HEAD"),
                        ("/oauth/credentials/kick", "GET, HEAD, POST, DELETE"),
                        ("/events/a", "GET, HEAD"), ("/oauth/credentials/nobody", "GET, HEAD, POST, DELETE")):
        for method in ("OPTIONS", "PATCH", "PUT"):
            answer = front.ask(method, path)
            assert (answer.status, answer["Allow"]) == (405, allow)
            assert answer.json()["error"] == f"This path does not have that method; it has {allow}"
    assert front.ask("DELETE", "/oauth/callback/kick").status == 405


def test_head_is_get_without_body(front):
    get = front.ask()
    head = front.ask("HEAD")
    assert head["Content-Length"] == get["Content-Length"]
    with front.connect() as client:
        client.sendall(front.head("HEAD") + front.head())
        reader = Reader(client)
        assert reader.answer(head=True).status == 200
        assert reader.answer().json() == get.json()


@pytest.mark.parametrize("path", ["/nothing", "/healthz/", "//healthz", "/oauth", "/oauth/",
                                  "/oauth/start/kick/a/b", "/events/", "/Healthz",
                                  "/healthz;a", "/webhooks/kick", "/oauth/callback/kick/a/b",
                                  "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r"])
def test_other_paths_are_not_there(front, path):
    answer = front.ask(path=path)
    assert (answer.status, answer["Streamhold-Error"]) == (404, "not_found")
    assert path.encode() not in answer.body


@pytest.mark.parametrize("path", ["/a%2Fb", "/%2e%2e/etc", "/../etc", "/./healthz", "/%FF", "/a%0A"])
def test_bad_paths_are_refused(front, path):
    answer = front.ask(path=path)
    assert (answer.status, answer["Streamhold-Error"]) == (400, "bad_path")
    assert "an encoded slash" in answer.json()["error"]


def limit_rate(front, broker, limit):
    """What the broker answers after this has gone the same way, so it is in force then."""
    broker.answers["accounts_list"] = lambda m: [("list_end", {})]
    broker.tell("settings", rate_limit=limit, connections_max=1024, body_max=65536,
                shutdown_timeout_ms=10000, log_level="info", log_format="text",
                allowed_hosts="proxy.test", allowed_origins="https://panel.test")
    for _ in range(100):
        if front.ask(path="/oauth/accounts").status == 200 or limit:
            return
    raise AssertionError("the rate is limited")


def test_order_of_refusals(front, broker):
    """Everything is wrong with the first request; then, one by one, less."""
    steps = [
        (400, "bad_path", {"path": "/a%2Fb"}),
        (421, "wrong_host", {"host": "evil.test"}),
        (403, "foreign_origin", {"origin": "https://evil.test"}),
        (429, "rate_limited", {"spent": True}),
        (404, "not_found", {"path": "/nothing"}),
        (405, "method_not_allowed", {"method": "PUT"}),
        (400, "invalid_platform", {"path": "/oauth/credentials/mixer"}),
        (413, "body_too_large", {"length": 65537}),
        (415, "unsupported_media_type", {"kind": "text/plain"}),
        (400, "invalid_request", {"body": b"{"}),
        (400, "invalid_request", {"body": b"{}"}),
    ]
    for start, (status, code, _) in enumerate(steps):
        wrong = {}
        for _, _, fault in reversed(steps[start:]):
            wrong |= fault
        body = wrong["body"].ljust(wrong.get("length", 0))
        headers = [f"Content-Type: {wrong.get('kind', 'application/json')}",
                   f"Content-Length: {len(body)}"]
        if "origin" in wrong:
            headers.append(f"Origin: {wrong['origin']}")
        # The one request a second that is allowed goes before it on the connection.
        before = 3 if "spent" in wrong else 0
        limit_rate(front, broker, 1 if before else 0)
        try:
            with front.connect() as client:
                client.sendall(front.head() * before + front.head(
                    wrong.get("method", "POST"), wrong.get("path", "/oauth/credentials/kick"),
                    headers, wrong.get("host")) + body)
                reader = Reader(client)
                for _ in range(before):
                    assert reader.answer().status in (200, 429)
                answer = reader.answer()
        finally:
            limit_rate(front, broker, 0)
        assert (answer.status, answer["Streamhold-Error"]) == (status, code), (start, answer)


@pytest.mark.parametrize("length", [10 ** 14, 10 ** 15, 10 ** 16, 2 ** 64, 2 ** 64 + 5, 10 ** 40])
def test_a_length_beyond_all_numbers_is_refused_in_its_turn(front, broker, length):
    """As any other that is too large: behind Host, path and method."""
    header = JSON + [f"Content-Length: {length}"]
    for status, method, path, host in ((421, "POST", "/nothing", "evil.test"),
                                       (404, "POST", "/nothing", None),
                                       (405, "PUT", "/oauth/credentials/kick", None),
                                       (413, "POST", "/oauth/credentials/kick", None)):
        assert front.ask(method, path, header, host=host).status == status
    assert front.ask("POST", "/nothing", header + ["Origin: https://evil.test"]).status == 403


def test_body_size_on_the_api(front, broker):
    broker.answers["credentials_put"] = lambda m: [("credentials_stored", {"platform": "kick"})]
    body = json.dumps(CLIENT).encode()
    assert front.ask("POST", "/oauth/credentials/kick", JSON, body.ljust(65536)).status == 200
    answer = front.ask("POST", "/oauth/credentials/kick", JSON, body.ljust(65537))
    assert (answer.status, answer["Streamhold-Error"]) == (413, "body_too_large")


# ---- failures of the broker ----

@pytest.mark.parametrize("line", [line for line in re.findall(
    r"^ERROR\((\w+), (\d+),", (Front.listen.__globals__["ROOT"] / "proto" / "errors.def").read_text(),
    re.M)])
def test_every_error_has_its_status(front, broker, line):
    code, status = line
    broker.answers["account_get"] = lambda m: failed(code, "A sentence")
    answer = front.ask(path="/oauth/status/kick/a")
    assert (answer.status, answer["Streamhold-Error"]) == (int(status), code)
    assert answer.json() == {"error": "A sentence"}
    assert (answer.get("Retry-After") == "1") == (status == "503")


def test_an_unknown_error_is_internal(front, broker):
    broker.answers["account_get"] = lambda m: failed("no_such_code", "A sentence", 7)
    answer = front.ask(path="/oauth/status/kick/a")
    assert (answer.status, answer["Streamhold-Error"]) == (500, "internal")


# ---- the command line ----

def run(*arguments):
    return subprocess.run([program(), *arguments], capture_output=True, text=True, timeout=20)


def test_command_line(build, tmp_path):
    assert run("--version").stdout.startswith("streamhold-httpd ")
    assert "usage" in run("--help").stdout
    for wrong in (["--role", "x"], ["--nothing"], [], ["--role", "api", "more"],
                  ["--role", "api", "--broker-uid", "-1"], ["-Q", "x"], ["--role"]):
        done = run(*wrong)
        assert done.returncode == 1
        assert "usage" in done.stderr
    good = tmp_path / "good.json"
    good.write_text("{}")
    bad = tmp_path / "bad.json"
    bad.write_text('{"server": {"prot": 1}}')
    assert run("-n", "--config", str(good)).returncode == 0
    done = run("-n", "--config", str(bad))
    assert done.returncode == 1
    assert "server.prot" in done.stderr
    done = run("--role", "api", "--config", str(good))
    assert done.returncode == 3
    assert "streamhold up" in done.stderr
