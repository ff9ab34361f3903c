"""Kick deliveries through both real processes: what is accepted, refused, stored and shown."""
import base64
import concurrent.futures
import json
import re
import select
import socket
import time
from datetime import datetime, timedelta, timezone

import pytest

from tests.fake import delivery as making
from tests.fake import events as kinds
from tests.fake.keys import Signer, ulid
from tests.fake.sender import exchange, read_reply, send
from tests.lib.daemon import Streamhold
from tests.lib.platforms import Platforms, login, put_credentials
from tests.lib.sse import Stream
from tests.lib.stopwatch import Stopwatch

SIGNER = Signer()


@pytest.fixture
def daemon(streamhold, folder):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    return streamhold({"platforms": {"kick": {"public_key_file": str(key)}}})


def url(daemon, path="/webhooks/kick"):
    return f"http://127.0.0.1:{daemon.webhook_port}{path}"


def deliver(daemon, kind="chat.message.sent", mode="valid", send_options=None, **options):
    one = making.build(kind, SIGNER, mode, **options)
    return one, send(url(daemon), one, **(send_options or {}))


# -- accepted -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", kinds.TYPES)
def test_each_type_is_stored_as_sent(daemon, kind):
    before = time.time()
    one, reply = deliver(daemon, kind)
    assert reply.status == 200 and json.loads(reply.body) == {"status": "stored"}
    page = daemon.get("/events").json()
    assert page["next_after"] == 1
    event, = page["events"]
    assert event["seq"] == 1 and event["id"] == one.message_id
    assert event["platform"] == "kick" and event["type"] == kind and event["version"] == 1
    assert event["flags"] == []
    assert event["payload"] == json.loads(one.body)
    owner = json.loads(one.body)["broadcaster"]
    assert event["broadcaster"] == {"id": str(owner["user_id"]), "name": owner["username"]}
    assert event["occurred_at"].endswith("Z") and event["received_at"].endswith("Z")
    assert abs(time.time() - before) < 20


def test_payload_is_the_original_text(daemon):
    odd = (b'{ "broadcaster" : {"user_id":1.0e2,"username":"\\u00e9\\/"} ,\t"n":12345678901234567890'
           b',"dup":1,"dup":2}')
    one, reply = deliver(daemon, body=odd)
    assert reply.status == 200
    assert json.loads(reply.body) == {"status": "quarantined"}
    assert daemon.events() == []
    assert b'"payload":' + odd + b"}" in daemon.get("/events?include=quarantined").body
    assert b'"payload":' + odd + b"}" in daemon.get("/events/1").body


@pytest.mark.parametrize("options", [
    {"chunked": True}, {"lower": True}, {"chunked": True, "lower": True}])
def test_forms_of_requests(daemon, options):
    _, reply = deliver(daemon, send_options=options)
    assert reply.status == 200
    assert len(daemon.events()) == 1


def test_duplicates_are_answered_and_stored_once(daemon):
    one, reply = deliver(daemon)
    assert reply.status == 200
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: send(url(daemon), one), range(64)))
    assert {reply.status for reply in replies} == {200}
    assert {reply.body for reply in replies} == {b'{"status":"duplicate"}'}
    daemon.stop()
    daemon.start()
    assert json.loads(send(url(daemon), one).body) == {"status": "duplicate"}
    assert len(daemon.events()) == 1


@pytest.mark.parametrize("mode, verdict, flags", [
    ("unknown_type", "unknown", ["unknown"]), ("version2", "unknown", ["unknown"]),
    ("unverified_null", "stored", []), ("no_identity", "stored", []),
])
def test_signed_but_unusual(daemon, mode, verdict, flags):
    _, reply = deliver(daemon, mode=mode)
    assert (reply.status, json.loads(reply.body)["status"]) == (200, verdict)
    assert daemon.events()[0]["flags"] == flags


