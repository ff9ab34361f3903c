"""The webhook front by itself: what it takes, what it refuses by form, and how it keeps
deliveries while the broker is away."""

import base64
import os
import signal
import socket
import threading
import time

import pytest

from tests.lib.front import Front, Reader
from tests.lib.stopwatch import Stopwatch

SIGNATURE_BYTES = bytes(range(256))
SIGNATURE = base64.b64encode(SIGNATURE_BYTES).decode()
GOOD = {
    "Content-Type": "application/json",
    "Kick-Event-Message-Id": "01JQPKZ3MGK4SXS6G4F5Z2V1AA",
    "Kick-Event-Subscription-Id": "01JQPKZ3MGK4SXS6G4F5Z2V1BB",
    "Kick-Event-Signature": SIGNATURE,
    "Kick-Event-Message-Timestamp": "2025-04-01T07:56:19Z",
    "Kick-Event-Type": "chat.message.sent",
    "Kick-Event-Version": "1",
}
REFUSED = {"error": "Delivery refused"}
PATH = "/webhooks/kick"


def lines(change=None):
    headers = GOOD | (change or {})
    return [f"{name}: {value}" for name, value in headers.items() if value is not None]


def stored(message):
    return [("delivered", {"verdict": "stored"})]


@pytest.fixture(scope="module")
def front(build):
    with Front("webhook", {"webhooks": {"max_body_bytes": 5000}}) as front:
        yield front


@pytest.fixture
def broker(front):
    broker = front.broker({"delivery": stored}, role="broker")
    yield broker
    broker.close()


def deliver(front, headers=None, body=b'{"a": 1}', **options):
    return front.ask("POST", PATH, lines() if headers is None else headers, body, **options)


def test_a_delivery_is_passed_on_byte_for_byte(front, broker):
    body = b'\xef\xbb\xbf { "a" : 1.0 }\r\n\x00\xff'
    answer = deliver(front, lines({"User-Agent": "Go-http-client/1.1"}), body)
    assert (answer.status, answer.json()) == (200, {"status": "stored"})
    assert broker.asked[-1].fields == {
        "message_id": GOOD["Kick-Event-Message-Id"],
        "subscription_id": GOOD["Kick-Event-Subscription-Id"],
        "timestamp": GOOD["Kick-Event-Message-Timestamp"], "type": "chat.message.sent",
        "version": "1", "signature": SIGNATURE_BYTES, "content_type": "application/json",
        "user_agent": "Go-http-client/1.1", "body": body}


def test_names_in_any_case_and_chunked_bodies(front, broker):
    headers = [line.lower() if not line.startswith(("Kick-Event-Sig", "Kick-Event-Message"))
               else line.split(":")[0].upper() + ":" + line.split(":", 1)[1] for line in lines()]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b'{"a"', b": ", b"1}"))
    with front.connect() as client:
        client.sendall(front.head("POST", PATH, [*headers, "Transfer-Encoding: chunked"],
                                  "tunnel.example") + chunks + b"0\r\n\r\n")
        answer = Reader(client).answer()
    assert answer.status == 200
    assert broker.asked[-1].body == b'{"a": 1}'
    assert broker.asked[-1].message_id == GOOD["Kick-Event-Message-Id"]


def test_subscription_id_may_be_absent(front, broker):
    assert deliver(front, lines({"Kick-Event-Subscription-Id": None})).status == 200
    assert broker.asked[-1].subscription_id is None


def test_an_empty_body_is_the_brokers_business(front, broker):
    assert deliver(front, body=b"").status == 200
    assert broker.asked[-1].body == b""


@pytest.mark.parametrize("verdict", ["stored", "duplicate", "foreign", "unknown"])
def test_verdicts(front, broker, verdict):
    broker.answers["delivery"] = lambda m: [("delivered", {"verdict": verdict})]
    answer = deliver(front)
    assert (answer.status, answer.json()) == (200, {"status": verdict})


