"""kill -9 of the broker between the writing of fresh tokens into a real gnome-keyring and the
commit that refers to them, where the platform's refresh tokens work once: the login is kept, and
the platform is not asked again."""
import collections
import os
import re
import subprocess
import time

import pytest

from tests.crash.lone_broker import ACCOUNT, LoneBroker, Prepared
from tests.crash.test_refresh_calls import kill_at, trace
from tests.lib.keyring import Keyring, have, wait_for

pytestmark = [
    pytest.mark.skipif(not have(), reason="needs gnome-keyring and dbus"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the broker is not dumpable: tracing it needs root"),
]

TOKEN = f"token/{ACCOUNT}"
KEPT = re.compile(r"are in the keyring and are kept")
SHARED_S = 2.1      # a younger result is shared


@pytest.fixture
def ring(folder):
    ring = Keyring(folder).start()
    yield ring
    ring.stop()


@pytest.fixture
def make(streamhold, fakes, folder, plain, ring):
    brokers = []

    def start(rotation):
        prepared = Prepared(streamhold, fakes, folder, plain, rotation, keyring=ring)
        brokers.append(LoneBroker(prepared, plain))
        return prepared, brokers[-1]

    yield start
    for broker in brokers:
        broker.close()


PWRITE, SENDTO = "18", "44"


def places_of(stops):
    """Where to kill: before and after the write of the pages that refer to the fresh tokens (the
    last write of the database's thread), and when the tokens are in the keyring and the token
    before is about to be sent there (the main thread's last message before that)."""
    writes = [line for line in stops if line.split()[1] == PWRITE]
    before, after = writes[-2:]
    assert before.split()[3] == "enter" and after.split()[3] == "exit", writes
    sends = [line for line in stops[:stops.index(before)]
             if line.split()[0] == "0" and line.split()[1] == SENDTO]
    assert sends[-2].split()[3] == "enter", sends
    return before, after, sends[-2]


def cut_off(prepared, broker, build, place):
    """Kills there; the number of requests until then. None: the place was not reached, which
    happens when two of the refresh's commits met in one; it is tried three times."""
    for _ in range(3):
        killed, _ = kill_at(broker, build, place)
        if killed:
            return len(prepared.refreshes())
        time.sleep(SHARED_S)
    return None


def orphans(prepared, ring):
    """Generations of items with tokens that the database does not refer to."""
    [(known,)] = prepared.look(f"SELECT generation FROM secrets WHERE name = '{TOKEN}'")
    return [generation for _, generation in ring.items(TOKEN) if int(generation) > known]


def check_kept(prepared, broker, ring, before, left):
    """The login works, nothing was asked, and what was found is not left lying about."""
    assert len(prepared.refreshes()) == before, broker.log()
    assert broker.account()["status"] == "valid", broker.log()
    handed = broker.cli("token", "get", ACCOUNT)
    assert handed.returncode == 0, handed.stderr
    assert prepared.token_works(handed.stdout.strip()), broker.log()
    wait_for(lambda: not {one for _, one in ring.items(TOKEN)} & set(left), 10)
    assert prepared.look("SELECT count(*) FROM refreshes") == [(0,)]


def resolve(prepared, broker, ring, place, build):
    """Kills, starts again and checks. Whether tokens were found in the keyring."""
    before = cut_off(prepared, broker, build, place)
    assert before is not None, f"'{place}' was not reached"
    left = orphans(prepared, ring)
    broker.start()
    assert broker.come_to_rest() == bool(left), broker.log()
    assert bool(KEPT.search(broker.log())) == bool(left), broker.log()
    check_kept(prepared, broker, ring, before, left)
    time.sleep(SHARED_S)
    assert broker.cli("refresh", ACCOUNT).returncode == 0, "what was kept is a dead end"
    broker.stop()
    return bool(left)


def test_kill_between_the_keyring_and_the_commit(make, plain, ring):
    prepared, broker = make("family")
    before, after, previous = places_of(trace(broker, plain))
    assert resolve(prepared, broker, ring, before, plain)
    assert resolve(prepared, broker, ring, before, plain), "a second time"
    assert not resolve(prepared, broker, ring, after, plain)
    assert resolve(prepared, broker, ring, previous, plain)
    assert max(collections.Counter(prepared.refreshes()).values()) == 1


def test_nothing_is_sent_before_a_locked_keyring_is_open(make, plain, ring):
    prepared, broker = make("family")
    before = cut_off(prepared, broker, plain, places_of(trace(broker, plain))[0])
    left = orphans(prepared, ring)
    assert left
    ring.lock()
    broker.start()
    broker.wait_log(re.compile(r"not refreshed: .*locked"))
    assert len(prepared.refreshes()) == before
    ring.unlock()
    assert broker.come_to_rest()
    assert KEPT.search(broker.log())
    check_kept(prepared, broker, ring, before, left)


def test_an_item_that_is_no_tokens_is_not_kept(make, plain, ring):
    """The token is sent once more, as without a keyring."""
    prepared, broker = make("never")
    before = cut_off(prepared, broker, plain, places_of(trace(broker, plain))[0])
    [generation] = orphans(prepared, ring)
    [(database,)] = prepared.look("SELECT value FROM meta WHERE name = 'keystore.database'")
    attributes = ["name", TOKEN, "generation", generation]
    subprocess.run(["secret-tool", "clear", *attributes], check=True, timeout=20,
                   env=ring.full_environment())
    subprocess.run(["secret-tool", "store", "--label=x", "xdg:schema", "org.streamhold.Secret",
                    *attributes, "database", database.decode()], input="no tokens", text=True,
                   check=True, timeout=20, env=ring.full_environment())
    broker.start()
    assert broker.come_to_rest()
    assert "cannot be read; continuing without it" in broker.log()
    assert not KEPT.search(broker.log())
    assert len(prepared.refreshes()) == before + 1
    assert broker.account()["status"] == "valid"
