"""Whole runs whose rows get columns of side tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import highbeam
from highbeam.pipelines.analyze import analyze
from highbeam.pipelines.planning import make_plan
from highbeam.schemas.errors import UsageError
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import load_job
from highbeam.schemas.layout import layout
from highbeam.schemas.plan import Plan

from tests.support.jobs import DAY, make_job, write_night

JOB = """\
name: joined
source: {csv: {path: "data/{date}/*.csv"}, split_size: 65536}
columns: {k: int64, p: string}
join:
  parts:
    csv: {path: parts.csv}
    by: p
    columns: {g: {type: string, values: [a, b, c]}, x: {type: float32, from: size, min: 0}}
    missing: reject
key: k
model: {path: models}
output: {delta: {path: table}, passthrough: [p, g]}
rejects: {max_fraction: 0.5}
"""
PARTS = ["p0,a,1.5", "p1,b,2.5", "p2,c,-1"]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def parts(folder: Path, *lines: str) -> None:
    (folder / "parts.csv").write_text("\n".join(["p,g,size", *lines]) + "\n")


def job_of(folder: Path) -> Job:
    job = make_job(folder, JOB)
    path = write_night(folder, [f"{k},p{k % 4}" for k in range(400)])
    path.write_text(path.read_text().replace("k,g,x\n", "k,p\n"))
    return job


def published(job: Job) -> pa.Table:
    return DeltaTable(layout(job).table).to_pyarrow_table(columns=["k", "p", "g", "y"]).sort_by("k")


def test_a_night_from_its_files_to_a_replay(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    parts(tmp_path, *PARTS)
    manifest = highbeam.run(job, DAY)
    assert manifest.rejected_by == {"validate": {"below_min": 100, "join_missing": 100}}
    assert manifest.predicted == 200
    assert published(job).slice(0, 2).to_pylist() == [
        {"k": 0, "p": "p0", "g": "a", "y": 4.0},
        {"k": 1, "p": "p1", "g": "b", "y": 6.0},
    ]
    assert highbeam.run(job, DAY).status == "already_published"
    parts(tmp_path, *PARTS[:2], "p2,c,1", "p3,c,0.25")
    again = highbeam.replay(job, DAY)
    assert (again.predicted, again.rejected) == (400, 0)
    assert published(job).slice(2, 2).to_pylist() == [
        {"k": 2, "p": "p2", "g": "c", "y": 3.0},
        {"k": 3, "p": "p3", "g": "c", "y": 1.5},
    ]
    table = pa.table({"k": [7, 8], "p": ["p3", "p9"]})
    rows, rejected = highbeam.predict(job, table)
    assert rows.to_pylist() == [{"k": 7, "p": "p3", "g": "c", "y": 1.5}]
    assert rejected["reason"].to_pylist() == ["join_missing"]


def test_a_wrong_side_table_publishes_nothing(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    parts(tmp_path, *PARTS, PARTS[0])
    manifest = highbeam.run(job, DAY)
    assert (manifest.status, manifest.reason) == ("refused", "side_table")
    assert 'the key "p0" of p stands there twice' in (manifest.message or "")
    (tmp_path / "parts.csv").unlink()
    with pytest.raises(UsageError, match=r"join\.parts: .*parts\.csv: no such file"):
        highbeam.run(job, DAY)


ANALYZED = """\
name: analyzed
source: {csv: {path: "*.rows.csv"}}
columns: {k: int64, p: string}
join:
  parts: {csv: {path: parts.csv}, by: p, columns: {x: {type: float32, from: size}}}
training: {columns: {late: int64}}
key: k
transform: {preprocessing_fn: "preprocessing.py:fn", path: transforms}
model: {path: models}
output: {delta: {path: table}}
"""
FUNCTION = """\
import tensorflow_transform as tft


def fn(inputs):
    return {"x": inputs["x"] - tft.mean(inputs["x"]), "late": inputs["late"]}
"""


def test_training_sees_the_columns_that_scoring_sees(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(ANALYZED)
    (tmp_path / "preprocessing.py").write_text(FUNCTION)
    (tmp_path / "a.rows.csv").write_text("k,p,late\n1,p0,0\n2,p1,1\n3,p0,1\n")
    parts(tmp_path, *PARTS)
    job = load_job(str(tmp_path))
    analyze(job, examples=str(tmp_path / "examples"))
    assert pq.read_table(tmp_path / "examples")["x"].to_pylist() == pytest.approx([-1 / 3, 2 / 3, -1 / 3])
    assert analyze(job).kept == 3
    parts(tmp_path, "p0,a,2.5", "p1,b,2.5")
    assert analyze(job).kept == 0


def test_a_plan_carries_the_side_tables(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    parts(tmp_path, *PARTS)
    plan, _ = make_plan(job, DAY)
    stored = Plan.from_json(plan.to_json())
    assert [side.digest for side in stored.sides] == [side.digest for side in plan.sides]
    assert stored.sides[0].splits == plan.sides[0].splits
