"""Runs every C test program (cmocka) of the build with sanitizers, one test each."""
import os
import pathlib
import subprocess

import pytest

from tests.conftest import ROOT

FOLDER = pathlib.Path(os.environ.get("STREAMHOLD_BUILD", ROOT / "build/asan")) / "tests"
SOURCES = sorted(path.stem for kind in ("unit", "proto", "flow")
                 for path in (ROOT / "tests" / kind).glob("test_*.c"))


@pytest.mark.parametrize("name", SOURCES)
def test_program(name, folder):
    program = FOLDER / name
    assert program.exists(), f"{name} is not built"
    done = subprocess.run([str(program)], cwd=folder, capture_output=True, text=True,
                          errors="replace", timeout=600,
                          env={**os.environ, "TMPDIR": str(folder)})
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-8000:]
    assert "[  PASSED  ]" in output, "no test ran"


def test_there_are_programs():
    assert len(SOURCES) > 10
