"""Platforms whose TLS cannot be trusted (reliability.md E7): nothing is sent, the login is kept, it
is said why, and it is used again when the platform is in order."""
import concurrent.futures
import socket
import ssl
import time
import warnings

import pytest

from tests.lib.platforms import NAMES, USER, login, put_credentials
from tests.lib.tls_front import TlsFront, certificate

MOST_S = 16.0


# What is wrong with a certificate that the daemon's file of authorities has.
TRUSTED = {"in_order": {}, "old_version": {}, "wrong_host": {"host": "127.0.0.2"},
           "expired": {"days": (-2, -1)}, "not_yet": {"days": (1, 2)}}


class Contexts(dict):
    """By what is wrong. The file is complete before the daemon reads it."""

    def __init__(self, folder, tls):
        super().__init__(unknown=certificate(folder, "unknown")[1])
        for name, more in TRUSTED.items():
            file, self[name] = certificate(folder, name, **more)
            tls.ca_file.write_bytes(tls.ca_file.read_bytes() + file.read_bytes())
        only_old(self["old_version"])


def only_old(context):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


@pytest.fixture
def tls(folder):
    front = TlsFront(folder)
    yield front
    front.stop()


@pytest.fixture
def contexts(folder, tls):
    return Contexts(folder, tls)


@pytest.fixture
def daemon(streamhold, fakes, folder, tls, contexts):
    config = fakes.config(folder)
    config["platforms"] = tls.config(config["platforms"])
    daemon = streamhold(config)
    fakes.register(daemon)
    return daemon


def refreshes(fake):
    return [one for one in fake.asked("token")
            if one["form"].get("grant_type") == "refresh_token"]


def status(daemon, platform):
    return daemon.get(f"/oauth/status/{platform}/{USER}").json()


def until(condition, timeout=20):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def meet(daemon, fakes, platform, word):
    before = status(daemon, platform)
    began = time.monotonic()
    answer = daemon.post(f"/oauth/refresh/{platform}/{USER}")
    assert time.monotonic() - began < MOST_S
    assert answer.status == 502, answer.text
    assert answer.headers["Streamhold-Error"] == "refresh_failed"
    assert word in answer.json()["error"], answer.text
    assert refreshes(fakes[platform]) == [], "nothing is sent"
    after = status(daemon, platform)
    assert after.pop("trouble") and after == before


@pytest.mark.parametrize("wrong, word", [
    ("wrong_host", "certificate"), ("expired", "certificate"), ("not_yet", "certificate"),
    ("unknown", "certificate"), ("old_version", "TLS")])
def test_a_refresh_sends_nothing_and_keeps_the_login(daemon, fakes, tls, contexts, wrong, word):
    for platform in NAMES:
        put_credentials(daemon, platform)
        assert login(daemon, platform).status == 200
    good, tls.context = tls.context, contexts[wrong]
    with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(lambda platform: meet(daemon, fakes, platform, word), NAMES))
    # A login gets no further either, and its code is not sent.
    before = {platform: len(fakes[platform].asked("token")) for platform in NAMES}
    for platform in NAMES:
        assert login(daemon, platform).status == 502
        assert len(fakes[platform].asked("token")) == before[platform]
        assert status(daemon, platform)["status"] == "valid"
    tls.context = good
    for platform in NAMES:
        until(lambda one=platform: "trouble" not in status(daemon, one))
        assert len(refreshes(fakes[platform])) == 1


def test_what_is_in_order_is_taken(daemon, tls, contexts):
    """Another certificate from that file; or the others would prove nothing."""
    put_credentials(daemon, "kick")
    assert login(daemon, "kick").status == 200
    tls.context = contexts["in_order"]
    assert daemon.post(f"/oauth/refresh/kick/{USER}").status == 200


def test_the_old_version_is_spoken_to_whoever_takes_it(tls, contexts):
    tls.context = contexts["old_version"]
    lenient = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lenient.check_hostname, lenient.verify_mode = False, ssl.CERT_NONE
    only_old(lenient)
    with socket.create_server(("127.0.0.1", 0)) as plain:
        address = tls.url(f"http://127.0.0.1:{plain.getsockname()[1]}/")
        port = int(address.split(":")[2].strip("/"))
        with socket.create_connection(("127.0.0.1", port)) as raw, \
                lenient.wrap_socket(raw) as spoken:
            assert spoken.version() == "TLSv1.1"
