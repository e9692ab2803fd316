"""What `check` notes of a job in which no problem was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from highbeam.models.store import Version
from highbeam.pipelines.check import Report, notes
from highbeam.schemas.job_file import parse_job

from tests.support.jobs import JOB

VOID = "transform.version has no effect: model version 2 holds its graph"


@pytest.mark.parametrize(
    ("transform", "holds_graph", "meta", "said"),
    [
        ("transform: {path: t, version: 1}", True, {"transform": 2}, [f"{VOID}, transform 2"]),
        ("transform: {path: t, version: 1}", True, {}, [VOID]),
        ("transform: {path: t, version: 1}", False, {}, []),
        ("transform: {path: t}", True, {"transform": 2}, []),
        ("", True, {"transform": 2}, []),
    ],
)
def test_a_graph_that_is_not_used(
    transform: str, holds_graph: bool, meta: dict[str, Any], said: list[str], tmp_path: Path
) -> None:
    job = parse_job(f"{JOB}{transform}\n", str(tmp_path / "job.yaml"))
    if holds_graph:
        (tmp_path / "transform_fn").mkdir()
        (tmp_path / "transform_fn" / "saved_model.pb").touch()
    found = list(notes(job, Version(str(tmp_path), 2, meta)))
    assert found == said
    text = Report("j", "m", [], {}, False, "table", notes=found).text()
    assert text.count("  note   ") == len(said)
