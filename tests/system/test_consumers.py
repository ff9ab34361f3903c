"""Named consumers that ask for their events: cursor, acknowledgement, redelivered."""
import concurrent.futures
import json
import os
import signal

import pytest

from tests.system.consumer_stage import deliver, marked, seqs, start


@pytest.fixture
def daemon(streamhold, folder):
    return start(streamhold, folder)


def make(daemon, name="bot", **wanted):
    answer = daemon.call("PUT", f"/consumers/{name}", wanted)
    assert answer.status == 200, answer.text
    return answer.json()


def page(daemon, name="bot", limit=100):
    answer = daemon.get(f"/consumers/{name}/events?limit={limit}")
    assert answer.status == 200, answer.text
    return answer.json()


def ack(daemon, seq, name="bot"):
    return daemon.post(f"/consumers/{name}/ack", {"seq": seq})


def look(daemon, name="bot"):
    return daemon.get(f"/consumers/{name}").json()


def test_a_consumer_gets_what_follows_its_cursor(daemon):
    deliver(daemon, 2)
    made = make(daemon)
    assert made["name"] == "bot" and made["cursor"] == 2 and made["forward"] is None
    assert made["state"] == "ready" and made["lag"] == 0 and made["last_seen_at"] is None
    assert page(daemon) == {"events": [], "next_after": 2}
    deliver(daemon, 3)
    first = page(daemon, limit=2)
    assert seqs(first) == [3, 4] and first["next_after"] == 4 and marked(first) == []
    assert look(daemon)["lag"] == 3 and look(daemon)["handed_out"] == 4
    answer = ack(daemon, first["next_after"])
    assert answer.status == 200 and answer.json()["cursor"] == 4 and answer.json()["lag"] == 1
    assert seqs(page(daemon)) == [5]
    assert look(daemon)["last_seen_at"].endswith("Z")


def test_what_was_not_acknowledged_comes_again_and_is_marked(daemon):
    make(daemon)
    deliver(daemon, 3)
    assert marked(page(daemon, limit=2)) == []
    again = page(daemon)
    assert seqs(again) == [1, 2, 3] and marked(again) == [1, 2]
    assert marked(page(daemon)) == [1, 2, 3]
    ack(daemon, 2)
    assert marked(page(daemon)) == [3]
    # Nobody else is concerned.
    assert all(event["flags"] == [] for event in daemon.events())


def test_one_event_in_the_middle_may_be_acknowledged(daemon):
    make(daemon)
    deliver(daemon, 3)
    page(daemon)
    assert ack(daemon, 1).json()["cursor"] == 1
    assert seqs(page(daemon)) == [2, 3]


def test_the_cursor_only_goes_forward(daemon):
    make(daemon)
    deliver(daemon, 3)
    page(daemon)
    assert ack(daemon, 3).json()["cursor"] == 3
    for seq in (0, 1, 3):
        answer = ack(daemon, seq)
        assert answer.status == 200 and answer.json()["cursor"] == 3


def test_head_hands_nothing_out(daemon):
    make(daemon)
    deliver(daemon, 2)
    answer = daemon.call("HEAD", "/consumers/bot/events")
    assert (answer.status, answer.body) == (200, b"")
    assert look(daemon)["handed_out"] == 0
    assert marked(page(daemon)) == []


def test_what_was_not_handed_out_cannot_be_acknowledged(daemon):
    make(daemon)
    deliver(daemon, 3)
    page(daemon, limit=2)
    answer = ack(daemon, 3)
    assert answer.status == 409 and answer.headers["Streamhold-Error"] == "conflict"
    assert answer.json()["error"] == ("Event 3 was not handed out to this consumer; the last "
                                      "one that was is 2")
    assert look(daemon)["cursor"] == 0


def test_hand_out_and_cursor_survive_a_crash_of_the_broker(daemon):
    make(daemon)
    deliver(daemon, 4)
    page(daemon, limit=2)
    ack(daemon, 1)
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    again = page(daemon)
    assert seqs(again) == [2, 3, 4] and marked(again) == [2]
    assert look(daemon)["cursor"] == 1