def refused_answers():
    yield [("delivered", {"verdict": "refused"})]
    yield [("failed", {"code": "signature_refused", "message": "secret details"})]


@pytest.mark.parametrize("answer", list(refused_answers()))
def test_refusals_of_the_broker_look_like_those_of_form(front, broker, answer):
    broker.answers["delivery"] = lambda m: answer
    by_broker = deliver(front)
    by_form = deliver(front, lines({"Kick-Event-Type": None}))
    assert (by_broker.status, by_broker.json()) == (401, REFUSED)
    assert by_broker.headers | {"date": ""} == by_form.headers | {"date": ""}
    assert by_broker.body == by_form.body


def test_storage_failure(front, broker):
    broker.answers["delivery"] = lambda m: [("failed", {"code": "storage_failed", "message": "x"})]
    answer = deliver(front)
    assert (answer.status, answer["Retry-After"]) == (503, "1")


NEEDED = [name for name in GOOD if name.startswith("Kick") and "Subscription" not in name]


@pytest.mark.parametrize("name", NEEDED)
def test_missing_headers(front, broker, name):
    answer = deliver(front, lines({name: None}))
    assert (answer.status, answer.json()) == (401, REFUSED)
    assert broker.asked == []


@pytest.mark.parametrize("name", [*NEEDED, "Kick-Event-Subscription-Id"])
@pytest.mark.parametrize("value", ["", "  ", "a b", "caf\xe9", "x" * 2100])
def test_ill_formed_headers(front, broker, name, value):
    answer = deliver(front, lines({name: value}))
    assert (answer.status, answer.json()) == (401, REFUSED)
    assert broker.asked == []


@pytest.mark.parametrize("name", [*NEEDED, "Kick-Event-Subscription-Id"])
def test_doubled_headers(front, broker, name):
    for extra in (f"{name}: {GOOD[name]}", f"{name.lower()}: {GOOD[name]}", f"{name}:"):
        answer = deliver(front, [*lines(), extra])
        assert (answer.status, answer.json()) == (401, REFUSED)
    assert broker.asked == []


@pytest.mark.parametrize("name, value", [
    ("Kick-Event-Message-Timestamp", "1743494179"), ("Kick-Event-Message-Timestamp", "2025-04-01"),
    ("Kick-Event-Message-Timestamp", "2025-13-01T00:00:00Z"),
    ("Kick-Event-Signature", SIGNATURE[:-1]), ("Kick-Event-Signature", "%%%%"),
    ("Kick-Event-Signature", SIGNATURE.replace("A", "-", 1)), ("Kick-Event-Signature", "===="),
    ("Kick-Event-Message-Id", "a" * 129), ("Kick-Event-Type", "t" * 129),
    ("Kick-Event-Version", "1" * 17)])
def test_values_of_the_wrong_form(front, broker, name, value):
    assert deliver(front, lines({name: value})).json() == REFUSED
    assert broker.asked == []


@pytest.mark.parametrize("name, value", [
    ("Kick-Event-Message-Timestamp", "2025-04-01T07:56:19.123456789+11:00"),
    ("Kick-Event-Message-Id", "a" * 128), ("Kick-Event-Type", "t" * 128),
    ("Kick-Event-Version", "1" * 16), ("Kick-Event-Type", "new.unknown-type_2"),
    ("Content-Type", "application/json; charset=utf-8")])
def test_values_of_the_right_form(front, broker, name, value):
    assert deliver(front, lines({name: value})).status == 200


def test_size_and_type(front, broker):
    assert deliver(front, body=b"x" * 5000).status == 200
    assert deliver(front, body=b"x" * 5001).status == 413
    assert deliver(front, lines({"Content-Type": "text/plain"})).status == 415
    assert deliver(front, lines({"Content-Type": None})).status == 415
    assert deliver(front, [*lines(), "Content-Encoding: gzip"]).status == 415


