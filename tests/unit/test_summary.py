"""The last line of tests/run, by which it is judged."""
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SUITE = '<testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/>'


def summary(folder, status, *suites):
    """Exit status and lines for suites of (tests, failures, errors, skipped)."""
    reports = []
    for number, suite in enumerate(suites):
        reports.append(folder / f"report-{number}.xml")
        reports[-1].write_text(f"<testsuites>{SUITE.format(*suite)}</testsuites>")
    done = subprocess.run([sys.executable, ROOT / "tests/lib/summary.py", str(status), *reports],
                          capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("status, suites, code, last", [
    (0, [(5, 0, 0, 0)], 0, "5 passed, 0 failed"),
    (0, [(5, 0, 0, 2), (3, 0, 0, 1)], 0, "5 passed, 0 failed"),
    (1, [(5, 1, 1, 1), (3, 0, 0, 0)], 1, "5 passed, 2 failed"),
    (2, [(5, 0, 0, 0)], 1, "5 passed, 1 failed"),       # broke off
    (5, [(0, 0, 0, 0)], 1, "0 passed, 1 failed"),       # nothing ran
    (0, [(2, 0, 0, 2)], 1, "0 passed, 0 failed")])
def test_the_last_line_is_passed_and_failed_and_nothing_else(tmp_path, status, suites, code, last):
    found, lines = summary(tmp_path, status, *suites)
    assert (found, lines[-1]) == (code, last)
    skipped = sum(suite[3] for suite in suites)
    assert lines[:-1] == ([f"{skipped} skipped, for the reasons above"] if skipped else [])


def test_a_run_without_a_report_has_failed(tmp_path):
    (tmp_path / "report-0.xml").write_text("<testsuites>")
    done = subprocess.run([sys.executable, ROOT / "tests/lib/summary.py", "0",
                           tmp_path / "report-0.xml", tmp_path / "none.xml"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "0 passed, 1 failed"
