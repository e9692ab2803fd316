"""The same input gives the same data files, byte for byte, with however many workers, after a kill, in other splits.

That other runners give the same is shown on a year of flights, in examples/test_year.py.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable

import highbeam
from highbeam.schemas.layout import layout

from tests.support.jobs import DAY, csv_lines, make_job, save_model, shuffled, write_night

N = 60_000
BAD = 60
PAGE = Path(__file__).resolve().parents[2] / "docs" / "runners.md"

# What the page calls a way, and the flags of it.
WAYS = {
    "FnApiRunner, 1 thread": ["--direct_num_workers=1"],
    "FnApiRunner, 2 threads": ["--direct_num_workers=2"],
    "FnApiRunner, 4 threads": ["--direct_num_workers=4"],
    "FnApiRunner, in memory": ["--direct_running_mode=in_memory"],
    "FnApiRunner, 2 processes": ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("same")
    lines = csv_lines(k // 2 for k in shuffled(N))  # every key twice, in files apart
    lines[:: N // BAD] = [f"x{line}" for line in lines[:: N // BAD]]
    for number in range(3):
        write_night(folder, lines[number::3], name=f"{number}.csv")
    save_model(folder, 1)
    return folder


def run(folder: Path, name: str, *flags: str, overrides: tuple[str, ...] = ()) -> tuple[highbeam.Job, dict[str, str]]:
    """Runs into a table of its own; gives the job, and digests of the data files by name and of the rejects."""
    job = make_job(folder, model=False, overrides=[f"output.delta.path=tables/{name}", *overrides])
    manifest = highbeam.run(job, DAY, beam_flags=flags)
    assert (manifest.status, manifest.read, manifest.rejected) == ("published", N, BAD), manifest.message
    table = Path(layout(job).table)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in table.glob("date=*/*.parquet")}
    assert set(files) == {file.rpartition("/")[2] for file in manifest.files}
    turned_away = highbeam.rejects(job, DAY).read_all()
    assert turned_away.num_rows == BAD
    return job, {**files, "rejects": hashlib.sha256(repr(turned_away.to_pylist()).encode()).hexdigest()}


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, str]:
    return run(folder, "expected")[1]


@pytest.mark.parametrize("way", WAYS)
def test_same_bytes_however_it_runs(folder: Path, expected: dict[str, str], way: str) -> None:
    name = hashlib.sha256(way.encode()).hexdigest()[:8]
    assert run(folder, name, *WAYS[way])[1] == expected
    assert f"| {way} | made-up | {N:,} | {N - BAD:,} | {BAD} | the same |" in PAGE.read_text("utf-8")


def test_same_bytes_after_a_kill(folder: Path, expected: dict[str, str]) -> None:
    job = make_job(folder, model=False, overrides=["output.delta.path=tables/killed"])
    command = [sys.executable, "-m", "highbeam.cli", "run", str(folder), "--date", DAY]
    command += ["--set", "output.delta.path=tables/killed", "--", "--direct_num_workers=1"]
    staging = Path(layout(job).state) / "staging"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list(staging.glob("*/*.staged"))) < 2:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert 2 <= len(list(staging.glob("*/*.staged"))) < highbeam.check(job, DAY).splits
    assert not highbeam.runs(job)
    assert run(folder, "killed")[1] == expected


def test_same_predictions_across_split_sizes(folder: Path) -> None:
    tables = {}
    for size in (64 << 10, 1 << 20, 64 << 20):
        job, _ = run(folder, f"split-{size}", overrides=(f"source.split_size={size}",))
        tables[size] = DeltaTable(layout(job).table).to_pyarrow_table(columns=["k", "y", "g", "_file", "_offset"])
    first = next(iter(tables.values()))
    keys = first.sort_by([("k", "ascending"), ("_file", "ascending"), ("_offset", "ascending")])
    assert first.equals(keys)
    for table in tables.values():
        assert table.drop_columns(["y"]).equals(first.drop_columns(["y"]))
        np.testing.assert_allclose(table["y"].to_numpy(), first["y"].to_numpy(), rtol=1e-6)
    assert pa.compute.count_distinct(first["k"]).as_py() > N // 2 - BAD
