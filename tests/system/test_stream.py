"""GET /events/stream through both real processes: what comes, in which form, from where on, and
what is refused."""
import json
import os
import signal
import socket
import time

import pytest

from tests.fake import delivery as making
from tests.fake import events as kinds
from tests.fake.keys import Signer
from tests.fake.sender import send
from tests.lib.sse import Refused, Stream

SIGNER = Signer()
OURS = kinds.event("chat.message.sent")["broadcaster"]


def config(folder, **more):
    key = folder / "kick.pem"
    key.write_text(SIGNER.public_pem)
    return {"platforms": {"kick": {"public_key_file": str(key)}}, **more}


@pytest.fixture
def daemon(streamhold, folder):
    return streamhold(config(folder, subscriptions={
        "kick": [{"username": OURS["username"], "events": ["chat.message.sent"]}]}))


def deliver(daemon, kind="chat.message.sent", mode="valid", count=1, **options):
    """Sends deliveries one after the other; gives them."""
    url = f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick"
    sent = []
    for _ in range(count):
        one = making.build(kind, SIGNER, mode, **options)
        assert send(url, one).status == 200
        sent.append(one)
    return sent


def large(size):
    """A body that is no chat message, but JSON."""
    return json.dumps({"broadcaster": OURS, "x": "y" * size}).encode()


def ids(events):
    return [int(event.id) for event in events]


# -- what comes ------------------------------------------------------------------------------


def test_the_head_says_what_it_is(daemon):
    with Stream(daemon.api_port) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-store"
        assert stream.headers["connection"] == "close"
        assert "content-length" not in stream.headers
        stream.until(lambda: stream.parser.retry is not None)
        assert stream.parser.retry == 1000
        stream.until(lambda: stream.parser.last_id == b"0")


@pytest.mark.parametrize("kind", kinds.TYPES)
def test_each_type_comes_as_a_page_shows_it(daemon, kind):
    with Stream(daemon.api_port) as stream:
        one, = deliver(daemon, kind)
        event = stream.next()
        assert (event.id, event.type) == ("1", kind)
        assert b"\n" not in event.data
        assert b'{"events":[' + event.data + b'],"next_after":1}' == daemon.get("/events").body
        assert json.loads(event.data)["payload"] == json.loads(one.body)


@pytest.mark.parametrize("body", [
    b'{\n  "a": 1,\n\n  "b": [ 2,\n3 ]\n}',
    b'\n\n{"a":1}\n',
    b'{\n"data: x":"id: 1",\n: 0}'.replace(b": 0", b'"":0'),
    b'{"long":"' + b"x" * 40000 + b'",\n"more":"' + b"y" * 60000 + b'"\n}',
    b" { } ",
])
def test_line_feeds_in_a_payload_arrive_as_they_were(daemon, body):
    """Each line of the payload is a data line; joined again they are the same bytes."""
    with Stream(daemon.api_port, "?include=foreign,quarantined") as stream:
        deliver(daemon, body=body)
        event = stream.next()
        assert event.data == daemon.get("/events/1").body
        assert b'"payload":' + body + b"}" in event.data


@pytest.mark.parametrize("body", [b'{\r\n"a":1,\r"b":2\r\r\n\r}', b'{"a":\r1}', b"{}\r",
                                  b'{"x":"' + b"z" * 32000 + b'"' + b"\r\n" * 900 + b"}"])
def test_carriage_returns_arrive_as_line_feeds(daemon, body):
    """The format has no way to carry them. It is the same JSON; the bytes are at /events/1."""
    with Stream(daemon.api_port, "?include=foreign,quarantined") as stream:
        deliver(daemon, body=body)
        event = stream.next()
        kept = daemon.get("/events/1").body
        assert b'"payload":' + body + b"}" in kept
        assert event.data == kept.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        assert json.loads(event.data) == json.loads(kept)


def test_bodies_that_are_no_json_come_as_base64(daemon):
    with Stream(daemon.api_port, "?include=quarantined,foreign") as stream:
        deliver(daemon, mode="not_json")
        assert stream.next().data == daemon.get("/events/1").body


