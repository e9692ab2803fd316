"""Which run's rejects are shown, where none stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from highbeam import storage
from highbeam.pipelines.rejects import none_rejected, reject_lines
from highbeam.schemas.errors import Unpublished
from highbeam.schemas.job import Job
from highbeam.schemas.layout import SUBMITTED, layout
from highbeam.schemas.manifest import Manifest

from tests.support.jobs import DAY, make_job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path, model=False)


def note(job: Job, status: Any, attempt: int, ending: str) -> str:
    """Notes a launch as a run does; gives its id."""
    run_id, model = f"{DAY}-{attempt:04d}-s", {"name": "m", "version": "1"}
    manifest = Manifest(run_id, job.name, DAY, attempt, "s", f"launch {attempt}", status, model, "table")
    storage.put(storage.join(layout(job).runs(DAY), f"{attempt}{ending}"), manifest.to_json())
    return run_id


def said(job: Job, *date: str) -> str:
    with pytest.raises(Unpublished) as found:
        list(reject_lines(job, *date))
    return str(found.value)


def test_nothing_ran(job: Job) -> None:
    assert said(job) == "doubling: nothing ran yet; see highbeam runs"
    note(job, "failed", 1, ".json")
    assert said(job, "2013-12-02") == "doubling: nothing ran for 2013-12-02; see highbeam runs"


def test_a_run_without_rejects_is_named(job: Job) -> None:
    first, second = note(job, "published", 1, ".json"), note(job, "published", 2, ".json")
    assert none_rejected(job) == f"no rows were turned away: 2013-12-01, run {second}"
    assert none_rejected(job, DAY, first) == f"no rows were turned away: 2013-12-01, run {first}"


@pytest.mark.parametrize(
    ("status", "ending", "became"),
    [("failed", ".json", "failed"), ("submitted", SUBMITTED, "was submitted, and has not ended")],
)
def test_the_newest_run_counted_none(job: Job, status: str, ending: str, became: str) -> None:
    note(job, "failed", 1, ".json")
    run = note(job, status, 2, ending)
    for date in ((), (DAY,)):
        assert (
            said(job, *date)
            == f"doubling: the newest run, {run}, {became} before its rejects were counted; see highbeam runs"
        )
