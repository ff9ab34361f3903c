"""What tests need of others' programs. Where it is not there they are skipped, but not under
tests/run, which installs it all: there its absence is an error."""
import os
import shutil

import pytest

from tests.conftest import ROOT

REQUIRED = "STREAMHOLD_TOOLS_REQUIRED"


def are_required():
    return bool(os.environ.get(REQUIRED))


def nothing_may_lack():
    """As root under tests/run, where nothing is a reason to skip a proof."""
    return are_required() and os.geteuid() == 0


def npm_package(name):
    """Where tests/run puts a package, and the mark of the tests that use it."""
    folder = ROOT / "build" / "npm" / "node_modules" / name
    there = shutil.which("node") and folder.is_dir()
    return folder, pytest.mark.skipif(
        not there and not are_required(),
        reason="node or build/npm is not there; tests/run installs them")