def test_the_largest_events_come_whole(daemon):
    body = large(261000)
    with Stream(daemon.api_port, "?include=quarantined") as stream:
        deliver(daemon, body=body, count=20)
        for number, event in enumerate(stream.take(20), 1):
            assert int(event.id) == number and event.data.endswith(body + b"}")


def test_streams_do_not_wait_for_each_other(daemon):
    streams = [Stream(daemon.api_port) for _ in range(20)]
    deliver(daemon, count=10)
    for stream in streams:
        assert ids(stream.take(10)) == list(range(1, 11))
        stream.close()


# -- from where on -----------------------------------------------------------------------------


@pytest.mark.parametrize("query, last_id, first", [
    ("", None, 31), ("?after=now", None, 31), ("?after=0", None, 1), ("?after=7", None, 8),
    ("?after=29", None, 30), ("?after=30", None, 31), ("", "12", 13), ("?after=3", "12", 13),
    ("?after=now", "12", 13), ("?after=5", "", 6), ("", "0", 1),
])
def test_it_begins_where_it_is_told(daemon, query, last_id, first):
    deliver(daemon, count=30)
    with Stream(daemon.api_port, query, last_id) as stream:
        # A stream that begins now has no mark of its own: give it time to begin.
        if first == 31:
            assert stream.silent()
        deliver(daemon, count=2)
        assert ids(stream.take(33 - first)) == list(range(first, 33))


def test_many_stored_events_come_in_order_and_then_the_new_ones(daemon):
    deliver(daemon, count=350)
    with Stream(daemon.api_port, "?after=0") as stream:
        assert ids(stream.take(350)) == list(range(1, 351))
        deliver(daemon, count=3)
        assert ids(stream.take(3)) == [351, 352, 353]


def test_a_beat_tells_how_far_it_is(daemon):
    """A reader whose filter nothing fits for long does not begin far back after a break."""
    deliver(daemon, count=3)
    with Stream(daemon.api_port, "?type=channel.followed&after=0", timeout=30) as stream:
        begin = time.monotonic()
        stream.until(lambda: b" alive" in stream.parser.comments, timeout=30)
        assert 14 < time.monotonic() - begin < 20
        stream.until(lambda: stream.parser.last_id == b"3", timeout=5)
        assert not stream.ready


def test_a_number_of_another_database_begins_anew_and_says_so(daemon):
    deliver(daemon, count=3)
    with Stream(daemon.api_port, last_id="4711") as stream:
        gap, *events = stream.take(4)
        assert gap.type == "streamhold.gap"
        assert json.loads(gap.data) == {"after": 4711, "next": 1, "reason": "unknown"}
        assert ids(events) == [1, 2, 3]


def test_readers_begin_anew_when_an_older_database_is_put_back(daemon, folder):
    """While they read: a backup takes the place of the database, and the front stays."""
    state = folder / "state"
    deliver(daemon, count=3)
    daemon.stop()
    backup = {file.name: file.read_bytes() for file in state.glob("streamhold.db*")}
    daemon.start()
    deliver(daemon, count=4)
    with Stream(daemon.api_port, "?after=0") as all_of_it, \
            Stream(daemon.api_port, "?after=0&type=channel.followed") as nothing_yet, \
            Stream(daemon.api_port, "?after=now") as new_ones:
        assert ids(all_of_it.take(7)) == list(range(1, 8))
        assert new_ones.silent() and nothing_yet.silent()
        up, front = daemon.process.pid, daemon.children()["httpd"]
        os.kill(up, signal.SIGSTOP)         # it would start another one at once
        os.kill(daemon.broker_pid(), signal.SIGKILL)
        for file in state.glob("streamhold.db*"):
            file.unlink()
        for name, content in backup.items():
            (state / name).write_bytes(content)
        os.kill(up, signal.SIGCONT)
        for stream in (all_of_it, new_ones):
            gap, *events = stream.take(4)
            assert gap.type == "streamhold.gap"
            assert json.loads(gap.data) == {"after": 7, "next": 1, "reason": "unknown"}
            assert ids(events) == [1, 2, 3]
        assert nothing_yet.next().type == "streamhold.gap"
        # And on, without a number twice or missing.
        deliver(daemon, count=6)
        deliver(daemon, count=1, kind="channel.followed")
        for stream in (all_of_it, new_ones):
            assert ids(stream.take(7)) == list(range(4, 11))
            assert stream.silent()
        assert ids([nothing_yet.next()]) == [10]
        assert daemon.children()["httpd"] == front
    daemon.wait_log(r"the broker's database is an older one: it ended at 3, and 7 was")


