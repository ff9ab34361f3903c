"""Copies of used secrets in the broker's memory (reliability.md S3), beside a control run whose
wiping is switched off."""
import os
import pathlib
import subprocess
import time

import pytest

from tests.lib import memory
from tests.lib.platforms import NAMES
from tests.lib.tls_front import TlsFront
from tests.system.canary_flows import SHARED_S, prepare, put_credentials

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of others")
ROUNDS = 3
IDLE_S = 5.0
# The copies that reliability.md counted without wiping, for each platform. A copy counts when 16
# bytes of it are legible, which is stricter for the run with wiping, too.
CONTROL_LEAST = 7
NO_WIPING = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
void *
mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (fd == -1 && size == 64 << 20)
		return errno = ENOMEM, MAP_FAILED;
	return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}
void free(void *piece) { (void)piece; }
void explicit_bzero(void *at, size_t size) { (void)at; (void)size; }
void __explicit_bzero_chk(void *at, size_t size, size_t most) { (void)at; (void)size; (void)most; }
"""
LONG = 256
KINDS = ("access", "refresh", "app", "verifier", "code", "device_code", "client_secret")


def legible(data, secret):
    """How often the commonest piece of a secret stands in the bytes, in any form of its own. Of
    a long one every 16th piece is looked for, which no legible 31 bytes can miss."""
    step = 1 if len(secret) <= LONG else memory.PIECE
    pieces = {secret[at:at + memory.PIECE]
              for at in range(0, len(secret) - memory.PIECE + 1, step)}
    whole = [text for form, text in memory.forms(secret).items() if not form.startswith("piece")]
    return max(data.count(text) for text in [*pieces, *whole])


def copies(run):
    """{name: legible copies in the broker's memory}"""
    run.collect()
    data = memory.memory(run.daemon.broker_pid())
    return {name: legible(data, value) for name, value in run.of(*KINDS).items()}


def use_tokens(run):
    """With long tokens, which take more of the libraries' buffers."""
    put_credentials(run)
    for name in NAMES:
        run.fakes[name].set(token_form="long")
    for name in NAMES:
        assert run.login(name)[0].status == 200
    for _ in range(ROUNDS):
        assert run.daemon.cli("accounts", "--ask").returncode == 0
        for name in NAMES:
            assert run.daemon.post(f"/oauth/refresh/{name}/streamer123").status == 200
        time.sleep(SHARED_S)
    time.sleep(IDLE_S - SHARED_S)


@pytest.fixture
def tls(folder):
    front = TlsFront(folder)
    yield front
    front.stop()


def test_of_a_used_token_at_most_one_copy_is_left(plain, folder, fakes, tls):
    run = prepare(plain, folder, fakes, tls)
    try:
        use_tokens(run)
        assert tls.connections > 20
        found = copies(run)
        assert len(found) >= 9 + 2 * ROUNDS
        assert {f"{kind}.{name}" for name in NAMES for kind in ("access", "refresh")} <= {
            name.split("#")[0] for name in found}
        too_many = {name: count for name, count in found.items() if count > 1}
        assert not too_many, [(name, memory.places(run.daemon.broker_pid(),
                                                   run.secrets[name])[:4])
                              for name in too_many]
    finally:
        run.daemon.stop()


def test_without_wiping_seven_copies_are_left(plain, folder, fakes, tls):
    """The control: the same run with a library that makes wiping do nothing, leaves no memory
    but that of malloc(3), and uses nothing again that was freed, so that every copy counts which
    was made and not wiped."""
    source, library = folder / "no_wiping.c", folder / "no_wiping.so"
    source.write_text(NO_WIPING)
    subprocess.run(["cc", "-shared", "-fPIC", "-fno-builtin", "-w", "-o", str(library),
                    str(source)], check=True)
    run = prepare(plain, folder, fakes, tls, environment={"LD_PRELOAD": str(library)})
    try:
        use_tokens(run)
        maps = pathlib.Path(f"/proc/{run.daemon.broker_pid()}/maps").read_text()
        assert "no_wiping.so" in maps
        assert "nor kept out of swap" in run.daemon.text_log()
        found = copies(run)
        for platform in NAMES:
            most = max(count for name, count in found.items()
                       if name.split("#")[0] in (f"access.{platform}", f"refresh.{platform}"))
            print(platform, most)
            assert most >= CONTROL_LEAST, (platform, found)
    finally:
        run.daemon.stop()


def test_a_cut_copy_counts():
    secret = bytes(range(65, 65 + 48))
    assert legible(b"", secret) == 0
    assert legible(secret + b"--" + secret[:20] + b"--" + secret[30:], secret) == 2
    assert legible(b"--".join([secret[5:30]] * 7), secret) == 7
    assert legible(secret.hex().encode(), secret) == 1
