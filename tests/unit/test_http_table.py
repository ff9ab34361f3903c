"""The table of tests/system/http_cases.py holds for the request reader itself.

http_parse_driver.c is compiled with the sanitizers and asked about every case; it also
compares the whole bytes with one byte at a time and with a cut at every place.
"""

import os
import shlex
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from http_cases import CASES, HOST, for_host  # noqa: E402

SOURCES = ["httpd/http_parse.c", "httpd/http_fields.c", "httpd/http_body.c", "httpd/url.c",
           "tests/unit/http_parse_driver.c"]


def ask(driver: Path, inputs: list[bytes]) -> list[str]:
    stream = b"".join(struct.pack("<I", len(raw)) + raw for raw in inputs)
    run = subprocess.run([driver], input=stream, capture_output=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr.decode(errors="replace")
    return run.stdout.decode("ascii").splitlines()


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    target = tmp_path_factory.mktemp("driver") / "http_parse_driver"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-I", str(ROOT),
             "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run([*compiler, *flags, *SOURCES, "-o", str(target)], cwd=ROOT, check=True)
    return target


@pytest.fixture(scope="session")
def answers(driver):
    lines = ask(driver, [case.raw for case in CASES])
    assert len(lines) == len(CASES)
    return dict(zip((case.name for case in CASES), lines))


def wanted(case) -> str:
    outcomes = case.expect if isinstance(case.expect, list) else [case.expect]
    words = []
    for outcome in outcomes:
        if isinstance(outcome, int):
            words.append(f"{outcome}:{case.code}")
        elif outcome == "ok":
            words.append("ok")
        elif case.raw:
            words.append("more")
    return "".join(word + " " for word in words) + "| same"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outcome_of_every_cut_is_as_tabled(case, answers):
    assert answers[case.name] == wanted(case)


def test_table_is_large_and_names_are_unique():
    assert len(CASES) >= 220
    assert len({case.name for case in CASES}) == len(CASES)


def test_no_two_cases_send_the_same_bytes():
    seen = {}
    for case in CASES:
        assert seen.setdefault(case.raw, case.name) == case.name


def test_codes_are_given_exactly_with_refusals():
    for case in CASES:
        outcomes = case.expect if isinstance(case.expect, list) else [case.expect]
        refused = [outcome for outcome in outcomes if isinstance(outcome, int)]
        assert (case.code is not None) == bool(refused), case.name
        assert outcomes.index(refused[0]) == len(outcomes) - 1 if refused else True


def test_every_refusal_of_the_reader_is_in_the_table():
    import re

    text = (ROOT / "httpd" / "http_refusals.def").read_text()
    defined = set(re.findall(r'^REFUSAL\(\w+, \d+, "(\w+)"', text, re.M))
    assert len(defined) > 30
    assert defined == {case.code for case in CASES if case.code}


def test_cases_move_to_another_port(driver):
    assert for_host(CASES[0].raw, b"[::1]:4000").count(HOST) == 0
    assert ask(driver, [for_host(CASES[0].raw, b"[::1]:4000")]) == ["ok | same"]