@pytest.mark.parametrize("mode", ["invalid_utf8", "not_json", "deep_json", "empty_body"])
def test_signed_but_not_json_is_kept_raw(daemon, mode):
    one, reply = deliver(daemon, mode=mode)
    assert (reply.status, json.loads(reply.body)["status"]) == (200, "quarantined")
    assert daemon.events() == []
    event, = daemon.events(include="quarantined")
    assert "payload" not in event and event["flags"] == ["quarantined"]
    assert event["kind"] == "chat" and event["data"] is None and event["actor"] is None
    assert base64.b64decode(event["payload_base64"]) == one.body
    assert event["broadcaster"] is None or event["broadcaster"]["id"] is None


def test_foreign_broadcasters_are_kept_but_not_handed_on(streamhold, folder):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    ours = kinds.event("chat.message.sent")["broadcaster"]
    daemon = streamhold({
        "platforms": {"kick": {"public_key_file": str(key)}},
        "subscriptions": {"kick": [{"username": ours["username"].upper(),
                                    "events": ["chat.message.sent"]}]}})
    _, mine = deliver(daemon)
    foreign, reply = deliver(daemon, mode="other_broadcaster")
    assert json.loads(mine.body)["status"] == "stored"
    assert (reply.status, json.loads(reply.body)["status"]) == (200, "foreign")
    assert [one["seq"] for one in daemon.events()] == [1]
    assert [one["flags"] for one in daemon.events(include="foreign")] == [[], ["foreign"]]
    assert daemon.get(f"/events/{foreign.message_id}").json()["flags"] == ["foreign"]


def test_the_check_for_foreign_ones_does_not_end_with_the_last_channel(daemon):
    """Every app gets the same signatures: once something was ours, the rest never is."""
    ours = kinds.event("channel.followed")["broadcaster"]["username"]

    def verdict():
        _, reply = deliver(daemon, "channel.followed", mode="other_broadcaster")
        return json.loads(reply.body)["status"]

    assert verdict() == "stored"        # a fresh installation knows nobody
    daemon.stop()
    daemon.start()
    assert verdict() == "stored"
    path = f"/subscriptions/kick/{ours}"
    wanted = {"events": ["channel.followed"]}
    assert daemon.call("PUT", path, wanted).status == 200
    assert verdict() == "foreign"
    for change in (("DELETE", path, None), ("PUT", path, {"events": None})):
        assert daemon.call("PUT", path, wanted).status == 200
        assert daemon.call(*change).status == 200
        assert verdict() == "foreign", change
        daemon.stop()
        daemon.start()
        assert verdict() == "foreign", change


def test_the_check_for_foreign_ones_does_not_end_with_the_last_login(streamhold, fakes, folder):
    daemon = streamhold(fakes.config(folder))
    fakes.register(daemon, ["kick"])
    put_credentials(daemon, "kick")
    one = making.build("channel.followed", Platforms.signer, "other_broadcaster")
    assert json.loads(send(url(daemon), one).body)["status"] == "stored"
    assert login(daemon, "kick").status == 200
    assert daemon.call("DELETE", "/oauth/kick/streamer123").status == 200
    for _ in range(2):
        one = making.build("channel.followed", Platforms.signer, "other_broadcaster")
        assert json.loads(send(url(daemon), one).body)["status"] == "foreign"
        daemon.stop()
        daemon.start()


def test_sizes(daemon):
    limit = 262144
    for size, status in ((limit, 200), (limit + 1, 413)):
        body = b'{"a":"' + b"x" * (size - 8) + b'"}'
        assert len(body) == size
        one, reply = deliver(daemon, body=body)
        assert reply.status == status
        one, reply = deliver(daemon, body=body, send_options={"chunked": True})
        assert reply.status == status
    assert [len(json.dumps(event["payload"], separators=(",", ":")))
            for event in daemon.events(include="quarantined")] == [limit, limit]
    assert deliver(daemon, mode="big_body")[1].status == 413


# -- refused --------------------------------------------------------------------------------

REFUSED = ["flip_body", "flip_id", "flip_timestamp", "flip_signature", "body_only_signature",
           "other_key", "old", "future"]
FORMS = [f"{what}_{name}" for what in ("missing", "duplicate")
         for name in ("id", "signature", "timestamp", "type", "version")]