def test_hand_out_is_durable_before_the_answer(daemon):
    """Whatever was answered is marked in the database of a broker that was killed."""
    make(daemon)
    for last in range(1, 11):
        deliver(daemon)
        got = page(daemon)
        os.kill(daemon.broker_pid(), signal.SIGKILL)
        assert seqs(got) == [last] and marked(got) == []
        again = page(daemon)
        assert marked(again) == [last]
        ack(daemon, last)


def test_state_survives_a_restart_in_order(daemon):
    make(daemon, type="channel.followed", include=["foreign"])
    deliver(daemon, 1, "channel.followed")
    ack(daemon, page(daemon)["next_after"])
    before = look(daemon)
    daemon.stop()
    daemon.start()
    after = look(daemon)
    assert after == before


def test_consumers_do_not_know_of_each_other(daemon):
    make(daemon, "one")
    make(daemon, "two")
    deliver(daemon, 3)
    assert ack(daemon, page(daemon, "one")["next_after"], "one").status == 200
    assert marked(page(daemon, "two")) == []
    assert look(daemon, "one")["cursor"] == 3 and look(daemon, "two")["cursor"] == 0
    listed = daemon.get("/consumers").json()["consumers"]
    assert [one["name"] for one in listed] == ["one", "two"]


def test_two_processes_of_one_consumer_never_get_the_same_unmarked(daemon):
    make(daemon)
    deliver(daemon, 20)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(lambda _: page(daemon, limit=20), range(8)))
    fresh = [event["seq"] for one in pages for event in one["events"]
             if "redelivered" not in event["flags"]]
    assert sorted(fresh) == list(range(1, 21))


@pytest.mark.parametrize("begin, expected", [
    ("beginning", [1, 2, 3]), ("now", []), (1, [2, 3]), (3, [])])
def test_where_a_consumer_begins(daemon, begin, expected):
    deliver(daemon, 3)
    make(daemon, start=begin)
    assert seqs(page(daemon)) == expected


def test_a_consumer_may_be_set_back_and_is_told_so(daemon):
    make(daemon)
    deliver(daemon, 3)
    ack(daemon, page(daemon)["next_after"])
    assert make(daemon, start=1)["cursor"] == 1
    again = page(daemon)
    assert seqs(again) == [2, 3] and marked(again) == [2, 3]


def test_a_change_without_start_leaves_the_cursor(daemon):
    make(daemon)
    deliver(daemon, 2)
    page(daemon)
    ack(daemon, 1)
    changed = make(daemon, type="channel.followed")
    assert changed["cursor"] == 1 and changed["type"] == ["channel.followed"]
    assert page(daemon)["events"] == []


def test_filters(daemon):
    make(daemon, "follows", type="channel.followed")
    make(daemon, "chat", kind="chat")
    make(daemon, "elsewhere", platform="twitch")
    make(daemon, "lists", type=["channel.followed", "chat.message.sent"], platform="twitch,kick")
    make(daemon, "nobody", broadcaster="nobody")
    deliver(daemon, 2, "chat.message.sent")
    deliver(daemon, 1, "channel.followed")
    deliver(daemon, 1, "chat.message.sent")
    assert seqs(page(daemon, "follows")) == [3]
    assert seqs(page(daemon, "chat")) == [1, 2, 4]
    assert seqs(page(daemon, "elsewhere")) == []
    assert seqs(page(daemon, "lists")) == [1, 2, 3, 4]
    assert seqs(page(daemon, "nobody")) == []
    owner = daemon.get("/events/1").json()["broadcaster"]
    make(daemon, "owner", broadcaster=owner["name"].upper(), start="beginning")
    assert seqs(page(daemon, "owner")) == [1, 2, 3, 4]
    for query in ("type=chat.message.sent", "after=3", "include=foreign"):
        answer = daemon.get(f"/consumers/chat/events?{query}")
        assert answer.status == 400 and "filters of its own" in answer.json()["error"]


def test_a_consumer_with_nothing_to_get_does_not_lag(daemon):
    """What is not for it is passed over, so that nothing is kept for it for ever."""
    make(daemon, type="channel.followed")
    deliver(daemon, 5)
    assert look(daemon)["lag"] == 5
    assert page(daemon)["events"] == []
    assert look(daemon)["lag"] == 0 and look(daemon)["cursor"] == 5
    deliver(daemon, 1, "channel.followed")
    assert seqs(page(daemon)) == [6] and marked(page(daemon)) == [6]


