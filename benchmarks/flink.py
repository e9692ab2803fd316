"""Highbeam on FnApiRunner and on a Flink cluster of this machine, on the same work and the same cores.

HIGHBEAM_FLINK=FOLDER python benchmarks/flink.py --rows N [--runs 3]

FOLDER holds the jars of tests/support/flink_pom.xml. The cluster is started before, and not counted; the command's own
start and that of the job's Python worker are.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bench import make_ready
from benchmarks.compare import expect_rows
from benchmarks.flights import write_flights
from benchmarks.measure import run_process
from benchmarks.programs import HERE, PROGRAMS, Work

from tests.support.flink import Cluster, cluster


def main(argv: Sequence[str] | None = None) -> int:
    """Runs both in turns; prints the medians, and what crossed Flink's exchanges."""
    parser = argparse.ArgumentParser(prog="flink", allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, default=HERE / "work")
    options = parser.parse_args(argv)
    work = Work(options.work.resolve())
    make_ready(work)
    write_flights(work.flights(options.rows), options.rows, False)
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder), slots=cores) as flink:
        ways = {"FnApiRunner": [f"--direct_num_workers={cores}"], "Flink cluster": flink.flags(cores)}
        took: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.runs):
            for way, flags in ways.items():
                took[way].append(seconds(work, options.rows, flags))
                print(f"{way:14}  {options.rows:,} rows  {took[way][-1]:.2f} s", flush=True)
        report(took, crossed(flink))
    return 0


def seconds(work: Work, rows: int, flags: Sequence[str]) -> float:
    """The wall time of one whole process, from a clean start; every row is seen to be written."""
    work.clear("highbeam")
    command = [*PROGRAMS["highbeam"].command(work, rows), "--", *flags]
    cost = run_process(command, work.folder, work.folder / "highbeam.log", work.settings(rows))
    expect_rows("Highbeam", work.output("highbeam"), rows)
    return cost.seconds


def crossed(flink: Cluster) -> tuple[int, int]:
    """Records and bytes that all vertices of the last job gave to others."""
    job = max(flink.ask("jobs/overview")["jobs"], key=lambda job: job["start-time"])
    metrics = [vertex["metrics"] for vertex in flink.ask(f"jobs/{job['jid']}")["vertices"]]
    return sum(m["write-records"] for m in metrics), sum(m["write-bytes"] for m in metrics)


def report(took: dict[str, list[float]], moved: tuple[int, int]) -> None:
    """Prints the medians and their ratio."""
    middle = {way: statistics.median(times) for way, times in took.items()}
    print(*(f"{way}: {value:.1f} s" for way, value in middle.items()), sep="\n")
    print(f"Flink takes {middle['Flink cluster'] / middle['FnApiRunner']:.2f} times as long")
    print(f"Across Flink's exchanges: {moved[0]:,} records, {moved[1]:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