@pytest.mark.parametrize("mode", REFUSED + FORMS + ["duplicate_subscription", "drops_claim"])
def test_refused_with_one_answer(daemon, mode):
    _, reply = deliver(daemon, mode=mode)
    assert reply.status == 401
    assert json.loads(reply.body) == {"error": "Delivery refused"}
    assert daemon.events() == []


def test_a_missing_subscription_id_is_fine(daemon):
    assert deliver(daemon, mode="missing_subscription")[1].status == 200


def test_every_flipped_bit_is_refused(daemon):
    """200 small changes spread over body, id, timestamp and signature; each is so that only
    the signature can tell."""
    genuine = making.build("channel.followed", SIGNER)
    accepted = []
    for number in range(200):
        one = making.build("channel.followed", SIGNER, body=genuine.body)
        headers = dict(one.headers)
        part = number % 4
        if part == 0:
            body = bytearray(one.body)
            body[number * 7 % len(body)] ^= 1 << number % 8
            one.body = bytes(body)
        else:
            name = (making.ID, making.TIMESTAMP, making.SIGNATURE)[part - 1]
            value = headers[name]
            at = number * 5 % len(value)
            other = "A" if value[at] != "A" else "B"
            if name == making.TIMESTAMP:    # another time of the same hour
                digits = [15, 18, *(at for at in range(20, len(value)) if value[at].isdigit())]
                at = digits[number // 4 % len(digits)]
                other = str((int(value[at]) + 1) % 10)
            headers[name] = value[:at] + other + value[at + 1:]
            one.headers = list(headers.items())
        reply = send(url(daemon), one)
        if reply.status != 401:
            accepted.append((number, reply.status))
    assert accepted == []
    assert daemon.events() == []
    inspected = json.loads(daemon.cli("inspect", "--json").stdout)
    assert inspected["sections"]["counts"]["deliveries_refused_signature"] == 200


@pytest.mark.parametrize("tolerance, refused_s, taken_s", [
    (None, (2 * 86400, -2 * 86400), (3600, -3600)), (120, (600, -600), (30, -30)),
    (3 * 86400, (4 * 86400, -4 * 86400), (2 * 86400, -2 * 86400)),
    (0, (), (400 * 86400, -400 * 86400))])
def test_how_old_or_early_a_delivery_may_be_is_configured(
        streamhold, folder, tolerance, refused_s, taken_s):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    daemon = streamhold({"platforms": {"kick": {"public_key_file": str(key)}}, "webhooks": {
        "port": 0, **({} if tolerance is None else {"timestamp_tolerance_s": tolerance})}})
    for ages, status in ((refused_s, 401), (taken_s, 200)):
        for age in ages:
            _, reply = deliver(daemon, timestamp=kinds.stamp(-age / 86400))
            assert reply.status == status, age
    assert len(daemon.events()) == len(taken_s)


@pytest.mark.parametrize("content_type, status", [
    ("application/json", 200), ("application/json; charset=utf-8", 200),
    ("Application/JSON", 200), ("text/plain", 415), ("", 415), ("application/jsonx", 415)])
def test_content_types(daemon, content_type, status):
    one = making.build("channel.followed", SIGNER)
    one.headers = [(name, content_type if name == "Content-Type" else value)
                   for name, value in one.headers]
    assert send(url(daemon), one).status == status


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/webhooks/kick", 405), ("PUT", "/webhooks/kick", 405), ("POST", "/", 404),
    ("POST", "/webhooks/kick/", 404), ("GET", "/events", 404), ("GET", "/status", 404),
    ("GET", "/oauth/status/kick/x", 404), ("POST", "/oauth/credentials/kick", 404),
    ("GET", "/healthz", 404)])
def test_the_public_listener_serves_one_path(daemon, method, path, status):
    answer = daemon.call(method, path, "{}" if method != "GET" else None, port=daemon.webhook_port,
                         headers={"Content-Type": "application/json"})
    assert answer.status == status
    if status == 405:
        assert answer.headers["Allow"] == "POST"


