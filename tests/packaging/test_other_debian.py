"""The tests of the sandbox and of deliveries on Debian 13, whose C library makes other calls:
programs as they are shipped, whose sandbox kills, built there. In the long run."""
import os
import re

import pytest

from tests.conftest import ROOT
from tests.packaging.machine import can_boot

pytestmark = [
    pytest.mark.skipif(can_boot() is not None, reason=str(can_boot())),
    pytest.mark.skipif(not os.environ.get("STREAMHOLD_LONG"),
                       reason="the long run tests on Debian 13 as well")]
FILES = ("test_sandbox.py", "test_sandbox_attacks.py", "test_sandbox_broker.py", "test_deliveries.py")


@pytest.fixture(scope="module")
def workshop():
    from tests.packaging.workshop import Workshop
    found = Workshop("trixie")
    found.programs()
    return found


def test_it_is_another_c_library(workshop):
    assert "2.41" in workshop.run("ldd", "--version")


@pytest.mark.parametrize("file", FILES)
def test_it_works_and_is_confined_on_debian_13(workshop, file):
    build = ROOT / "build/plain"
    said = workshop.run(
        "python3", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rfEs", "--color=no", f"tests/system/{file}",
        timeout=3600, STREAMHOLD_BUILD=str(build), STREAMHOLD_PLAIN=str(build), STREAMHOLD_LONG="")
    passed, failed = (int((re.search(rf"(\d+) {word}", said) or [0, 0])[1])
                      for word in ("passed", "failed"))
    assert passed > 2 and failed == 0, said[-6000:]
    assert "is not allowed, the process dies" not in said
