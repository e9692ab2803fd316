"""Makes graph and model, once: `highbeam analyze`, a model of random weights, `highbeam package`.

python benchmarks/prepare.py FOLDER
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.flights import write_flights
from benchmarks.model import save_composed, save_model
from benchmarks.programs import HERE, Work
from highbeam.pipelines.analyze import analyze
from highbeam.pipelines.package import package
from highbeam.schemas.job_file import load_job

ROWS = 336_776  # a year of flights: every name there is


def prepare(work: Work, rows: int = ROWS) -> None:
    """Leaves a packaged model, and the same with its graph inside, in the work folder; nothing to do if both stand.

    Args:
      work: the folder.
      rows: flights to analyse.
    """
    if work.composed.exists():
        return
    for left in ("transforms", "models", "trained"):
        shutil.rmtree(work.folder / left, ignore_errors=True)
    write_flights(work.flights(rows), rows, work.shuffled)
    os.environ.update(work.settings(rows))
    job = load_job(str(HERE / "job.yaml"))
    analyze(job)
    save_model(work.graph, work.folder / "trained")
    package(job, str(work.folder / "trained"))
    save_composed(work.packaged, work.folder / "trained" / "composed")
    os.replace(work.folder / "trained" / "composed", work.composed)


if __name__ == "__main__":
    prepare(Work(Path(sys.argv[1]).resolve()))
    gc.freeze()  # or Python 3.11 may crash as it exits, after TFT's analysis
