"""Highbeam, a hand-written loop and row-by-row Beam on the same work, each as a whole process.

python benchmarks/bench.py --rows N [--runs 3] [--only highbeam,loop,beam] [--shuffled] [--check]
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.compare import Differs, expect_rows, largest_difference
from benchmarks.flights import write_flights
from benchmarks.measure import Cost, ProcessFailed, middle, quickest, run_process
from benchmarks.programs import BARE, HERE, PROGRAMS, Program, Work
from benchmarks.report import lines
from benchmarks.results import HANDFUL, SMALL, Results, keep

CHECK_ROWS = 20_000
KINDS = ("whole", "small", "start_up")
REPEATS = {"highbeam": 6}
"""How often a round runs a program over few rows: half a second is lost in the scatter of two starts of 8 s."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 1 when a program fails or does other work than the others."""
    options = parser().parse_args(argv)
    work = Work(options.work.resolve(), options.shuffled)
    try:
        make_ready(work)
        if options.check:
            return check(work, options.only, min(options.rows, CHECK_ROWS))
        results = measure(work, options.only, options.rows, options.runs)
    except (Differs, ProcessFailed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    name = "results-shuffled.json" if work.shuffled else "results.json"
    print("", *lines(results, keep(results, work.folder / name)), sep="\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("--rows", type=int, default=10_000_000, help="flights of the whole runs")
    parser.add_argument("--runs", type=int, default=3, help="runs of each program; medians are shown")
    parser.add_argument("--only", type=_names, default=list(PROGRAMS), help="programs, separated by commas")
    parser.add_argument("--shuffled", action="store_true", help="ids in no order: sorting has to move every row")
    parser.add_argument("--check", action="store_true", help="measure nothing; compare the predictions on few rows")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder of inputs, models and outputs")
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PROGRAMS]:
        raise argparse.ArgumentTypeError(f"unknown program {unknown[0]!r}; choose from {', '.join(PROGRAMS)}")
    return names


def make_ready(work: Work) -> None:
    """Compiles Highbeam's own modules, and makes graph and model in a process of its own."""
    work.folder.mkdir(parents=True, exist_ok=True)
    package = importlib.util.find_spec("highbeam")
    if package is None or not package.submodule_search_locations:
        raise ProcessFailed("highbeam is not installed in this environment; run `make setup`")
    root = Path(package.submodule_search_locations[0])
    compileall.compile_dir(root, maxlevels=0, quiet=1)
    for room in root.glob("*/__init__.py"):
        compileall.compile_dir(room.parent, quiet=1)
    if not work.composed.exists():
        print("preparing graph and model …", flush=True)
        log = work.folder / "prepare.log"
        run_process([sys.executable, str(HERE / "prepare.py"), str(work.folder)], work.folder, log, {})


def measure(work: Work, names: Sequence[str], rows: int, runs: int) -> Results:
    """Measures in rounds: in each, every program once, so that all meet the same moods of the machine."""
    found: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    for number in range(runs):
        for kind, name, size in plan(names, rows):
            cost = run_program(work, BARE if name == "bare" else PROGRAMS[name], size)
            found[kind, name].append(cost)
            print(f"{number + 1}/{runs}  {name:8}  {size:>11,} rows  {cost.seconds:8.2f} s", flush=True)
    costs = {
        (kind, name): (middle if kind in ("bare", "whole") else quickest)(runs_of)
        for (kind, name), runs_of in found.items()
    }
    whole, small, start_up = ({n: c for (k, n), c in costs.items() if k == kind} for kind in KINDS)
    return Results(rows, runs, costs["bare", "bare"], whole, small, start_up)


def plan(names: Sequence[str], rows: int) -> list[tuple[str, str, int]]:
    """(kind, program, rows) of one round. Row by row, only few rows are to be had in a reasonable time."""
    whole = [("whole", name, rows) for name in names if name != "beam"]
    compared = [name for name in names if name != "loop"] if "beam" in names else []
    sizes = (("small", SMALL), ("start_up", HANDFUL))
    small = [(kind, name, size) for name in compared for _ in range(REPEATS.get(name, 1)) for kind, size in sizes]
    return [("bare", "bare", HANDFUL), *whole, *small]


def run_program(work: Work, program: Program, rows: int) -> Cost:
    """Runs a program over `rows` flights, from a clean start, and sees that it wrote them all."""
    write_flights(work.flights(rows), rows, work.shuffled)
    if program is not BARE:
        work.clear(program.name)
    log = work.folder / f"{program.name}.log"
    cost = run_process(program.command(work, rows), work.folder, log, work.settings(rows))
    if program is not BARE:
        expect_rows(program.title, work.output(program.name), rows)
    return cost


def check(work: Work, names: Sequence[str], rows: int) -> int:
    """Whether all programs predict the same."""
    for name in names:
        run_program(work, PROGRAMS[name], rows)
    outputs = {PROGRAMS[name].title: work.output(name) for name in names}
    print(f"{rows:,} rows: the same flights, predictions at most {largest_difference(outputs):.1e} apart")
    return 0


if __name__ == "__main__":
    sys.exit(main())