def test_only_the_one_path_is_there(front, broker):
    for path in ("/", "/healthz", "/status", "/oauth/accounts", "/webhooks", PATH + "/", "/events",
                 "/webhooks/kick/a", "/openapi.json"):
        assert front.ask(path=path).status == 404
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
        answer = front.ask(method, PATH)
        assert (answer.status, answer["Allow"]) == (405, "POST")
    assert deliver(front, [*lines(), "Origin: https://evil.test"]).status == 200
    assert deliver(front, host="any.example:443").status == 200


def test_another_path_can_be_configured(build):
    with Front("webhook", {"webhooks": {"path": "/hooks/in"}}) as front:
        broker = front.broker({"delivery": stored})
        assert front.ask("POST", "/hooks/in?x=1", lines(), b"{}").status == 200
        assert front.ask("POST", PATH, lines(), b"{}").status == 404
        broker.close()


def test_refusals_are_counted_once_a_second_at_most(build):
    with Front("webhook") as front:
        broker = front.broker({"delivery": stored})
        start = time.monotonic()
        for _ in range(50):
            deliver(front, lines({"Kick-Event-Type": None}))
            deliver(front, lines({"Kick-Event-Type": ""}))
        def refusals():
            return [m for m in broker.told if m.name == "count"
                    and m.fields["name"].startswith("refused_")]
        while sum(m.more for m in refusals()) < 100:
            time.sleep(0.05)
            assert time.monotonic() - start < 5
        counted = refusals()
        assert {m.fields["name"] for m in counted} == {"refused_header_missing",
                                                       "refused_header_empty"}
        assert len(counted) <= 2 * (time.monotonic() - start + 1)
        broker.close()


# ---- while the broker is away ----

def open_deliveries(front, count):
    clients = [front.connect() for _ in range(count)]
    body = b'{"a": 1}'
    for number, client in enumerate(clients):
        client.sendall(front.head("POST", PATH, [
            *lines({"Kick-Event-Message-Id": f"id{number}"}),
            f"Content-Length: {len(body)}"]) + body)
    return clients


def test_deliveries_wait_for_a_broker_that_comes_back(build):
    with Front("webhook") as front:
        for _ in range(3):
            clients = open_deliveries(front, 200)
            time.sleep(1)
            broker = front.broker({"delivery": stored})
            assert [Reader(client).answer().status for client in clients] == [200] * 200
            assert [m.message_id for m in broker.asked] == [f"id{n}" for n in range(200)]
            broker.close()
            for client in clients:
                client.close()


def test_deliveries_are_given_up_after_two_and_a_half_seconds(build):
    with Front("webhook") as front:
        watch = Stopwatch()
        clients = open_deliveries(front, 50)
        answers = [Reader(client).answer() for client in clients]
        assert {(a.status, a["Streamhold-Error"], a["Retry-After"]) for a in answers} == {
            (503, "broker_away", "1")}
        assert 2.4 < watch.wall() and watch.within(3.2)
        broker = front.broker({"delivery": stored})
        time.sleep(0.2)
        assert broker.asked == []
        broker.close()


def test_open_deliveries_are_sent_again_to_the_next_broker(build):
    with Front("webhook") as front:
        silent = front.broker({})
        clients = open_deliveries(front, 50)
        while len(silent.asked) < 50:
            time.sleep(0.01)
        silent.close()
        broker = front.broker({"delivery": stored})
        assert [Reader(client).answer().status for client in clients] == [200] * 50
        assert len(broker.asked) == 50
        broker.close()


def test_a_new_broker_replaces_a_silent_one(build):
    with Front("webhook") as front:
        silent = front.broker({})
        clients = open_deliveries(front, 20)
        while len(silent.asked) < 20:
            time.sleep(0.01)
        broker = front.broker({"delivery": stored})
        assert [Reader(client).answer().status for client in clients] == [200] * 20
        silent.close()
        broker.close()


