"""Runs every fuzzer over its kept seeds and then for a short while on new input."""
import os
import pathlib
import re
import subprocess

import pytest

from tests.conftest import ROOT

FOLDER = pathlib.Path(os.environ.get("STREAMHOLD_FUZZ", ROOT / "build/fuzz")) / "fuzz"
SOURCES = sorted(path.stem for path in (ROOT / "tests/fuzz").glob("fuzz_*.c"))
SECONDS = 600 if os.environ.get("STREAMHOLD_LONG") else 8


@pytest.mark.parametrize("name", SOURCES)
def test_fuzzer(name, folder):
    program = FOLDER / name
    assert program.exists(), f"{name} is not built"
    seeds = ROOT / "tests/fuzz/corpus" / name.removeprefix("fuzz_")
    new = folder / "new"
    new.mkdir()
    corpus = [str(new)] + ([str(seeds)] if seeds.is_dir() else [])
    done = subprocess.run(
        [str(program), f"-max_total_time={SECONDS}", "-rss_limit_mb=512",
         "-malloc_limit_mb=64", "-timeout=5",
         "-print_final_stats=1", f"-artifact_prefix={folder}/", *corpus],
        cwd=folder, capture_output=True, text=True, errors="replace",
        timeout=SECONDS + 120)
    assert done.returncode == 0, done.stderr[-8000:]
    runs = int(re.search(r"number_of_executed_units: (\d+)", done.stderr).group(1))
    # A signature under sanitizers, on a machine that does other things as well, is slow.
    assert runs > 200, "the fuzzer hardly ran"
