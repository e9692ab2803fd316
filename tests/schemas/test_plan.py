"""score_id: what changes it and what does not; plans and manifests survive storage."""

from __future__ import annotations

import pytest

from highbeam.schemas.job_file import parse_job
from highbeam.schemas.manifest import Manifest, manifest_of
from highbeam.schemas.plan import Plan, score_id
from highbeam.schemas.split import Split

from .test_job_file import GOOD

SPLITS = (Split(0, "/jobs/delays/a.csv", "a.csv", 9, "m1", 2, 9, None, ("a", "b")),)
MODELS = {"main": {"model": "d1", "transform": None, "backend": "tensorflow"}}


def identity(text: str = GOOD, date: str = "2013-12-01", splits=SPLITS, models=MODELS, code=None) -> str:
    return score_id(parse_job(text, "/jobs/delays/job.yaml"), date, splits, models, code or {})


@pytest.mark.parametrize(
    "change",
    [
        {"text": GOOD.replace("min: 0", "min: 1")},
        {"text": GOOD.replace("[carrier]", "[distance]")},
        {"text": GOOD.replace("key: flight_id", "key: {columns: flight_id, duplicates: reject}")},
        {"text": GOOD.replace("version: 3", "version: 3, signature: other")},
        {"date": "2013-12-02"},
        {"splits": (Split(0, "/jobs/delays/a.csv", "a.csv", 9, "m2", 2, 9, None, ("a", "b")),)},
        {"models": {"main": {"model": "d2", "transform": None, "backend": "tensorflow"}}},
        {"code": {"postprocess": "d3"}},
    ],
)
def test_what_decides_the_predictions_changes_the_score_id(change: dict) -> None:
    assert identity(**change) != identity()


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "rejects: {max_fraction: 0.5}\n",
        GOOD + "beam: {direct_num_workers: 4}\n",
        GOOD.replace("path: predictions", "path: elsewhere"),
        GOOD.replace("version: 3", "version: latest"),
        GOOD.replace("name: delays", "name: other"),
        GOOD.replace("source:\n", "source:\n  min_rows: 0\n"),
    ],
)
def test_what_does_not_decide_them_leaves_it(text: str) -> None:
    assert identity(text) == identity()


def test_a_job_moved_to_another_folder_keeps_its_score_id() -> None:
    moved = (Split(0, "/elsewhere/a.csv", "a.csv", 9, "m1", 2, 9, None, ("a", "b")),)
    assert identity(splits=moved) == identity()


def test_plan_and_manifest_survive_storage() -> None:
    job = parse_job(GOOD, "/jobs/delays/job.yaml")
    plan = Plan(job, "2013-12-01", "20131202T010203Z-ab12", identity(), 1, SPLITS, {"name": "main", "version": "3"})
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.job.folder == job.folder
    assert again.path == f"/jobs/delays/predictions/_highbeam/staging/{plan.score_id}/plan-{plan.launch}.json"
    manifest = manifest_of(plan, "refused", reason="over_budget", rejected_by={"read": {"bad_value": 3}})
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert manifest.exit_code == 3
