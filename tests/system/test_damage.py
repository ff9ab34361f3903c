"""A disk that gives back other bytes than were written: the admin is told once, with the next step,
and nothing is started again and again."""
import base64
import json
import os
import signal
import time

import pytest

from tests.fake import delivery as making
from tests.fake.sender import send
from tests.lib.platforms import Platforms

EVENTS = 60
PAGE = 8192
MIDDLE = 30     # neither the oldest, which retention reads, nor the newest, which a start reads


@pytest.fixture
def daemon(streamhold, fakes, folder):
    return streamhold(fakes.config(folder))


def deliver(daemon):
    one = making.build("chat.message.sent", Platforms.signer)
    return one, send(f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", one)


def signature(one):
    """As it is stored."""
    return base64.b64decode(dict(one.headers)["Kick-Event-Signature"])


def fill(daemon):
    sent = []
    for _ in range(EVENTS):
        one, reply = deliver(daemon)
        assert reply.status == 200
        sent.append(one)
    assert daemon.stop() == 0
    return sent


def damage(daemon, needle, shift, mask, whole_page=False):
    """Changes a byte near a text, or the first one of its page."""
    needle = needle if isinstance(needle, bytes) else needle.encode()
    data = bytearray(daemon.database.read_bytes())
    at = data.index(needle)
    at = at // PAGE * PAGE if whole_page else at + shift
    data[at] ^= mask
    daemon.database.write_bytes(data)


def multiply(daemon, times):
    """More events than a start looks at: copies, whose ids end with their number."""
    columns = [row[1] for row in daemon.sql("PRAGMA table_info(events)")]
    values = ["seq + ? * 60" if name == "seq" else
              "message_id || '-' || ?" if name == "message_id" else name for name in columns]
    for number in range(1, times):
        daemon.sql(f"INSERT INTO events SELECT {', '.join(values)} FROM events "
                   f"WHERE seq <= {EVENTS}", number, f"{number:04d}")
    # The broker would have indexed what they are known by.
    daemon.sql("UPDATE sequence SET known_to = (SELECT max(seq) FROM events)")


def test_a_damaged_page_ends_it_once_and_the_admin_is_told_how_to_go_on(daemon):
    sent = fill(daemon)
    multiply(daemon, 50)
    damage(daemon, f"{sent[0].message_id}-0010", 0, 0xff, whole_page=True)
    daemon.start()
    assert deliver(daemon)[1].status == 200         # what is sound still works
    assert daemon.get("/events?limit=500&include=foreign").status == 200
    assert daemon.get("/events?limit=500&after=500&include=foreign").status == 503
    assert daemon.wait_exit() == 65
    told = [line for line in daemon.log if "is damaged" in line]
    assert len(told) == 1, daemon.text_log()
    assert str(daemon.database) in told[0] and "streamhold database check" in told[0]
    assert "backup" in told[0]
    assert "starting it again" not in daemon.text_log()
    found = daemon.cli("database", "check")
    assert found.returncode == 1
    assert found.stdout.strip() and "is damaged" in found.stderr and "backup" in found.stderr
    answer = json.loads(daemon.cli("database", "check", "--json").stdout)
    assert answer["format_version"] == 1 and answer["sound"] is False and answer["findings"]


def test_a_database_of_a_newer_version_is_left_alone(daemon):
    assert daemon.stop() == 0
    [(known,)] = daemon.sql("PRAGMA user_version")
    daemon.sql("PRAGMA user_version = 999")
    daemon.spawn()
    assert daemon.wait_exit() == 2
    told, = [line for line in daemon.log if "was written by a newer version" in line]
    assert str(daemon.database) in told and "install that version again" in told
    assert "starting it again" not in daemon.text_log()
    assert daemon.sql("PRAGMA user_version") == [(999,)]
    daemon.sql(f"PRAGMA user_version = {known}")
    daemon.start()


def test_a_page_that_is_read_at_every_start_does_not_make_it_spin(daemon):
    """The oldest events are looked at a moment after each start."""
    sent = fill(daemon)
    multiply(daemon, 50)
    damage(daemon, signature(sent[0]), 0, 0xff, whole_page=True)
    daemon.spawn()
    assert daemon.wait_exit() == 65
    assert len([line for line in daemon.log if "is damaged" in line]) == 1
    assert daemon.text_log().count("is ready, database") == 1


def test_a_page_that_is_read_by_the_start_ends_it_as_well(daemon):
    sent = fill(daemon)
    damage(daemon, signature(sent[MIDDLE]), 0, 0xff, whole_page=True)
    daemon.spawn()
    assert daemon.wait_exit() == 65
    assert len([line for line in daemon.log if "is damaged" in line]) == 1
    assert "is ready, database" not in daemon.text_log()


def test_a_body_that_changed_is_flagged_and_the_rest_goes_on(daemon):
    sent = fill(daemon)
    damage(daemon, sent[MIDDLE].body, 20, 1)
    found = daemon.cli("database", "check")
    assert found.returncode == 1
    assert found.stdout == f"event {MIDDLE + 1} does not match its checksum\n"
    daemon.start()
    events = daemon.get("/events?limit=500&include=quarantined").json()["events"]
    assert len(events) == EVENTS
    assert [event["seq"] for event in events if "damaged" in event["flags"]] == [MIDDLE + 1]
    assert deliver(daemon)[1].status == 200
    assert daemon.stop() == 0


def test_a_file_that_is_no_database_is_not_started_again(daemon):
    fill(daemon)
    daemon.database.write_bytes(b"\xff" * 3 * PAGE)
    daemon.spawn()
    assert daemon.wait_exit() == 65
    assert "streamhold database check" in daemon.text_log()
    assert len([line for line in daemon.log if "is damaged" in line]) == 1


def test_a_check_of_a_sound_database_and_of_one_in_use(daemon):
    fill(daemon)
    found = daemon.cli("database", "check")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == f"database '{daemon.database}' is sound, {EVENTS} events\n"
    daemon.start()
    found = daemon.cli("database", "check", "--json")
    assert found.returncode == 1 and found.stdout == ""
    assert "is in use by process" in found.stderr and "  next: " in found.stderr
    assert daemon.stop() == 0
    answer = json.loads(daemon.cli("database", "check", "--json").stdout)
    assert answer == {"format_version": 1, "database": str(daemon.database), "sound": True,
                      "events": EVENTS, "findings": []}
    daemon.database.unlink()
    found = daemon.cli("database", "check")
    assert found.returncode == 1 and "No such file" in found.stderr
    assert not daemon.database.exists()


def test_small_tables_are_looked_at_after_a_kill(daemon):
    """Nothing is done by settings and secrets that are not whole."""
    fill(daemon)
    root, = daemon.sql("SELECT rootpage FROM sqlite_schema WHERE name = 'audit'")[0]
    data = bytearray(daemon.database.read_bytes())
    daemon.start()
    deliver(daemon)
    os.kill(daemon.process.pid, signal.SIGSTOP)     # it must not start the next broker
    os.kill(daemon.broker_pid(), signal.SIGKILL)
    time.sleep(0.1)
    wal = daemon.database.with_name("streamhold.db-wal")
    assert wal.stat().st_size > 0
    data[(root - 1) * PAGE] ^= 0xff
    daemon.database.write_bytes(data)
    os.kill(daemon.process.pid, signal.SIGCONT)
    assert daemon.wait_exit() == 65
    assert "table 'audit'" in daemon.text_log()
