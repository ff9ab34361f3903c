"""The benchmark's driver works and every delivery that it saw accepted is stored. No speed is
judged here: rates of a busy machine say nothing."""
import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def test_ingest_accepts_and_stores(plain, folder):
    work = ROOT / "build" / "bench-smoke"       # a real disk; the driver refuses others
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/bench/ingest"), "--build", str(plain), "--work",
         str(work), "--connections", "16", "--slices", "1", "--seconds", "0.5", "--requests",
         "3000", "--no-status", "--json"],
        capture_output=True, text=True, timeout=120)
    # 1 is a missed gate, a lost event or an answer that was not 200; there are no gates here.
    assert done.returncode == 0, done.stdout + done.stderr
    text = json.dumps(json.loads(done.stdout))
    assert '"accepted"' in text or '"stored"' in text


@pytest.mark.alone
def test_deliver_hands_on_fills_and_judges(plain):
    """Every reader gets every event, pages of filled databases follow one another, and growth is
    judged: no growth at all is less than 0.01, so that everything that is judged is told."""
    work = ROOT / "build" / "bench-smoke"
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/bench/deliver"), "--build", str(plain), "--work",
         str(work), "--events", "500", "--readers", "3", "--sizes", "1000,3000", "--slices", "1",
         "--seconds", "0.2", "--growth-max", "0.01", "--json"],
        capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    assert [row.get("events") for row in answer["readers"]] == [None, 1500]
    assert set(answer["growth"]) == {"1000", "3000"}
    assert answer["prune"]["deleting"]["deleted"] > answer["prune"]["kept"]["deleted"] == 0
    told = [text for text in answer["problems"] if "deleting raised p99" not in text]
    assert [text.split(" grew by ")[0] for text in told] == [
        "page_us", "walk_ms", "ingest_us", "ingest_cpu_us"], answer["problems"]
    assert done.returncode == 1
    assert all(f"deliver: {text}" in done.stderr for text in told)


def test_the_cost_of_the_filter_is_measured_in_one_run(plain):
    """Both kinds of programs serve, and only one of them has a filter."""
    sandbox = {folder: subprocess.run([plain / folder / "streamhold-httpd", "-Q", "sandbox"],
                                      capture_output=True, text=True).stdout
               for folder in ("bin", "bench/open")}
    assert "accept4\tallow" in sandbox["bin"] and sandbox["bench/open"] == "no filter\n"
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/bench/sandbox_cost"), "--build", str(plain), "--work",
         str(ROOT / "build" / "bench-smoke"), "--rounds", "1", "--seconds", "0.3",
         "--connections", "16", "--json"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["with"]["ratio"] > 0 and found["without"]["ratio"] > 0
    assert found["cpu_with_to_without"] == found["with"]["cpu_us"] / found["without"]["cpu_us"]
