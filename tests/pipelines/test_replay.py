"""Replays of real runs: what was rejected and is mended stands in the night as if it had never been rejected."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

import highbeam
from highbeam import storage
from highbeam.pipelines.rejects import reject_lines
from highbeam.schemas.job import Job
from highbeam.schemas.layout import layout

from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, write_night
from tests.support.replays import (
    DIRTY,
    MENDED,
    SEEN,
    N,
    dirty_lines,
    job_of,
    night,
    published,
    undisturbed,
)


@pytest.fixture(scope="module")
def once_dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published night of which 1,000 rows were rejected, for copies of it."""
    folder = tmp_path_factory.mktemp("dirty")
    night(folder, dirty_lines())
    first = highbeam.run(job_of(folder, model=True), DAY)
    assert (first.status, first.read, first.rejected) == ("published", N, DIRTY)
    return folder


@pytest.fixture
def dirty(once_dirty: Path, tmp_path: Path) -> Job:
    """That night, to do with as a test likes."""
    shutil.copytree(once_dirty, tmp_path, dirs_exist_ok=True)
    return job_of(tmp_path)


def test_rows_mended_by_the_contract_stand_as_if_never_rejected(dirty: Job, tmp_path: Path) -> None:
    before = {row["k"]: row["_run_id"] for row in published(dirty, ["k", "_run_id"]).to_pylist()}
    (first,) = set(before.values())
    mended = job_of(tmp_path, MENDED)
    manifest = highbeam.replay(mended, DAY)
    assert (manifest.status, manifest.attempt, manifest.parent) == ("published", 2, first)
    assert (manifest.read, manifest.predicted, manifest.rejected) == (N, N, 0)
    assert manifest.replayed == {
        "read": N,
        "predicted": N - DIRTY,
        "recovered": DIRTY,
        "still_rejected": 0,
        "not_read_again": 0,
    }
    assert first.endswith(manifest.ancestors[0])
    rows = published(mended, [*SEEN, "_run_id"])
    assert rows.select(SEEN).equals(undisturbed(mended, tmp_path))
    runs = {row["k"]: row["_run_id"] for row in rows.to_pylist()}
    assert {k: run for k, run in runs.items() if run == first} == before
    assert set(runs.values()) == {first, manifest.run_id}
    key = next(k for k, run in runs.items() if run == manifest.run_id)
    (found,) = highbeam.lookup(mended, [key]).to_pylist()
    assert (found["g"], found["_run_id"], found["_model_version"]) == ("q", manifest.run_id, "1")
    assert list(reject_lines(mended, DAY)) == []
    assert [ran.current for ran in highbeam.runs(mended)] == [False, True]
    assert not Path(layout(mended).staging(manifest.score_id)).exists()


def test_once_is_enough(dirty: Job, tmp_path: Path) -> None:
    mended = job_of(tmp_path, MENDED)
    highbeam.replay(mended, DAY)
    version = DeltaTable(layout(mended).table).version()
    assert highbeam.replay(mended, DAY).status == "already_published"
    assert highbeam.run(mended, DAY).status == "already_published"
    assert highbeam.run(dirty, DAY).status == "already_published"
    assert DeltaTable(layout(mended).table).version() == version
    assert highbeam.run(dirty, DAY, force=True).rejected == DIRTY


