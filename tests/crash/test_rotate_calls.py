"""kill -9 of the broker at the system calls by which `keystore rotate` changes the world: the new key
file, the notes in the database, each secret, and the new key in the place of the old one. Whatever
call was the last, every secret opens at the next start, and the keystore can be rotated again."""
import json
import time

from tests.crash.refresh_stage import LONG, make    # noqa: F401
from tests.crash.test_refresh_calls import kill_at, spread, trace

RENAME = "82"           # its number on this processor
SECONDS = 20            # for what lies between the begin and the finish
LEAST = 20              # kills there, however busy the machine is


def is_settled(broker):
    done = broker.cli("--json", "keystore", "status")
    return done.returncode == 0 and json.loads(done.stdout)["moving"] == ""


def wait_settled(broker):
    end = time.monotonic() + 20
    while not is_settled(broker):
        assert time.monotonic() < end, broker.log()
        time.sleep(0.02)


def check_rest(prepared, broker):
    """Starts a broker after a kill: the rotation goes on or never began. How it is."""
    key, stray = (prepared.state / name for name in ("vault.key", "vault.key.next"))
    kept = (prepared.kept / "vault.key").read_bytes()
    how = "renamed" if key.read_bytes() != kept else "next" if stray.exists() else "old"
    broker.start()
    wait_settled(broker)
    handed = broker.cli("token", "get", prepared.account)
    assert handed.returncode == 0, handed.stderr + broker.log()
    assert prepared.token_works(handed.stdout.strip())
    if key.read_bytes() != kept:
        assert not stray.exists(), "what became the key is in its place"
    before = key.read_bytes()
    again = broker.cli("keystore", "rotate")
    assert again.returncode == 0, again.stderr + broker.log()
    wait_settled(broker)
    assert key.read_bytes() != before and not stray.exists()
    assert broker.cli("refresh", prepared.account).returncode == 0, broker.log()
    broker.stop()
    assert prepared.daemon.sql("PRAGMA integrity_check") == [("ok",)]
    return how


def test_kill_at_each_effect_of_a_rotation(make, plain):
    prepared, broker = make("kick", "never")
    places = [line for line in trace(broker, plain, "keystore", "rotate")
              if line.endswith("effect")]
    [at] = [number for number, line in enumerate(places)
            if line.split()[1] == RENAME and line.split()[3] == "enter"]
    # From the commit that ends it to the end; of the others as many as the time allows.
    last = places[max(0, at - 12):]
    others = spread([line for line in places if line not in last])
    ends, missed, until = {}, [], time.monotonic() + SECONDS
    for number, place in enumerate(last + others):
        if (not LONG and number >= len(last) + LEAST and time.monotonic() > until):
            break
        prepared.restore()
        killed, _ = kill_at(broker, plain, place, "keystore", "rotate")
        if not killed:
            missed.append(place)
            continue
        try:
            ends[place] = check_rest(prepared, broker)
        except AssertionError as err:
            raise AssertionError(f"killed at '{place}': {err}") from None
    print(f"{len(ends)} kills at {len(places)} stops, {len(missed)} not reached, "
          f"{ {how: list(ends.values()).count(how) for how in set(ends.values())} }")
    assert len(ends) >= LEAST + len(last) // 2
    assert {"old", "next", "renamed"} <= set(ends.values())
    assert ends[places[at]] == "next", "committed, and not renamed yet"