def test_deleted_events_are_said(daemon):
    deliver(daemon, count=10)
    daemon.stop()
    daemon.sql("DELETE FROM events WHERE seq <= 6")
    daemon.start()
    with Stream(daemon.api_port, "?after=2") as stream:
        gap, *events = stream.take(5)
        assert (gap.type, gap.id) == ("streamhold.gap", "2")
        assert json.loads(gap.data) == {"after": 2, "next": 7, "reason": "deleted"}
        assert ids(events) == [7, 8, 9, 10]
    for query in ("?after=6", "?after=0"):      # nothing is missing here
        with Stream(daemon.api_port, query) as stream:
            assert ids(stream.take(4)) == [7, 8, 9, 10]
    daemon.stop()
    daemon.sql("DELETE FROM events")
    daemon.start()
    with Stream(daemon.api_port, "?after=9") as stream:
        assert json.loads(stream.next().data) == {"after": 9, "next": 11, "reason": "deleted"}
        deliver(daemon)
        assert stream.next().id == "11"


# -- filters -------------------------------------------------------------------------------------


def fill(daemon):
    """1 chat, 2 follow, 3 gifts, 4 somebody else's chat, 5 a type that is not known, 6 chat."""
    deliver(daemon, "chat.message.sent")
    deliver(daemon, "channel.followed")
    deliver(daemon, "channel.subscription.gifts")
    deliver(daemon, "chat.message.sent", mode="other_broadcaster")
    deliver(daemon, "chat.message.sent", mode="unknown_type")
    deliver(daemon, "chat.message.sent")


FILTERS = [
    ("", [1, 2, 3, 5, 6]),
    ("type=chat.message.sent", [1, 6]),
    ("type=chat.message.sent&type=channel.followed", [1, 2, 6]),
    ("type=chat.message.sent,channel.followed", [1, 2, 6]),
    ("type=chat.message.sent,,channel.followed,", [1, 2, 6]),
    ("type=chat", []),
    ("type=", [1, 2, 3, 5, 6]),
    ("platform=kick", [1, 2, 3, 5, 6]),
    ("platform=twitch", []),
    ("platform=twitch,kick", [1, 2, 3, 5, 6]),
    ("kind=follow", [2]),
    ("kind=follow,chat", [1, 2, 6]),
    ("kind=unknown", [5]),
    (f"broadcaster={OURS['user_id']}", [1, 2, 3, 5, 6]),
    (f"broadcaster={OURS['username'].upper()}", [1, 2, 3, 5, 6]),
    ("broadcaster=nobody", []),
    ("include=foreign", [1, 2, 3, 4, 5, 6]),
    ("include=foreign,synthetic&include=quarantined", [1, 2, 3, 4, 5, 6]),
    ("include=foreign&type=chat.message.sent", [1, 4, 6]),
    ("kind=chat&platform=kick&type=channel.followed", []),
]


def test_filters_are_the_same_live_and_stored_and_on_pages(daemon):
    live = [Stream(daemon.api_port, f"?after=0&{query}") for query, _ in FILTERS]
    fill(daemon)
    for (query, expected), stream in zip(FILTERS, live):
        with stream, Stream(daemon.api_port, f"?after=0&{query}") as stored:
            assert ids(stream.take(len(expected)) if expected else []) == expected, query
            assert ids(stored.take(len(expected)) if expected else []) == expected, query
            page = daemon.get(f"/events?{query}").json()["events"]
            assert [event["seq"] for event in page] == expected, query
            if query != "include=foreign":      # one is enough for the end
                continue
            assert stream.silent() and stored.silent()
    with Stream(daemon.api_port, "?after=0&type=nothing.such") as stream:
        assert stream.silent()


