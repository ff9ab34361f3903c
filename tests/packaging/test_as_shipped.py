"""The system's tests against programs as they are shipped, whose sandbox kills: here, and on
Debian 13, whose C library makes other calls. In the long run.

The run in between uses programs with sanitizers, whose list of calls is longer. A front that is
killed comes back at once; the fixture `streamhold` fails for it, and the kernel's log is read too.
"""
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.packaging.machine import can_boot

pytestmark = [
    pytest.mark.alone,      # other tests have such processes killed, and the kernel's log is one
    pytest.mark.skipif(not os.environ.get("STREAMHOLD_LONG"),
                       reason="the long run tests what is shipped as well")]
PASSED_MIN = 2400           # nearly all; a dozen need a build for tests, some more another tool
# Those who have processes killed, which must not be taken for the others.
KILLING = ("tests/system/test_sandbox", "tests/system/test_refresh_clock")
SECONDS = 7200


def killed(build):
    """What the kernel says of programs of a build that a filter has ended; None where it does not
    say it, or not to us."""
    found = subprocess.run(["dmesg"], capture_output=True, text=True)
    if found.returncode != 0 or "audit: " not in found.stdout:
        return None
    return {line for line in found.stdout.splitlines()
            if "type=1326" in line and f'exe="{build}/bin/' in line}


def arguments():
    """Whether they have processes killed, and pytest's arguments: for all of tests/system that
    bears company, for those that measure, for those that have processes killed. Much is waiting,
    and these programs are no slow ones, so there are more lanes than in other runs."""
    files = sorted(str(file.relative_to(ROOT)) for file in ROOT.glob("tests/system/test_*.py"))
    usual = ["-m", "pytest", "-p", "no:cacheprovider", "-q", "-rfEs", "--color=no"]
    killing = [file for file in files if file.startswith(KILLING)]
    others = [file for file in files if file not in killing]
    yield False, [*usual, "-n", str(3 * os.cpu_count()), "-m", "not alone", *others]
    yield False, [*usual, "-m", "alone", *others]
    yield True, [*usual, *killing]


def judge(build, run):
    """run(arguments): what pytest said. Everything passes, and nobody was killed unasked."""
    passed, begun = 0, killed(build)
    for kills, words in arguments():
        said = run(words)
        found = {word: int((re.search(rf"(\d+) {word}", said) or [0, 0])[1])
                 for word in ("passed", "failed", "error")}
        assert found["passed"] and not found["failed"] and not found["error"], said[-6000:]
        passed += found["passed"]
        if begun is not None and not kills:
            assert killed(build) <= begun, said[-6000:]
    print(f"{passed} passed; the kernel's log was {'not ' if begun is None else ''}read")
    assert passed > PASSED_MIN


def test_it_works_and_is_confined_as_it_is_shipped(plain):
    def run(words):
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=SECONDS,
            env={**os.environ, "STREAMHOLD_BUILD": str(plain), "STREAMHOLD_LONG": "",
                 "PYTHONHASHSEED": "0"})
        return done.stdout

    judge(plain, run)


@pytest.fixture(scope="module")
def workshop():
    if can_boot() is not None:
        pytest.skip(can_boot())
    from tests.packaging.workshop import Workshop
    found = Workshop("trixie")
    found.programs()
    return found


def test_it_is_another_c_library(workshop):
    assert "2.41" in workshop.run("ldd", "--version")


def test_it_works_and_is_confined_on_debian_13(workshop):
    build = ROOT / "build/plain"
    judge(build, lambda words: workshop.run(
        "python3", *words, timeout=SECONDS,
        STREAMHOLD_BUILD=str(build), STREAMHOLD_PLAIN=str(build), STREAMHOLD_LONG="",
        PYTHONHASHSEED="0"))
