"""The system's tests on Debian 13, whose C library makes other calls: programs as they are
shipped, whose sandbox kills, built there. In the long run."""
import os
import re

import pytest

from tests.conftest import ROOT
from tests.packaging.machine import can_boot

pytestmark = [
    pytest.mark.skipif(can_boot() is not None, reason=str(can_boot())),
    pytest.mark.skipif(not os.environ.get("STREAMHOLD_LONG"),
                       reason="the long run tests on Debian 13 as well")]
PASSED_MIN = 2000           # half an hour of tests, nearly all of those that Debian 12 passes


@pytest.fixture(scope="module")
def workshop():
    from tests.packaging.workshop import Workshop
    found = Workshop("trixie")
    found.programs()
    return found


def test_it_is_another_c_library(workshop):
    assert "2.41" in workshop.run("ldd", "--version")


def test_it_works_and_is_confined_on_debian_13(workshop):
    build = ROOT / "build/plain"
    said = workshop.run(
        "python3", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rfEs", "--color=no",
        "-m", "not alone", "tests/system", timeout=7200,
        STREAMHOLD_BUILD=str(build), STREAMHOLD_PLAIN=str(build), STREAMHOLD_LONG="")
    passed, failed = (int((re.search(rf"(\d+) {word}", said) or [0, 0])[1])
                      for word in ("passed", "failed"))
    assert passed > PASSED_MIN and failed == 0, said[-6000:]
    assert "is not allowed, the process dies" not in said