def test_filters_that_leave_out_what_was_handed_out_hold_nothing_up(daemon):
    make(daemon)
    deliver(daemon, 3)
    assert seqs(page(daemon, limit=2)) == [1, 2]        # not acknowledged
    make(daemon, type="channel.followed")
    assert page(daemon) == {"events": [], "next_after": 3}
    after = look(daemon)
    assert (after["cursor"], after["handed_out"], after["lag"]) == (3, 3, 0)
    deliver(daemon, 1, "channel.followed")
    assert seqs(page(daemon)) == [4] and marked(page(daemon)) == [4]


def test_set_back_to_where_nothing_fits_it_comes_forward_again(daemon):
    make(daemon, type="channel.followed")
    deliver(daemon, 3)
    deliver(daemon, 1, "channel.followed")
    ack(daemon, page(daemon)["next_after"])
    assert make(daemon, type="kicks.gifted", start="beginning")["cursor"] == 0
    assert page(daemon) == {"events": [], "next_after": 4}
    assert look(daemon)["lag"] == 0
    # What was handed out before is known to be so, wherever the cursor has been.
    make(daemon, start=2)
    again = page(daemon)
    assert seqs(again) == [3, 4] and marked(again) == [3, 4]


def test_removing(daemon):
    make(daemon)
    assert daemon.delete("/consumers/bot").json() == {"message": "Consumer removed",
                                                      "name": "bot"}
    for answer in (daemon.get("/consumers/bot"), daemon.get("/consumers/bot/events"),
                   daemon.delete("/consumers/bot"), ack(daemon, 0)):
        assert answer.status == 404
        assert answer.json()["error"] == "There is no consumer named bot"
    deliver(daemon, 2)
    assert make(daemon)["cursor"] == 2      # a new life


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "x" * 64])
def test_names_that_are_good(daemon, name):
    assert make(daemon, name)["name"] == name
    assert look(daemon, name)["name"] == name


@pytest.mark.parametrize("name", [".hidden", "a%20b", "caf%C3%A9", "x" * 65, "a%2Fb", "a:b"])
def test_names_that_are_not(daemon, name):
    answer = daemon.call("PUT", f"/consumers/{name}", {})
    assert answer.status in (400, 404)
    assert daemon.get("/consumers").json() == {"consumers": []}


@pytest.mark.parametrize("body, sentence", [
    ({"types": ["a"]}, "A consumer has type, platform"),
    ({"forward": "http://x/"}, "A consumer has type, platform"),
    ({"start": -1}, "start must be"),
    ({"start": "later"}, "start must be"),
    ({"start": 1.5}, "start must be"),
    ({"start": 1}, "start is beyond the last event, which is 0"),
    ({"type": 5}, "type must be a text or a list of texts"),
    ({"type": ["a", 5]}, "type must be a text or a list of texts"),
    ({"type": "x" * 1024}, "type is too long"),
    ({"platform": "myspace"}, "Invalid platform"),
    ({"include": "everything"}, "include must be of foreign"),
    ({"kind": "chat,gossip"}, "kind must be of follow"),
    ({"platform": ["kick", "myspace"]}, "Invalid platform"),
    ("nonsense", "JSON"),
])
def test_bad_consumers_are_refused_with_a_sentence(daemon, body, sentence):
    if isinstance(body, str):
        answer = daemon.call("PUT", "/consumers/bot", body,
                             {"Content-Type": "application/json"})
    else:
        answer = daemon.call("PUT", "/consumers/bot", body)
    assert answer.status == 400 and sentence in answer.json()["error"], answer.text


@pytest.mark.parametrize("body", [{}, {"seq": -1}, {"seq": "1"}, {"seq": 1.0}, {"seq": None}])
def test_bad_acknowledgements(daemon, body):
    make(daemon)
    answer = daemon.post("/consumers/bot/ack", body)
    assert answer.status == 400 and "seq must be" in answer.json()["error"]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=1&limit=2"])
def test_bad_limits(daemon, query):
    make(daemon)
    answer = daemon.get(f"/consumers/bot/events?{query}")
    assert answer.status == 400 and "limit" in answer.json()["error"]


def test_there_are_bounds(daemon):
    for number in range(100):
        make(daemon, f"bot{number}")
    answer = daemon.call("PUT", "/consumers/more", {})
    assert answer.status == 409 and "100 consumers" in answer.json()["error"]
    make(daemon, "bot5", type="channel.followed")       # a change is none more