def test_api_listener_does_not_take_deliveries(daemon):
    one = making.build("channel.followed", SIGNER)
    reply = send(f"http://127.0.0.1:{daemon.api_port}/webhooks/kick", one)
    assert reply.status == 404


def test_any_single_host_is_taken(daemon):
    one = making.build("channel.followed", SIGNER)
    data = one.wire("/webhooks/kick", "hooks.example.com", close=True)
    assert exchange("127.0.0.1", daemon.webhook_port, data).status == 200


def test_refusals_are_counted(daemon):
    for mode in ("missing_signature", "flip_body", "old"):
        deliver(daemon, mode=mode)
    # A front tells of its own refusals once a second.
    Stopwatch().wait(lambda: "webhook_refused" in daemon.cli("inspect", "--json").stdout, 5)
    text = json.dumps(json.loads(daemon.cli("inspect", "--json").stdout))
    assert '"deliveries_refused_signature": 1' in text
    assert '"deliveries_refused_stale": 1' in text


# -- paging ---------------------------------------------------------------------------------


def test_pages_and_filters(daemon):
    for number in range(7):
        kind = "channel.followed" if number % 2 else "chat.message.sent"
        assert deliver(daemon, kind)[1].status == 200
    page = daemon.get("/events?limit=3").json()
    assert [one["seq"] for one in page["events"]] == [1, 2, 3] and page["next_after"] == 3
    page = daemon.get("/events?limit=3&after=6").json()
    assert [one["seq"] for one in page["events"]] == [7] and page["next_after"] == 7
    page = daemon.get("/events?after=7").json()
    assert page == {"events": [], "next_after": 7}
    page = daemon.get("/events?after=99999").json()
    assert page == {"events": [], "next_after": 99999}
    page = daemon.get("/events?type=channel.followed").json()
    assert [one["seq"] for one in page["events"]] == [2, 4, 6]
    assert len(daemon.get("/events?platform=kick").json()["events"]) == 7
    assert daemon.get("/events?platform=twitch").json()["events"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=-1", "after=-1",
                                   "after=1.5", "after=", "limit=99999999999999999999",
                                   "after=18446744073709551616", "platform=nope"])
def test_bad_queries_are_named(daemon, query):
    answer = daemon.get(f"/events?{query}")
    assert answer.status == 400
    assert query.split("=")[0] in answer.json()["error"]


def test_single_events(daemon):
    one, _ = deliver(daemon)
    by_seq, by_id = daemon.get("/events/1"), daemon.get(f"/events/{one.message_id}")
    assert by_seq.status == by_id.status == 200 and by_seq.json() == by_id.json()
    for missing in ("0", "2", ulid(), "99999999999999999999999"):
        answer = daemon.get(f"/events/{missing}")
        assert answer.status == 404, missing
        assert answer.json()["error"]


def test_a_damaged_body_that_named_somebody_anonymous_is_not_shown(daemon):
    """Masking goes by members, and of these bytes nobody knows them."""
    giver = {**kinds.person(42424242, "Secret_Name"), "is_anonymous": True}
    body = {**kinds.event("channel.subscription.gifts"), "gifter": giver}
    deliver(daemon, "channel.subscription.gifts", body=body)
    event, = daemon.events()
    assert event["flags"] == ["masked"] and event["payload"]["gifter"]["username"] is None
    daemon.stop()
    row, = daemon.sql("SELECT body FROM events")
    assert b"Secret_Name" in row[0]     # it is kept
    daemon.sql("UPDATE events SET body = ?", row[0].replace(b"gifter", b"giftor"))
    daemon.start()
    page = daemon.get("/events")
    event, = page.json()["events"]
    assert event["flags"] == ["damaged", "masked"] and event["payload_base64"] == ""
    shown = page.text + daemon.get("/events/1").text + daemon.cli("events", "show", "1").stdout
    assert "masked" in shown
    for trace in (b"Secret_Name", b"42424242"):
        assert trace.decode() not in shown
        assert base64.b64encode(trace).decode().rstrip("=")[:-1] not in shown


