"""The table f4.py names tests that are there."""
import pathlib
import re
import subprocess
import sys

import pytest

from tests.system.f4 import F4

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Of F.4: what concerns logins and tokens, the API, subscriptions and consumers.
NUMBERS = [*range(1, 21), *range(26, 34)]


def named():
    """Every test that the table names, for each platform of its row."""
    return sorted({test.format(platform=platform)
                   for _, platforms, tests in F4.values()
                   for platform in platforms for test in tests})


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
