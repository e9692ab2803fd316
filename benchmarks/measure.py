"""Runs a whole process and says what it took.

As a script it is the launcher that does so: python measure.py LOG COMMAND…
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Cost:
    """What a process took, from the interpreter's start to its end.

    Attributes:
      seconds: by the clock.
      cpu_seconds: of all its threads.
      peak: most bytes resident at once.
    """

    seconds: float
    cpu_seconds: float
    peak: int


class ProcessFailed(Exception):
    """A process ended with another status than 0."""


def run_process(command: Sequence[str], folder: Path, log: Path, settings: Mapping[str, str]) -> Cost:
    """Runs a command to its end, from a small launcher.

    The kernel counts the peak of whoever starts a process as the process's own, so the caller itself, which has
    imported this and that, is the wrong one to start it.

    Args:
      command: program and arguments.
      folder: where it runs.
      log: absolute; takes what it prints.
      settings: environment variables added to ours.

    Raises:
      ProcessFailed: with the last lines of the log.
    """
    os.sync()  # or the run would pay for what the one before it left to be written
    launcher = [sys.executable, "-S", __file__, str(log), *command]
    done = subprocess.run(launcher, cwd=folder, env={**os.environ, **settings}, stdout=subprocess.PIPE, check=True)
    status, cost = json.loads(done.stdout)
    if status:
        last = "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])
        raise ProcessFailed(f"{' '.join(command)}\nended with status {status}:\n{last}")
    return Cost(**cost)


def launch(log: str, *command: str) -> tuple[int, Cost]:
    """Starts a process and waits for it; its exit status and what it took."""
    with open(log, "wb") as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def middle(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        median(cost.seconds for cost in costs),
        median(cost.cpu_seconds for cost in costs),
        int(median(cost.peak for cost in costs)),
    )


def quickest(costs: Sequence[Cost]) -> Cost:
    """The run that took least: of two that are to be subtracted, noise only ever adds to either."""
    return min(costs, key=lambda cost: cost.seconds)


if __name__ == "__main__":
    status, cost = launch(*sys.argv[1:])
    print(json.dumps([status, asdict(cost)]))