BAD = [
    ("after=x", "after must be"), ("after=-1", "after must be"), ("after=", "after must be"),
    ("after=1&after=2", "after must be"), ("after=18446744073709551616", "after must be"),
    ("after=NOW", "after must be"), ("kind=chats", "kind must be"),
    ("include=all", "include must be"), ("platform=mixer", "Invalid platform"),
    ("type=" + "x" * 129, "type has more"),
    ("&".join(f"type={number}{'y' * 120}" for number in range(9)), "type has more"),
    ("type=%zz", "percent escape"), ("type=%00", "percent escape"),
]


@pytest.mark.parametrize("query, text", BAD)
def test_wrong_parameters_are_refused_with_a_reason(daemon, query, text):
    with pytest.raises(Refused) as refused:
        Stream(daemon.api_port, "?" + query)
    assert refused.value.status == 400
    assert text in json.loads(refused.value.body)["error"]
    answer = daemon.get("/events?" + query)
    assert answer.status == 400 and text in answer.json()["error"]


@pytest.mark.parametrize("value", ["x", "-1", "1 2", "0x10", "18446744073709551616", "now"])
def test_wrong_last_ids_are_refused(daemon, value):
    with pytest.raises(Refused) as refused:
        Stream(daemon.api_port, last_id=value)
    assert refused.value.status == 400
    assert "Last-Event-ID" in json.loads(refused.value.body)["error"]


def test_two_last_ids_are_refused(daemon):
    with pytest.raises(Refused) as refused:
        Stream(daemon.api_port, last_id=1, headers=["Last-Event-ID: 2"])
    assert refused.value.status == 400


def test_pages_can_begin_now(daemon):
    deliver(daemon, count=3)
    assert daemon.get("/events?after=now").json() == {"events": [], "next_after": 3}


# -- as HTTP --------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept, status", [
    ("text/event-stream", 200), ("*/*", 200), ("text/*", 200), ("TEXT/Event-Stream;q=0.1", 200),
    ("application/json, text/event-stream", 200), ("text/event-stream;q=0, */*", 406),
    ("application/json", 406), ("text/html, application/xml;q=0.9", 406), ("text/plain", 406),
    ("*/*;q=0", 406), ("text/event-streams", 406), ("application/json, */*;q=0.5", 200),
])
def test_accept(daemon, accept, status):
    headers = [f"Accept: {accept}"]
    if status == 200:
        Stream(daemon.api_port, headers=headers).close()
        return
    with pytest.raises(Refused) as refused:
        Stream(daemon.api_port, headers=headers)
    assert refused.value.status == status
    assert refused.value.headers["streamhold-error"] == "not_acceptable"


def test_head_and_http_1_0(daemon):
    with Stream(daemon.api_port, method="HEAD") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert not stream.read()
    with Stream(daemon.api_port, version="1.0", headers=["Connection: keep-alive"]) as stream:
        deliver(daemon)
        assert stream.next().id == "1"


def test_the_guards_are_those_of_every_route(daemon):
    for header, status in (("Origin: http://evil.example", 403),
                           ("Sec-Fetch-Site: cross-site", 403)):
        with pytest.raises(Refused) as refused:
            Stream(daemon.api_port, headers=[header])
        assert refused.value.status == status
    assert daemon.get("/events/stream", headers={"Host": "evil.example"}).status == 421
    assert daemon.post("/events/stream", {}).status == 405
    assert daemon.delete("/events/stream").status == 405


def test_what_a_reader_sends_is_thrown_away(daemon):
    with Stream(daemon.api_port) as stream:
        stream.socket.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        deliver(daemon)
        assert stream.next().id == "1"
        assert stream.silent()