def test_a_replay_that_recovers_nothing_changes_nothing(dirty: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    before = published(dirty), list(reject_lines(dirty, DAY)), DeltaTable(layout(dirty).rejects).version()
    files = sorted(Path(layout(dirty).table).glob("date=*/*"))
    again = highbeam.replay(dirty, DAY)
    assert (again.status, again.exit_code, again.replayed["recovered"]) == ("already_published", 0, 0)
    assert "none of the 1,000 rejected rows" in again.message
    assert sorted(again.files) == [str(path.relative_to(layout(dirty).table)) for path in files]
    assert before == (published(dirty), list(reject_lines(dirty, DAY)), DeltaTable(layout(dirty).rejects).version())
    assert sorted(Path(layout(dirty).table).glob("date=*/*")) == files
    assert not Path(layout(dirty).staging(again.score_id)).exists()


def test_what_is_still_rejected_are_the_rejects_of_the_new_run(dirty: Job, tmp_path: Path) -> None:
    half = job_of(tmp_path, MENDED.replace("min: 0", f"min: {N / 8}"))
    before = {reject["raw"] for reject in reject_lines(half, DAY)}
    manifest = highbeam.replay(half, DAY)
    left = list(reject_lines(half, DAY))
    assert manifest.status == "published"
    assert 0 < len(left) == manifest.rejected == manifest.replayed["still_rejected"] < DIRTY
    assert manifest.rejected_by == {"validate": {"below_min": len(left)}}
    assert {reject["raw"] for reject in left} <= before
    assert published(half).num_rows == N - len(left)
    whole = highbeam.replay(job_of(tmp_path, MENDED), DAY)
    assert (whole.attempt, whole.predicted, whole.rejected, whole.parent) == (3, N, 0, manifest.run_id)
    assert published(half).equals(undisturbed(job_of(tmp_path, MENDED), tmp_path))
    assert len(set(published(half, ["_run_id"])["_run_id"].to_pylist())) == 3


def test_after_a_refused_run_it_publishes_the_night(tmp_path: Path) -> None:
    night(tmp_path, dirty_lines())
    strict = job_of(tmp_path, JOB, "rejects.max_fraction=0.01", model=True)
    refused = highbeam.run(strict, DAY)
    assert (refused.status, refused.reason) == ("refused", "over_budget")
    nothing = highbeam.replay(strict, DAY)
    assert (nothing.status, nothing.exit_code, nothing.reason) == ("refused", 3, "nothing_recovered")
    assert len(list(reject_lines(strict, DAY))) == DIRTY
    some = highbeam.replay(
        job_of(tmp_path, MENDED.replace("min: 0", f"min: {N / 8}"), "rejects.max_fraction=0.01"), DAY
    )
    assert (some.status, some.reason, some.parent) == ("refused", "over_budget", refused.run_id)
    assert some.read == N
    assert len(list(reject_lines(strict, DAY))) == some.rejected < DIRTY
    mended = job_of(tmp_path, MENDED, "rejects.max_fraction=0.01")
    manifest = highbeam.replay(mended, DAY)
    assert (manifest.status, manifest.attempt, manifest.parent) == ("published", 1, some.run_id)
    assert (manifest.read, manifest.predicted, manifest.rejected) == (N, N, 0)
    assert published(mended).equals(undisturbed(mended, tmp_path))
    assert set(published(mended, ["_run_id"])["_run_id"].to_pylist()) == {manifest.run_id}
    assert list(reject_lines(mended, DAY)) == []
    assert highbeam.replay(mended, DAY).status == highbeam.run(mended, DAY).status == "already_published"
    for score_id in (refused.score_id, some.score_id, manifest.score_id):
        assert not Path(layout(mended).staging(score_id)).exists()


def test_another_model_only_when_told_so(dirty: Job, tmp_path: Path) -> None:
    save_model(tmp_path, 2, factor=3.0)
    mended = job_of(tmp_path, MENDED)
    with pytest.raises(highbeam.UsageError, match="scored with models version 1, and the job names models version 2"):
        highbeam.replay(mended, DAY)
    same = job_of(tmp_path, MENDED.replace("path: models", "path: models, version: 1"))
    assert highbeam.replay(mended, DAY, other_model=True).status == "published"
    versions = published(mended, ["g", "_model_version"]).to_pylist()
    assert {row["_model_version"] for row in versions if row["g"] == "q"} == {"2"}
    assert {row["_model_version"] for row in versions if row["g"] != "q"} == {"1"}
    assert highbeam.run(same, DAY).status == "published"  # most of the night was scored by an unmended job of model 1
    assert highbeam.run(mended, DAY).status == "published"


def test_a_killed_replay_resumes(dirty: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = storage.put

    def breaks(path: str, data: Any) -> None:
        if path.endswith("ranges.json"):
            raise OSError("no space left on device")
        put(path, data)

    mended = job_of(tmp_path, MENDED)
    with monkeypatch.context() as patch:
        patch.setattr("highbeam.storage.put", breaks)
        assert highbeam.replay(mended, DAY).status == "failed"
    monkeypatch.setattr("highbeam.transforms.read.read_again", never)
    monkeypatch.setattr("highbeam.transforms.carry.carry", never)
    assert highbeam.replay(mended, DAY).status == "published"
    assert published(mended).num_rows == N


def never(*_: object) -> None:
    raise AssertionError("a staged split was made again")


def test_a_replay_that_died_before_its_manifest(dirty: Job, tmp_path: Path) -> None:
    mended = job_of(tmp_path, MENDED)
    first = highbeam.replay(mended, DAY)
    (path,) = [info.path for info in storage.listing(layout(mended).runs(DAY)) if first.score_id in info.path]
    storage.remove(path)
    assert highbeam.run(dirty, DAY).status == "already_published"
    (again,) = [ran.manifest for ran in highbeam.runs(mended) if ran.current]
    assert (again.run_id, again.replayed, again.ancestors) == (first.run_id, first.replayed, first.ancestors)


def test_nights_that_cannot_be_replayed(tmp_path: Path) -> None:
    write_night(tmp_path, csv_lines(range(10)))
    job = make_job(tmp_path)
    with pytest.raises(highbeam.UsageError, match="no run has rejects to replay"):
        highbeam.replay(job, DAY)
    assert highbeam.run(job, DAY).status == "published"
    assert "nothing to replay" in highbeam.replay(job, DAY).message
    (tmp_path / "edits").write_text("")  # what an export of no rejects is
    assert "nothing to replay" in highbeam.replay(job, DAY, export=str(tmp_path / "edits")).message
    with pytest.raises(highbeam.UsageError, match=r"/none: no such file$"):
        highbeam.replay(job, DAY, export=str(tmp_path / "none"))


UNFIT = {
    "key": (("key: k", "key: [k, g]"), "has another key, k"),
    "header": (("  x: {type", "  x: {from: weight, type"), "the header lacks weight"),
    "passthrough": (("[h]", "[]"), "column h"),
    "kind of files": (("csv:", "json:"), "source: run .* read csv, not json"),
}


def test_jobs_that_do_not_fit_the_night(tmp_path: Path) -> None:
    night(tmp_path, dirty_lines(60, 10))
    text = JOB.replace("  g:", "  h: {type: string, from: g}\n  g:").replace("[g]", "[h]")
    highbeam.run(job_of(tmp_path, text, model=True), DAY)
    for (old, new), message in UNFIT.values():
        with pytest.raises(highbeam.UsageError, match=message):
            highbeam.replay(job_of(tmp_path, text.replace(old, new)), DAY)


def test_a_night_that_was_compacted(tmp_path: Path) -> None:
    night(tmp_path, dirty_lines(600, 100))
    highbeam.run(job_of(tmp_path, model=True), DAY)
    half = job_of(tmp_path, MENDED.replace("min: 0", "min: 75"))
    first = highbeam.replay(half, DAY)
    table = DeltaTable(layout(half).table)
    table.optimize.z_order(["y"])
    assert highbeam.run(half, DAY).status == "already_published"
    mended = job_of(tmp_path, MENDED)
    manifest = highbeam.replay(mended, DAY)
    assert (manifest.predicted, manifest.parent, manifest.attempt) == (600, first.run_id, 3)
    assert published(mended).equals(undisturbed(mended, tmp_path))
