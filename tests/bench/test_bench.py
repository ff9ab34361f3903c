"""The benchmark's driver works and every delivery that it saw accepted is stored. No speed is
judged here: rates of a busy machine say nothing."""
import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys
import types

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


def program(name):
    """A benchmark's driver as a module; its name has no ending."""
    loader = importlib.machinery.SourceFileLoader(f"bench_{name}", str(ROOT / "tests/bench" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def rows(**grown):
    """Measured figures up to 1e7 stored events; grown: {figure: ratio} at sizes."""
    plain = {"page_us": 1700.0, "walk_ms": 1.7, "ingest_us": 90.0, "p99_us": 3300.0,
             "ingest_cpu_us": 98.0}
    sizes = {"e3": 1_000, "e5": 100_000, "e6": 1_000_000, "e7": 10_000_000}
    return {size: {name: value * grown.get(at, {}).get(name, 1.1 if size > 1000 else 1)
                   for name, value in plain.items()} for at, size in sizes.items()}


@pytest.mark.parametrize("grown, told", [
    ({}, []),
    ({"e6": {"page_us": 1.49, "p99_us": 9}}, []),           # p99 is told and not judged
    ({"e7": dict.fromkeys(("page_us", "walk_ms", "ingest_us", "ingest_cpu_us"), 9)}, []),
    ({"e6": {"page_us": 1.51}}, ["page_us grew by 1.51"]),
    ({"e6": {"ingest_us": 1.5}}, ["ingest_us grew by 1.50"]),
    ({"e5": {"walk_ms": 2}, "e6": {"ingest_cpu_us": 3}},
     ["walk_ms grew by 2.00", "ingest_cpu_us grew by 3.00"]),
], ids=["good", "just good", "bad only at 1e7", "bad at 1e6", "at the limit", "bad before"])
def test_growth_is_judged_up_to_a_million_and_the_exit_status_says_so(
        monkeypatch, capsys, grown, told):
    """The gate of the benchmark, on figures that are given."""
    deliver = program("deliver")
    measured = rows(**grown)

    class Given(deliver.Run):
        def __init__(self, arguments):      # pylint: disable=super-init-not-called
            self.arguments, self.problems, self.work = arguments, [], pathlib.Path("/nonexistent")
            self.corpus = types.SimpleNamespace(make=lambda *_: None)

        def growth(self):
            return measured

        def clean(self):
            pass

    monkeypatch.setattr(deliver, "Run", Given)
    monkeypatch.setattr(sys, "argv", ["deliver", "--part", "growth", "--long", "--json"])
    arguments = deliver.read_arguments()
    assert arguments.growth_max == 1.5 and arguments.sizes == list(measured)
    status = deliver.run(arguments)
    answer, errors = json.loads((out := capsys.readouterr()).out), out.err
    assert status == (1 if told else 0)
    assert [text.split(", allowed")[0] for text in answer["problems"]] == told
    assert all(f"deliver: {text}" in errors for text in answer["problems"])
    judged = [row for size, row in measured.items() if size <= 1_000_000]
    assert answer["grown"] == {
        name: max(row[name] for row in judged) / judged[0][name]
        for name in ("page_us", "walk_ms", "ingest_us", "ingest_cpu_us")}


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


def test_a_slow_disk_is_slow_and_loses_nothing(plain):
    """No connection has more than one delivery in a sync that takes 20 ms longer."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/bench/slow_disk"), "--build", str(plain), "--work",
         str(ROOT / "build" / "bench-smoke"), "--slices", "1", "--seconds", "0.5", "--delays", "20",
         "--connections", "1,16", "--gate", "share20_16=2", "--json"],
        capture_output=True, text=True, timeout=120)
    found = json.loads(done.stdout)["20"]
    assert list(found) == ["1", "16"]
    for row in found.values():
        assert 0 < row["share"] <= 1 and row["p50_ms"] >= 20
    # A gate beyond what can be is missed, and nothing else goes wrong.
    assert done.returncode == 1 and "share20_16" in done.stderr.splitlines()[-1]
