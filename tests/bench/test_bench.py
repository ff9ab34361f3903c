"""The benchmark's driver works and every delivery that it saw accepted is stored. No speed is
judged here: rates of a busy machine say nothing."""
import json
import subprocess
import sys

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
