"""What reading costs, kind by kind, against what reads such files alone; and what dirty rows cost a run.

Reading is measured as plain functions in one thread, without Beam and TensorFlow; runs as `highbeam run` counts its
seconds, from planning to the manifest.

python benchmarks/sources.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pyarrow as pa
import pyarrow.json as pajson
import pyarrow.parquet as pq

from benchmarks.bench import make_ready
from benchmarks.flights import KEY, NAMES, NUMBERS
from benchmarks.inputs import csv_file, dirty_file, json_file, log_file, parquet_file
from benchmarks.programs import HERE, PROGRAMS, Work
from benchmarks.report import aligned
from highbeam.schemas.batch import Batch
from highbeam.schemas.contract import Column, Contract
from highbeam.schemas.sources import Source
from highbeam.transforms.formats.choose import format_of
from highbeam.transforms.plan_splits import plan_splits
from highbeam.transforms.stage import stage
from highbeam.transforms.validate import validate

FLIGHTS = {KEY: "int64", **dict.fromkeys(NUMBERS, "float32"), **dict.fromkeys(NAMES, "string")}
STORED = {KEY: "int64", **dict.fromkeys(NUMBERS, "int64"), **dict.fromkeys(NAMES, "string")}
"""The types that the Parquet file has: with these nothing is cast, and what is left is reading."""
LOG = {"host": "string", "path": "string", "status": "int32", "bytes": "int64", "user_agent": "string"}
ARROW = {"int64": pa.int64(), "float32": pa.float32(), "string": pa.string()}


@dataclass(frozen=True)
class Target:
    """What a ratio of two times must keep to.

    Attributes:
      what: the sentence.
      found: the ratio.
      limit: most it may be.
    """

    what: str
    found: float
    limit: float

    def line(self) -> str:
        """As the report shows it."""
        verdict = "pass" if self.found <= self.limit else "FAIL"
        return f"{verdict}  {self.what}: {self.found:.2f}, at most {self.limit:g}"


def contract(columns: dict[str, str]) -> Contract:
    """A contract whose numbers, but the key, may not be negative."""
    spelled = {name: {"type": type, **({"min": 0} if type == "float32" else {})} for name, type in columns.items()}
    return Contract({name: Column.model_validate(spec) for name, spec in spelled.items()}, (KEY,) * (KEY in columns))


def read(kind: str, path: Path, columns: dict[str, str], whole: bool = False, **options: str) -> Callable[[], int]:
    """Reads a file as a run does, and stages it if `whole`; gives the records read."""
    source = Source.model_validate({kind: {"path": str(path), **options}})
    what, format = contract(columns), format_of(source)

    def read_all() -> int:
        records = 0
        for split in plan_splits(source, what, str(path.parent), None):
            batches: Iterable[Batch] = format.read(split, what, source.max_record_bytes)
            if whole:
                batches = valid = [validate(batch, what) for batch in batches]
                stage(valid, what.key, format, source.max_record_bytes)
            records += sum(batch.read for batch in batches)
        return records

    return read_all


def medians(ways: Mapping[str, Callable[[], float]], times: int = 3, seconds: float = 2.0) -> dict[str, float]:
    """Median seconds of each way, taken in rounds of every way once: so all meet the same moods of the machine.

    Args:
      ways: name -> does the work and gives the seconds it took.
      times: rounds; ways that are soon over take part in more, until one has spent `seconds`.
      seconds: see there.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    while open_ways := [name for name in ways if len(found[name]) < times or sum(found[name]) < seconds]:
        for name in open_ways:
            found[name].append(ways[name]())
    return {name: statistics.median(took) for name, took in found.items()}


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """What does the work and gives the seconds it took."""

    def timed_work() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return timed_work


def measure(folder: Path, rows: int) -> tuple[dict[str, float], list[Target]]:
    """Seconds of each way, and the targets."""
    schema = pa.schema([(name, ARROW[type]) for name, type in FLIGHTS.items()])
    as_json, as_parquet = json_file(folder, rows), parquet_file(folder, rows)
    options = {
        "parse_options": pajson.ParseOptions(explicit_schema=schema),
        "read_options": pajson.ReadOptions(use_threads=False, block_size=1 << 20),
    }
    ways: dict[str, Callable[[], object]] = {
        "CSV, read": read("csv", csv_file(folder, rows), FLIGHTS),
        "CSV, read and staged": read("csv", csv_file(folder, rows), FLIGHTS, whole=True),
        "the same, 1 % of rows dirty": read("csv", dirty_file(folder, rows, 1), FLIGHTS, whole=True),
        "the same, 30 % of rows dirty": read("csv", dirty_file(folder, rows, 30), FLIGHTS, whole=True),
        "JSON Lines": read("json", as_json, FLIGHTS),
        "JSON Lines, pyarrow.json alone": lambda: pajson.read_json(str(as_json), **options),
        "combined log": read("log", log_file(folder, rows), LOG, format="combined"),
        "Parquet": read("parquet", as_parquet, STORED),
        "Parquet, numbers cast to float32": read("parquet", as_parquet, FLIGHTS),
        "Parquet, pyarrow.parquet alone": lambda: pq.ParquetFile(as_parquet, read_dictionary=list(NAMES)).read(
            list(FLIGHTS), use_threads=False
        ),
    }
    took = medians({name: timed(way) for name, way in ways.items()})
    files = {"": csv_file(folder, rows)} | {f", {p} % dirty": dirty_file(folder, rows, p) for p in (1, 30)}
    took |= medians({f"highbeam run{name}": partial(run, folder, file) for name, file in files.items()})
    return took, targets(took)


def run(folder: Path, file: Path) -> float:
    """Seconds of a whole run over a file, of which every row may be dirty."""
    work = Work(folder)
    work.clear("highbeam")
    command = [*PROGRAMS["highbeam"].command(work, 0), "--set", "rejects.max_fraction=1"]
    settings = {**os.environ, **work.settings(0), "BENCH_INPUT": file.name}
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return float(json.loads(done.stdout)["seconds"])


def targets(took: dict[str, float]) -> list[Target]:
    """The targets, from the seconds of each way."""
    clean = took["highbeam run"]
    return [
        Target("a run with 1 % dirty rows / clean", took["highbeam run, 1 % dirty"] / clean, 1.5),
        Target("a run with 30 % dirty rows / clean", took["highbeam run, 30 % dirty"] / clean, 4),
        Target("JSON Lines / pyarrow.json", took["JSON Lines"] / took["JSON Lines, pyarrow.json alone"], 2),
        Target("combined log / CSV", took["combined log"] / took["CSV, read"], 10),
        Target("Parquet / pyarrow.parquet", took["Parquet"] / took["Parquet, pyarrow.parquet alone"], 1.1),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="sources", description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=1_000_000, help="records of each file")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder of the files")
    options = parser.parse_args(argv)
    make_ready(Work(options.work.resolve()))
    took, found = measure(options.work.resolve(), options.rows)
    head = ["one thread", "seconds", "ns/row", "rows/s"]
    rows = [
        [name, f"{seconds:.2f}", f"{seconds / options.rows * 1e9:,.0f}", f"{options.rows / seconds:,.0f}"]
        for name, seconds in took.items()
    ]
    print(*aligned([head, *rows]), "", *[target.line() for target in found], sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
