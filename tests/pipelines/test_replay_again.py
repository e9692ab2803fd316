"""Replays after replays: what was mended once stays mended, whatever became of the replay that did it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

import highbeam
from highbeam.pipelines.rejects import export_rejects, reject_lines
from highbeam.schemas.job import Job

from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, write_night
from tests.support.replays import MENDED, published

N = 50
TWO_BAD = {3: "3,q,1", 4: "4,q,1"}


def night_of(folder: Path, *overrides: str, model: bool = True) -> Job:
    """A night of which two rows are rejected."""
    write_night(folder, [TWO_BAD.get(at, line) for at, line in enumerate(csv_lines(range(N)))])
    return make_job(folder, JOB, model, overrides)


def edited(job: Job, file: Path, raw: str, rows: int = 1) -> str:
    """An export of the first rejects, of which the first says something else now."""
    export_rejects(job, str(file), DAY)
    lines = file.read_text().splitlines()[:rows]
    lines[0] = json.dumps({**json.loads(lines[0]), "raw": raw})
    file.write_text("\n".join(lines))
    return str(file)


def test_a_replay_refused_for_the_budget_is_published_when_that_is_raised(tmp_path: Path) -> None:
    strict = night_of(tmp_path, "rejects.max_fraction=0")
    assert highbeam.run(strict, DAY).reason == "over_budget"
    export = edited(strict, tmp_path / "e.jsonl", "3,a,1")
    half = highbeam.replay(strict, DAY, export=export)
    assert (half.status, half.reason, half.rejected) == ("refused", "over_budget", 1)
    assert "raise the budget and use highbeam replay again" in half.message
    still = highbeam.replay(strict, DAY)
    assert (still.status, still.reason) == ("refused", "nothing_recovered")
    manifest = highbeam.replay(make_job(tmp_path, JOB, False, ["rejects.max_fraction=0.1"]), DAY)
    assert (manifest.status, manifest.attempt, manifest.parent) == ("published", 1, half.run_id)
    assert (manifest.read, manifest.predicted, manifest.rejected) == (N, N - 1, 1)
    assert published(strict)["k"].to_pylist() == [k for k in range(N) if k != 4]
    assert [reject["key"] for reject in reject_lines(strict, DAY)] == [4]


def test_a_replay_refused_for_too_few_rows_is_published_when_they_are_enough(tmp_path: Path) -> None:
    strict = night_of(tmp_path, "rejects.max_fraction=1", "source.min_rows=100")
    assert highbeam.run(strict, DAY).reason == "too_few_rows"
    export = edited(strict, tmp_path / "e.jsonl", "3,a,1")
    mended = make_job(tmp_path, MENDED, False, ["source.min_rows=100"])
    assert highbeam.replay(strict, DAY, export=export).reason == "too_few_rows"
    assert highbeam.replay(mended, DAY).reason == "too_few_rows"
    still = highbeam.replay(mended, DAY)  # of a parent that has no rejects any more
    assert (still.status, still.reason, still.predicted) == ("refused", "too_few_rows", N)
    manifest = highbeam.replay(make_job(tmp_path, MENDED, False, ["source.min_rows=10"]), DAY)
    assert (manifest.status, manifest.predicted, manifest.rejected) == ("published", N, 0)
    rows = published(mended, ["k", "g"]).to_pylist()
    assert [row["g"] for row in rows[3:5]] == ["a", "q"]


def test_the_same_export_again_is_no_mistake(tmp_path: Path) -> None:
    job = night_of(tmp_path, "rejects.max_fraction=1")
    first = highbeam.run(job, DAY)
    export = edited(job, tmp_path / "e.jsonl", "3,a,1")
    assert highbeam.replay(job, DAY, export=export).status == "published"
    again = highbeam.replay(job, DAY, export=export)
    assert (again.status, again.exit_code, again.attempt) == ("already_published", 0, 2)
    assert [ran.manifest.attempt for ran in highbeam.runs(job)] == [1, 2, 2]
    kept = [row["key"] for row in highbeam.rejects(job, DAY, run_id=first.run_id).read_all().to_pylist()]
    assert kept == ["3", "4"]
    assert [reject["key"] for reject in reject_lines(job, DAY)] == [4]
    never = edited(job, tmp_path / "f.jsonl", "4,a,1").replace("f.jsonl", "never.jsonl")
    Path(never).write_text(json.dumps({"file": "data/nowhere.csv", "offset": 1, "raw": "x"}))
    with pytest.raises(highbeam.UsageError, match=r"did not reject: data/nowhere.csv at 1"):
        highbeam.replay(job, DAY, export=never)


def test_an_edit_as_base64(tmp_path: Path) -> None:
    job = night_of(tmp_path, "rejects.max_fraction=1")
    highbeam.run(job, DAY)
    export = tmp_path / "e.jsonl"
    export_rejects(job, str(export), DAY)
    record = {**json.loads(export.read_text().splitlines()[0]), "raw": None}
    export.write_text(json.dumps({**record, "raw_base64": base64.b64encode(b"3,b,7").decode()}))
    assert highbeam.replay(job, DAY, export=str(export)).replayed["recovered"] == 1
    (found,) = highbeam.lookup(job, [3]).to_pylist()
    assert (found["g"], found["y"]) == ("b", 15.0)


def test_a_version_that_was_overwritten_is_another_model(tmp_path: Path) -> None:
    highbeam.run(night_of(tmp_path, "rejects.max_fraction=1"), DAY)
    save_model(tmp_path, 1, factor=3.0)
    mended = make_job(tmp_path, MENDED, False)
    with pytest.raises(highbeam.UsageError, match="models version 1, and its files are not the same any more"):
        highbeam.replay(mended, DAY)
    assert highbeam.replay(mended, DAY, other_model=True).status == "published"