def test_a_web_page_may_not_acknowledge(daemon):
    make(daemon)
    answer = daemon.post("/consumers/bot/ack", {"seq": 0},
                         headers={"Origin": "https://evil.example"})
    assert answer.status == 403


def test_figures(daemon):
    make(daemon)
    deliver(daemon, 2)
    text = daemon.get("/metrics").text
    assert 'streamhold_consumer_lag_events{consumer="bot"} 2' in text
    assert 'streamhold_consumer_dead_letters{consumer="bot"} 0' in text


def test_large_pages_end_early_and_go_on(daemon):
    make(daemon, include="quarantined")
    for number in range(8):
        deliver(daemon, body=b'{"number":%d,"x":"' % number + b"y" * 200000 + b'"}')
    got, pages = [], 0
    while True:
        one = page(daemon)
        if not one["events"]:
            break
        assert marked(one) == []
        got += seqs(one)
        pages += 1
        ack(daemon, one["next_after"])
    assert got == list(range(1, 9)) and pages == 2


# -- replays ------------------------------------------------------------------------------


def replay(daemon, *names, to="bot"):
    return daemon.cli("events", "replay", *names, "--to", to, "--json")


def test_a_replay_comes_with_the_next_page_until_something_is_acknowledged(daemon):
    make(daemon)
    deliver(daemon, 3)
    ack(daemon, page(daemon)["next_after"])
    done = replay(daemon, "1", "3", "1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["replayed"] == [
        {"seq": seq, "type": "chat.message.sent", "to": "bot"} for seq in (1, 3, 1)]
    deliver(daemon)
    for _ in range(2):
        mixed = page(daemon, limit=1)
        assert seqs(mixed) == [1, 3, 4] and mixed["next_after"] == 4
    assert marked(mixed) == [1, 3, 4]
    assert look(daemon)["cursor"] == 3
    assert seqs(page(daemon)) == [1, 3, 4]
    # One that came after the page is not meant by its acknowledgement.
    assert replay(daemon, "2").returncode == 0
    assert ack(daemon, 4).json()["cursor"] == 4
    again = page(daemon)
    assert seqs(again) == [2] and marked(again) == [2] and again["next_after"] == 4
    ack(daemon, 4)
    assert page(daemon)["events"] == []
    # Nobody else is concerned, and nothing is stored.
    assert [event["flags"] for event in daemon.events()] == [[]] * 4


def test_what_a_consumer_is_not_replayed(daemon):
    make(daemon, type="channel.followed")
    deliver(daemon, 2)
    deliver(daemon, kind="channel.followed")
    for name, to, said in (("3", "bot", "Event 3 is not done by this consumer"),
                           ("1", "nobody", "There is no consumer named nobody"),
                           ("77", "bot", "No event with that number or id")):
        done = replay(daemon, name, to=to)
        assert done.returncode != 0 and said in done.stderr and done.stdout == ""
    ack(daemon, page(daemon)["next_after"])
    done = replay(daemon, "1")
    assert done.returncode == 1 and "this consumer's filters" in done.stderr
    assert page(daemon)["events"] == []
    assert replay(daemon, "3").returncode == 0
    assert marked(page(daemon)) == [3]


def test_replays_that_wait_are_bounded(daemon):
    make(daemon)
    deliver(daemon, 65)
    ack(daemon, page(daemon)["next_after"])
    assert replay(daemon, *[str(seq) for seq in range(1, 65)]).returncode == 0
    done = replay(daemon, "65")
    assert done.returncode == 1 and "acknowledge what was replayed" in done.stderr
    assert marked(page(daemon)) == list(range(1, 65))
    ack(daemon, 65)
    assert replay(daemon, "65").returncode == 0 and marked(page(daemon)) == [65]


def test_an_ordinary_stop_keeps_how_far_and_warns_of_nothing(daemon):
    make(daemon)
    deliver(daemon, 3)
    page(daemon, limit=2)
    daemon.stop()
    assert [line for line in daemon.log if "consumers:" in line and "warning" in line] == []
    daemon.start()
    assert look(daemon)["handed_out"] == 2 and marked(page(daemon)) == [1, 2]