def test_too_many_readers_are_refused_until_one_leaves(daemon):
    streams = [Stream(daemon.api_port) for _ in range(256)]
    with pytest.raises(Refused) as refused:
        Stream(daemon.api_port)
    assert (refused.value.status, refused.value.headers["retry-after"]) == (503, "1")
    assert daemon.get("/events").status == 200
    deliver(daemon)
    for stream in streams[:2] + streams[-2:]:
        assert stream.next().id == "1"
    streams.pop().close()
    end = time.monotonic() + 5
    while True:
        try:
            streams.append(Stream(daemon.api_port))
            break
        except Refused:
            assert time.monotonic() < end
    for stream in streams:
        stream.close()


def test_rate_limits_count_streams_as_requests(streamhold, folder):
    daemon = streamhold(config(folder, server={"rate_limit_per_s": 5}))
    statuses = set()
    for _ in range(40):
        try:
            Stream(daemon.api_port).close()
            statuses.add(200)
        except Refused as refused:
            statuses.add(refused.status)
    assert statuses == {200, 429}


# -- when something ends ----------------------------------------------------------------------------


def test_stopping_ends_streams_in_order(daemon):
    with Stream(daemon.api_port) as stream:
        deliver(daemon, count=5)
        stream.parser.retry = None
        assert ids(stream.take(5)) == [1, 2, 3, 4, 5]
        begin = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - begin < 5
        stream.parser.retry = None
        while stream.read():
            pass
        assert stream.parser.retry == 1000
        assert not stream.ready


def test_a_broker_that_restarts_cuts_no_reader(daemon):
    with Stream(daemon.api_port) as stream:
        for turn in range(5):
            deliver(daemon, count=4)
            pid = daemon.broker_pid()
            os.kill(pid, signal.SIGKILL)
            deliver(daemon, count=4)        # held until the next broker is there
            assert daemon.broker_pid() != pid
            assert ids(stream.take(8)) == list(range(8 * turn + 1, 8 * turn + 9))
        assert stream.silent()


def test_a_stream_may_begin_while_the_broker_is_away(daemon):
    deliver(daemon, count=3)
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    with Stream(daemon.api_port, "?after=1") as stream:
        assert ids(stream.take(2)) == [2, 3]


def test_a_reader_that_does_not_read_is_cut_off_and_may_resume(daemon):
    body, query = large(200000), "?include=quarantined"
    slow = Stream(daemon.api_port, query, buffer=4096, timeout=60)
    with Stream(daemon.api_port, query) as quick:
        deliver(daemon, body=body, count=40)
        assert ids(quick.take(40)) == list(range(1, 41))
    daemon.wait_log("a reader took less than .* was cut off at", timeout=40)
    got = ids(list(slow))
    assert slow.ended and got == list(range(1, len(got) + 1)) and len(got) < 40
    with Stream(daemon.api_port, query, slow.parser.last_id.decode()) as again:
        assert ids(again.take(40 - len(got))) == list(range(len(got) + 1, 41))
    assert quick.parser.last_id == b"40"
    end = time.monotonic() + 5      # fronts report their counters once a second
    while "api_stream_slow" not in daemon.cli("inspect", "--json").stdout:
        assert time.monotonic() < end


def test_figures_count_readers(daemon):
    def value(line):
        found = [row.split()[1] for row in daemon.get("/metrics").text.split("\n")
                 if row.startswith(line + " ")]
        return int(found[0])
    with Stream(daemon.api_port, last_id="77") as stream:
        assert stream.next().type == "streamhold.gap"
        end = time.monotonic() + 10     # fronts report once a second
        while value("streamhold_streams") != 1 or \
                value('streamhold_streams_total{what="gap"}') != 1:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert value('streamhold_streams_total{what="opened"}') == 1
        assert value('streamhold_streams_total{what="slow"}') == 0


def test_a_reader_that_closes_makes_room_at_once(daemon):
    """Half a close is a close."""
    streams = [Stream(daemon.api_port) for _ in range(256)]
    for stream in streams:
        stream.socket.shutdown(socket.SHUT_WR)
    for stream in streams:
        while stream.read():
            pass
        assert stream.ended
        stream.close()
    Stream(daemon.api_port).close()