def test_a_broker_that_does_not_answer(build):
    with Front("webhook") as front:
        broker = front.broker({})
        watch = Stopwatch()
        answer = deliver(front)
        assert (answer.status, answer["Streamhold-Error"]) == (503, "timed_out")
        assert 2.4 < watch.wall() and watch.within(3)
        broker.close()


def test_what_may_not_be_repeated_is_of_unknown_outcome(build):
    with Front("api") as front:
        broker = front.broker({})
        client = front.connect()
        client.sendall(front.head("DELETE", "/oauth/kick/a"))
        while not broker.asked:
            time.sleep(0.01)
        broker.close()
        answer = Reader(client).answer()
        assert (answer.status, answer["Streamhold-Error"]) == (503, "outcome_unknown")
        assert answer["Retry-After"] == "1"


def test_rows_of_a_broken_list_are_forgotten(build):
    row = ("credentials", {"platform": "kick", "client_id": "x", "scopes": "", "redirect_uri": "r"})
    with Front("api") as front:
        broker = front.broker({"credentials_list": lambda m: [row, row]})
        client = front.connect()
        client.sendall(front.head(path="/oauth/credentials"))
        time.sleep(0.2)
        broker.close()
        broker = front.broker({"credentials_list": lambda m: [row, ("list_end", {})]})
        assert len(Reader(client).answer().json()["credentials"]) == 1
        broker.close()


def test_clients_that_leave_free_their_requests(build):
    with Front("webhook") as front:
        broker = front.broker({})
        for client in open_deliveries(front, 100):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        def freed():
            os.kill(front.pid, signal.SIGUSR1)
            time.sleep(0.2)
            text = front.log.read_text()
            return "connections 0:" in text and "0 requests sent, 0 held" in text
        Stopwatch().wait(freed, 5)
        broker.close()


def test_strangers_are_kept_off_the_link(build):
    with Front("webhook", arguments=["--broker-uid", "12345"]) as front:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(front.link))
            assert client.recv(100) == b""
        assert "refused a connection" in front.log.read_text()


def test_settings_take_effect(build):
    with Front("api") as front:
        broker = front.broker({})
        assert front.ask(host="new.test").status == 421
        broker.tell("settings", rate_limit=5, connections_max=100, body_max=65536,
                    shutdown_timeout_ms=1000, log_level="debug", log_format="text",
                    allowed_hosts="other.test new.test",
                    allowed_origins="https://new.test")
        time.sleep(0.1)
        assert front.ask(host="new.test", headers=["Origin: https://new.test"]).status == 200
        assert front.ask(host="new.tes").status == 421
        statuses = [front.ask().status for _ in range(20)]
        assert statuses.count(429) >= 10
        assert statuses.count(200) >= 3
        broker.close()


def test_more_than_can_wait_is_busy(build):
    """With many pipelining clients nothing waits without bound."""
    with Front("webhook", {"webhooks": {"max_body_bytes": 4194304, "max_connections": 200}}) as front:
        clients = [front.connect() for _ in range(40)]
        head = front.head("POST", PATH, [*lines(), "Content-Length: 4000000"])
        statuses = []

        def send(client):
            try:
                client.sendall(head + bytes(4000000))
            except OSError:
                pass
            answer = Reader(client).answer()
            statuses.append((answer.status, answer["Streamhold-Error"]))

        threads = [threading.Thread(target=send, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        peak = int(open(f"/proc/{front.pid}/status").read().split("VmHWM:")[1].split()[0])
        print(statuses.count((503, "busy")), "busy, peak", peak, "KiB")
        assert len(statuses) == 40
        assert (503, "busy") in statuses
        assert (503, "broker_away") in statuses
        assert set(statuses) == {(503, "busy"), (503, "broker_away")}
        assert front.ask("POST", PATH, lines(), b"{}").status == 503
        broker = front.broker({"delivery": stored})
        assert deliver(front).status == 200
        broker.close()
