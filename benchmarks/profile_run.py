"""Where Highbeam's time goes: the steps of a run as plain functions, one thread, one split after another.

python benchmarks/profile_run.py [--rows 700000] [--functions STEP]

Made of the pure functions behind the PTransforms, so Beam itself is not in the figures; 700,000 rows are one split of
32 MiB. Run `benchmarks/bench.py --only highbeam` once before: it prepares graph and model.
"""

from __future__ import annotations

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import argparse
import cProfile
import pstats
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tensorflow as tf

from benchmarks.flights import write_flights
from benchmarks.programs import DATE, HERE, Work
from benchmarks.report import aligned
from highbeam import storage
from highbeam.models.backends.base import Backend
from highbeam.models.score import score_batch
from highbeam.models.scorer import Scorer, load
from highbeam.pipelines.dry_run import in_temporary_folder
from highbeam.pipelines.planning import make_plan
from highbeam.pipelines.run import run as _run  # noqa: F401 - what a run imports
from highbeam.schemas.batch import Batch
from highbeam.schemas.job_file import load_job
from highbeam.schemas.plan import Plan
from highbeam.schemas.split import Split
from highbeam.transforms.formats.choose import format_of
from highbeam.transforms.merge import merge
from highbeam.transforms.publish import publish
from highbeam.transforms.ranges import order_columns, plan_ranges
from highbeam.transforms.read import read_split
from highbeam.transforms.stage import stage
from highbeam.transforms.validate import validate

ROW_STEPS = ("read", "validate", "predict", "stage", "merge")
ONCE_STEPS = ("import", "plan", "load model", "first batch", "publish")


class Clock:
    """Adds up the time of each step; profiles the functions of one of them.

    Args:
      profiled: the step to profile, or None.
    """

    def __init__(self, profiled: str | None = None) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu_seconds: dict[str, float] = defaultdict(float)
        self.profile = cProfile.Profile()
        self._profiled = profiled

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times what is done inside."""
        if name == self._profiled:
            self.profile.enable()
        start, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start, time.process_time() - cpu)
            self.profile.disable()

    def add(self, name: str, seconds: float, cpu_seconds: float) -> None:
        """Adds to a step's time."""
        self.seconds[name] += seconds
        self.cpu_seconds[name] += cpu_seconds


def read_timed(split: Split, plan: Plan, clock: Clock) -> Iterator[Batch]:
    """The Batches of a split; only the reading is timed, not what is done between two of them."""
    batches = read_split(split, plan)
    while True:
        with clock.step("read"):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def score_split(split: Split, plan: Plan, scorer: Scorer[Backend], clock: Clock) -> None:
    """Reads, scores and stages a split."""
    job, done = plan.job, []
    for batch in read_timed(split, plan, clock):
        with clock.step("validate"):
            sound = validate(batch, job.contract)
        with clock.step("predict"):
            done.append(score_batch(sound, scorer, job.contract.key, job.output.passthrough))
    with clock.step("stage"):
        staged = stage(done, job.contract.key, format_of(job.source), job.source.max_record_bytes)
        storage.put(plan.staged(split.number), staged)


def profile(plan: Plan, scorer: Scorer[Backend], clock: Clock) -> None:
    """Takes a plan through all steps."""
    storage.put(plan.path, plan.to_json())
    for split in plan.splits:
        score_split(split, plan, scorer, clock)
    with clock.step("merge"):
        paths = [plan.staged(number) for number in range(len(plan.splits))]
        ranges = plan_ranges(paths, order_columns(plan.job.contract))
        reports = [merge(plan, ranges, number) for number in range(len(ranges))]
    with clock.step("publish"):
        publish(plan.path, reports)


def warm_up(plan: Plan, scorer: Scorer[Backend], clock: Clock) -> None:
    """Scores one Batch: the first call of a graph costs more than any later one."""
    job = plan.job
    batch = validate(next(read_split(plan.splits[0], plan)), job.contract)
    with clock.step("first batch"):
        score_batch(batch, scorer, job.contract.key, job.output.passthrough)


def table(clock: Clock, rows: int) -> list[str]:
    """Nanoseconds a row of the steps that rows pass, then the seconds of what is done once."""
    total = sum(clock.seconds[name] for name in ROW_STEPS)
    head = ["each row", "ns/row", "CPU ns/row", "share"]
    passed = [
        [name, f"{seconds / rows * 1e9:,.0f}", f"{clock.cpu_seconds[name] / rows * 1e9:,.0f}", f"{seconds / total:.0%}"]
        for name, seconds in ((name, clock.seconds[name]) for name in ROW_STEPS)
    ]
    cpu = sum(clock.cpu_seconds[name] for name in ROW_STEPS)
    passed.append(["all", f"{total / rows * 1e9:,.0f}", f"{cpu / rows * 1e9:,.0f}", "100%"])
    once = [[name, _seconds(clock.seconds[name]), f"{clock.cpu_seconds[name]:.2f}", ""] for name in ONCE_STEPS]
    return aligned([head, *passed, [""] * 4, ["once", "seconds", "CPU s", ""], *once])


def _seconds(found: float) -> str:
    return f"{found:.2f}" if found else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="profile_run", description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=700_000, help="flights to score")
    parser.add_argument("--functions", choices=ROW_STEPS, help="also show the functions a step spends its time in")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder of inputs and models")
    options = parser.parse_args(argv)
    clock = Clock(options.functions)
    clock.add("import", 0.0, time.process_time())
    tf.config.threading.set_intra_op_parallelism_threads(1)
    work = Work(options.work.resolve())
    write_flights(work.flights(options.rows), options.rows)
    os.environ.update(work.settings(options.rows))
    with clock.step("plan"):
        plan, scoring = make_plan(load_job(str(HERE / "job.yaml")), DATE)
    with clock.step("load model"):
        scorer = load(scoring)
    with in_temporary_folder(plan) as apart:
        warm_up(apart, scorer, clock)
        profile(apart, scorer, clock)
    print(*table(clock, options.rows), sep="\n")
    if options.functions:
        pstats.Stats(clock.profile).sort_stats("tottime").print_stats(25)
    return 0


if __name__ == "__main__":
    sys.exit(main())
