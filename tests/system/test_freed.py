"""Nothing in the broker or the fronts gives memory with a secret in it back to malloc(3): none of
the libraries, msgpack-c among them, and none of our own code (reliability.md S3). What is in
locked memory never gets there: test_locked_memory.py and test_residue.py look at that."""
import os
import pathlib
import subprocess
import sys

import pytest

from tests.lib import freed
from tests.lib.tls_front import TlsFront
from tests.system.canary_flows import SECRETS, every_flow, prepare

FREE_ONE = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
for call in ("free", "realloc"):
    piece = libc.malloc(ctypes.c_size_t(4096))
    ctypes.memset(piece, 0, 4096)
    text = bytes(byte ^ 1 for byte in bytes.fromhex(sys.argv[1]))
    ctypes.memmove(piece + 100, text, len(text))
    if call == "free":
        libc.free(ctypes.c_void_p(piece))
    else:
        libc.realloc(ctypes.c_void_p(piece), ctypes.c_size_t(9999))
"""


def marked(mint):
    """Tokens that can be told from everything else."""
    return lambda use: mint(use) + freed.MARK + os.urandom(8).hex()


def test_the_library_finds_what_is_freed(folder):
    """The control: a process that gives a secret back, by either way."""
    hidden = bytes(byte ^ 1 for byte in freed.MARK.encode()).hex()
    said = subprocess.run([sys.executable, "-c", FREE_ONE, hidden], capture_output=True,
                          text=True, env={**os.environ, "LD_PRELOAD": str(freed.library(folder))})
    found = [line for line in said.stderr.splitlines() if line.startswith("FREED 41")]
    assert len(found) == 2, said.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="looks which libraries others have")
def test_no_memory_with_a_secret_is_given_back(plain, folder, fakes):
    tls = TlsFront(folder)
    assert all(freed.MARK in secret for secret in SECRETS.values())
    for fake in fakes.fakes.values():
        fake.store.mint = marked(fake.store.mint)
    run = prepare(plain, folder, fakes, tls,
                  environment={"LD_PRELOAD": str(freed.library(folder))})
    try:
        every_flow(run)
        assert all(freed.MARK.encode() in value for value in run.of("access", "refresh").values())
        assert len(run.of("access")) > 10
        maps = pathlib.Path(f"/proc/{run.daemon.broker_pid()}/maps").read_text()
        assert "freed.so" in maps and "msgpack" in maps and "jansson" in maps
    finally:
        run.daemon.stop()
        tls.stop()
    assert [line for line in run.daemon.log if "FREED" in line] == []
