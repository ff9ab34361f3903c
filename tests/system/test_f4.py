"""The table f4.py names tests that are there."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

from tests.lib.tools import REQUIRED
from tests.system.f4 import F4, SUBSCRIPTIONS, named, proves

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Of F.4: what concerns logins and tokens, the API, subscriptions and consumers.
NUMBERS = [*range(1, 21), *range(26, 34)]


def python_tests():
    return [test for test in named() if "::" in test]


@pytest.fixture(scope="module")
def collected():
    files = sorted({test.split("::")[0] for test in python_tests()})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider",
         *files], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_every_scenario_has_a_row():
    assert list(F4) == NUMBERS
    for number, (what, platforms, tests) in F4.items():
        assert what and platforms and tests, number


def test_a_row_that_knows_platforms_names_each():
    """A row for several platforms has a test of each, not one test for all."""
    for number, (_, platforms, tests) in F4.items():
        if len(platforms) > 1:
            assert any("{platform}" in test for test in tests), number


@pytest.mark.parametrize("test", python_tests())
def test_named_test_is_collected(collected, test):
    """A name that ends within its brackets stands for all that begin so."""
    if test.endswith("]"):
        assert test in collected
    else:
        assert any(one == test or one.startswith(test) for one in collected), test


@pytest.mark.parametrize("test", [test for test in named() if "::" not in test])
def test_named_function_is_run_by_its_program(test):
    program, function = test.split(":")
    [source] = ROOT.glob(f"tests/*/{program}.c")
    text = source.read_text()
    table = text[text.index("const struct CMUnitTest"):]
    assert re.search(rf"\b{function}\b", table), f"{function} is not in the table of {source}"


def test_what_is_named_is_known_by_its_id(collected):
    found = [one for one in collected if proves(one)]
    assert len(found) >= len(python_tests())
    assert proves(f"{SUBSCRIPTIONS}::test_what_a_stranger_made_serves_and_is_never_touched")
    assert not proves(f"{SUBSCRIPTIONS}::test_what_a_stranger_made_serves_and_is_never")
    assert not proves(f"{SUBSCRIPTIONS}::test_what_a_stranger_made_serves_and_is_never_touched_x")


@pytest.mark.skipif(os.geteuid() != 0, reason="without root some may be skipped")
@pytest.mark.parametrize("required, counts", [("1", "1 error"), ("", "1 skipped")])
def test_a_proof_that_is_skipped_fails_the_run(folder, required, counts):
    """As node from npm is not found, or whatever else."""
    wrapper = folder / "wrapper.py"
    wrapper.write_text("import shutil, sys, pytest\n"
                       "shutil.which = lambda *_, **__: None\n"
                       "import tests.system.test_refresh_clock as module\n"
                       "module.pytestmark = pytest.mark.skip(reason='not here')\n"
                       "sys.exit(pytest.main(sys.argv[1:]))\n")
    test = next(one for one in python_tests() if "test_refresh_clock" in one)
    done = subprocess.run(
        [sys.executable, str(wrapper), "-q", "-p", "no:cacheprovider", test], cwd=ROOT,
        env={**os.environ, REQUIRED: required, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, timeout=120)
    assert counts in done.stdout, done.stdout + done.stderr
    assert done.returncode == (1 if required else 0)
