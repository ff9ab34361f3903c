"""Long work on the database after an upgrade: the broker is ready before it, deliveries flow
beside it, and it goes on where it was when the broker was killed."""
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from tests.fake import sender
from tests.lib.platforms import Platforms

ROWS = 100_000
RATE, SECONDS = 500, 6


@pytest.fixture
def daemon(streamhold, fakes, folder, build):
    """With a large table that the step of builds for tests works on."""
    found = subprocess.run(["grep", "-c", "STREAMHOLD_TEST_BUILD", build / "build.ninja"],
                           capture_output=True, text=True)
    if found.stdout.strip() in ("", "0"):
        pytest.skip("only builds for tests have such a step")
    daemon = streamhold(fakes.config(folder, logging={"level": "info"}))
    daemon.stop()
    with sqlite3.connect(folder / "state/streamhold.db") as database:
        database.execute("CREATE TABLE backfill_test (id INTEGER PRIMARY KEY, text TEXT, "
                         "touched INTEGER NOT NULL)")
        database.executemany("INSERT INTO backfill_test VALUES (?, ?, 0)",
                             ((number, "x" * 200) for number in range(ROWS)))
    database.close()
    return daemon


def done_rows(daemon):
    """How many were done since the start; None when no such work is in progress."""
    found = json.loads(daemon.cli("inspect", "--json").stdout)["sections"]["database"]
    return int(found["backfill_rows"]) if found["backfill"] else None


def touched(folder):
    with sqlite3.connect(folder / "state/streamhold.db") as database:
        rows = database.execute("SELECT touched, count(*) FROM backfill_test GROUP BY touched"
                                ).fetchall()
        stored = {row[0] for row in database.execute("SELECT message_id FROM events")}
    database.close()
    return dict(rows), stored


def test_it_is_ready_at_once_and_refuses_nothing_meanwhile(daemon, folder):
    begun = time.monotonic()
    daemon.start()
    assert time.monotonic() - begun < 5
    daemon.wait_log("bringing the rows for 'test' into their new form")
    key = folder / "key.pem"
    sender.write_private(key, Platforms.signer.private_pem)
    tally = {}

    def send():
        done = subprocess.run(
            ["python3", "-m", "tests.fake.sender", "--url",
             f"http://127.0.0.1:{daemon.webhook_port}/webhooks/kick", "--key", key, "--load",
             "--rate", str(RATE), "--seconds", str(SECONDS), "--again",
             "--acked", folder / "acked"], capture_output=True, text=True)
        tally.update(json.loads(done.stdout))

    sending = threading.Thread(target=send)
    sending.start()
    time.sleep(SECONDS / 2)
    before = done_rows(daemon)
    assert before and before < ROWS         # it is under way, and stays so over a crash
    broker = daemon.broker_pid()
    os.kill(broker, signal.SIGKILL)
    sending.join()
    assert done_rows(daemon), "the work was over before the load was"
    assert set(tally["statuses"]) == {"200"} and tally["errors"] == 0, tally
    assert tally["statuses"]["200"] == tally["sent"] > RATE, tally
    daemon.stop()
    rows, stored = touched(folder)
    # No row twice: what was committed before the kill was not done again.
    assert set(rows) == {0, 1} and before - 64 < rows[1] < ROWS
    assert set((folder / "acked").read_text().split()) <= stored
    daemon.start()
    daemon.wait_log("the rows for 'test' have their new form", timeout=120)
    assert daemon.get("/readyz").status == 200
    daemon.stop()
    assert touched(folder)[0] == {1: ROWS}
    daemon.start()
    time.sleep(1)       # longer than a first piece takes
    assert done_rows(daemon) is None
