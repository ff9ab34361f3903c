"""What tests that kill the broker during a refresh share: a prepared login under a policy of the
platform, and what is promised of it after a crash."""
import collections
import os

import pytest

from tests.crash.lone_broker import LoneBroker, Prepared

LONG = bool(os.environ.get("STREAMHOLD_LONG"))
# family: single use, a second use ends the grant. Google does not rotate (facts C.5), what Twitch
# does is reported both ways (A.5).
KICK = [("kick", "never"), ("kick", "grace"), ("kick", "family")]
OTHERS = [("twitch", "family"), ("youtube", "never")]
MORE = [("twitch", "never"), ("twitch", "grace")]
EACH = KICK + OTHERS + (MORE if LONG else [])


@pytest.fixture
def make(streamhold, fakes, folder, plain):
    """A prepared login and a broker for it, by policy."""
    if os.geteuid() != 0:
        pytest.skip("the broker is not dumpable: tracing it needs root")
    brokers = []

    def start(platform, rotation, refreshed=False):
        prepared = Prepared(streamhold, fakes, folder, plain, rotation, refreshed,
                            platform=platform)
        brokers.append(LoneBroker(prepared, plain))
        return prepared, brokers[-1]

    yield start
    for broker in brokers:
        broker.close()


def check_rest(prepared, broker, rotation):
    """Starts a broker after a kill and holds it to what is promised. How it ended."""
    prepared.fake.settle()      # a request may have been on its way when the broker died
    stored = prepared.is_stored()
    noted = prepared.look("SELECT count(*) FROM refreshes") != [(0,)]
    spent = stored or prepared.spent()
    before = len(prepared.refreshes())
    assert not (stored and noted), "fresh tokens and the note of their refresh"
    assert noted or stored or before == 0, "a token was sent without a note"
    broker.start()
    assert broker.come_to_rest() == noted, broker.log()
    account = broker.account()
    used = collections.Counter(prepared.refreshes())
    lost = rotation == "family" and spent and not stored
    # One retry, and where that is refused the token before, once.
    again = lost and prepared.has_previous and prepared.platform != "twitch"
    tries = 0 if not noted else 2 if again else 1
    assert len(prepared.refreshes()) - before == tries, broker.log()
    assert max(used.values(), default=0) <= 2
    handed = broker.cli("token", "get", prepared.account)
    if lost:
        how = "lost"
        assert account["status"] == "reauth_required", broker.log()
        assert account["reason"] and account["since"]
        assert handed.returncode == 4 and not handed.stdout
    else:
        how = "new" if stored else "old" if not noted else "again"
        assert account["status"] == "valid", broker.log()
        assert handed.returncode == 0, handed.stderr
        assert prepared.token_works(handed.stdout.strip()), broker.log()
    broker.stop()
    rows = dict(prepared.daemon.sql("SELECT name, length(sealed) FROM secrets"))
    assert prepared.daemon.sql("SELECT count(*) FROM refreshes") == [(0,)]
    assert (f"token/{prepared.account}" in rows) == (how != "lost")
    assert prepared.daemon.sql("PRAGMA integrity_check") == [("ok",)]
    return how