def test_a_body_that_is_no_json_and_may_name_somebody_anonymous_is_not_shown(daemon):
    body = b'{"gifter":{"is_anonymous":true,"username":"Secret_Name"},'
    one, reply = deliver(daemon, "channel.subscription.gifts", body=body)
    assert json.loads(reply.body)["status"] == "quarantined"
    event, = daemon.events(include="quarantined")
    assert event["flags"] == ["quarantined", "masked"] and event["payload_base64"] == ""
    daemon.stop()
    assert daemon.sql("SELECT body FROM events") == [(one.body,)]


def test_what_was_received_is_stored_as_it_was(daemon):
    """So that whoever has the platform's key can check it again. A signature is kept as bytes."""
    one, _ = deliver(daemon)
    daemon.stop()
    headers = dict(one.headers)
    row, = daemon.sql("SELECT message_id, subscription_id, timestamp, type, version, content_type, "
                      "user_agent, signature, signature_bytes, body FROM events")
    assert row == (headers["Kick-Event-Message-Id"], headers["Kick-Event-Subscription-Id"],
                   headers["Kick-Event-Message-Timestamp"], headers["Kick-Event-Type"],
                   int(headers["Kick-Event-Version"]), headers["Content-Type"],
                   "Go-http-client/1.1", "",
                   base64.b64decode(headers["Kick-Event-Signature"]), one.body)


def test_a_damaged_body_is_flagged(daemon):
    deliver(daemon)
    daemon.stop()
    daemon.sql("UPDATE events SET body = ?", b'{"forged":true}')
    daemon.start()
    event = daemon.events()[0]
    assert "damaged" in event["flags"] and "payload" not in event


# -- the broker goes away -------------------------------------------------------------------


def test_open_deliveries_survive_a_broker_restart(daemon):
    """50 deliveries have gone to a broker that dies without a word: all are stored by the next
    one and answered 200."""
    import contextlib
    import os
    import signal
    ready = [making.build("chat.message.sent", SIGNER) for _ in range(50)]
    pid = daemon.broker_pid()
    os.kill(pid, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(
            ("127.0.0.1", daemon.webhook_port), 10)) for _ in ready]
        watch = Stopwatch()
        for client, one in zip(clients, ready):
            client.sendall(one.wire("/webhooks/kick", f"127.0.0.1:{daemon.webhook_port}"))
        # The front needs a few milliseconds to hand them on.
        assert select.select(clients, [], [], 0.5)[0] == []
        os.kill(pid, signal.SIGKILL)
        replies = [read_reply(stack.enter_context(client.makefile("rb"))) for client in clients]
    assert [reply.status for reply in replies] == [200] * 50
    assert watch.within(3)
    assert {one["id"] for one in daemon.events()} == {one.message_id for one in ready}
    # The front tells of what it counts once a second.
    held = re.compile(r'^streamhold_http_held_total\{role="webhook"\} 50$', re.M)
    Stopwatch().wait(lambda: held.search(daemon.get("/metrics").text), 5)


def test_broker_away_for_long_is_503(daemon):
    import os
    import signal
    one = making.build("chat.message.sent", SIGNER)
    os.kill(daemon.broker_pid(), signal.SIGSTOP)
    try:
        watch = Stopwatch()
        reply = send(url(daemon), one)
        assert reply.status == 503 and reply.header("Retry-After")
        assert 2.2 < watch.wall() and watch.within(3.5)
        for path in ("/healthz", "/status"):
            watch = Stopwatch()
            assert daemon.get(path).status == 200
            assert watch.within(1.5)
        assert daemon.get("/readyz").status == 503
    finally:
        os.kill(daemon.broker_pid(), signal.SIGCONT)


def test_what_was_answered_503_and_is_sent_again_is_stored_once(daemon):
    """The platform once promised three tries (Kick 3.3). Whether the first one is stored by the
    broker that wakes up is its own matter: the event is there once."""
    import os
    import signal
    import threading
    one = making.build("chat.message.sent", SIGNER)
    pid = daemon.broker_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            first = send(url(daemon), one)
            assert first.status == 503
            waking = threading.Timer(0.5, os.kill, (pid, signal.SIGCONT))
            waking.start()
            reply = pool.submit(send, url(daemon), one, attempts=3, pause_s=0.1).result()
            waking.join()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert reply.status == 200
    assert json.loads(reply.body)["status"] in ("stored", "duplicate")
    assert [event["id"] for event in daemon.events()] == [one.message_id]


