"""The benchmark's driver works and every delivery that it saw accepted is stored. No speed is
judged here: rates of a busy machine say nothing."""
import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.alone
def test_ingest_accepts_and_stores_in_little_memory(plain):
    """Under the heaviest load that the benchmark makes the fronts stay below 6 MB each and the
    broker below 20 MB, and what was answered 200 is stored."""
    work = ROOT / "build" / "bench-smoke"       # a real disk; the driver refuses others
    gates = {"rss_api_mb": 6, "rss_webhook_mb": 6, "rss_broker_mb": 20}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/bench/ingest"), "--build", str(plain), "--work",
         str(work), "--connections", "64,256", "--slices", "1", "--seconds", "1", "--no-echo",
         *(word for name, most in gates.items() for word in ("--gate", f"{name}={most}")),
         "--json"], capture_output=True, text=True, timeout=180)
    # 1 is a missed gate, a lost event or an answer that was not 200.
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert {gate["name"]: gate["met"] for gate in found["gates"]} == dict.fromkeys(gates, True)
    for row in found["ingest"].values():
        assert row["stored"] == row["accepted"] > 1000


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