def test_either_side_may_restart(daemon):
    import os
    import signal
    for victims in (daemon.children()["broker"], daemon.children()["httpd"]):
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            one = making.build("chat.message.sent", SIGNER)
            if send(url(daemon), one).status == 200:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("did not come back:\n" + daemon.text_log())
    assert daemon.get("/readyz").status == 200


def test_keep_alive_and_pipelining(daemon):
    ready = [making.build("chat.message.sent", SIGNER) for _ in range(20)]
    data = b"".join(one.wire("/webhooks/kick", "x") for one in ready)
    with socket.create_connection(("127.0.0.1", daemon.webhook_port), 10) as sock:
        sock.sendall(data)
        file = sock.makefile("rb")
        statuses = [read_reply(file).status for _ in ready]
    assert statuses == [200] * 20
    assert [one["id"] for one in daemon.events()] == [one.message_id for one in ready]


@pytest.mark.parametrize("option, text, said", [
    ("public_key_file", None, "cannot be read: No such file or directory; put the key there"),
    ("public_key_file", "no key", "is not a PEM file with an RSA public key"),
    ("ca_file", None, "platforms.kick.ca_file '.*' cannot be read: No such file"),
])
def test_a_file_of_the_configuration_that_is_of_no_use_ends_the_start(
        build, folder, option, text, said):
    path = folder / "file.pem"
    if text:
        path.write_text(text)
    daemon = Streamhold(folder, {"platforms": {"kick": {option: str(path)}}}, build=build)
    daemon.spawn()
    assert daemon.wait_exit() == 1
    daemon.wait_log(f"error broker .*{option} '{path}'.*leave the option out")
    daemon.wait_log(said)


# -- the order of arrival --------------------------------------------------------------------


def text_of(time_of, seconds_before=0):
    earlier = time_of - timedelta(seconds=seconds_before)
    return earlier.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def test_deliveries_that_arrive_out_of_order_keep_the_order_of_arrival(daemon):
    """Facts/kick.md 8: the platform hands deliveries over late and in another order than they
    happened in."""
    # Seconds before now: when each was sent, and when it happened. The fourth is late either way;
    # the last one was sent just now, and tells of something that is long over.
    ages = [(0, 0), (100, 100), (30, 30), (1000, 1000), (60, 60), (0, 1000)]
    now = datetime.now(timezone.utc)
    with Stream(daemon.api_port) as stream:
        for sent, own in ages:
            body = kinds.event("chat.message.sent")
            body["created_at"] = text_of(now, own)
            deliver(daemon, body=body, timestamp=text_of(now, sent))
        streamed = [json.loads(event.data) for event in stream.take(6)]
    listed = daemon.get("/events").json()["events"]
    assert [event["seq"] for event in listed] == [1, 2, 3, 4, 5, 6]
    assert streamed == listed
    for event, (sent, own) in zip(listed, ages):
        assert event["occurred_at"] == text_of(now, sent), event
        assert event["payload"]["created_at"] == text_of(now, own)
        assert event["received_at"] >= text_of(now)
    assert [event["seq"] for event in listed if "late" in event["flags"]] == [4, 6]
    received = [event["received_at"] for event in listed]
    assert received == sorted(received)
    figures, = daemon.get("/status").json()["events"]
    delivery = figures["delivery_ms"]
    # Of 0, 0, 30, 60, 100 and 1000 s. The time that this test takes is on top, and buckets are
    # rounded up by a tenth.
    assert figures["count"] == 6 and 29_000 < delivery["p50"] < 60_000
    assert 999_000 < delivery["max"] < 1_200_000
    assert delivery["p50"] < delivery["p95"] <= delivery["max"]
    # Pages go by arrival too.
    page = daemon.get("/events?after=2&limit=2").json()
    assert [event["seq"] for event in page["events"]] == [3, 4]
