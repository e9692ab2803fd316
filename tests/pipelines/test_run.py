"""Whole runs on FnApiRunner: every row is predicted or rejected, published once, and found again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import polars
import pyarrow as pa
import pytest
from deltalake import DeltaTable

import highbeam
from highbeam import storage
from highbeam.pipelines import planning
from highbeam.schemas.errors import UsageError
from highbeam.schemas.layout import layout

from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, shuffled, write_night

N = 20_000


@pytest.fixture
def job(tmp_path: Path) -> highbeam.Job:
    lines = csv_lines(shuffled(N))
    write_night(tmp_path, lines[: N // 2], name="a.csv")
    write_night(tmp_path, lines[N // 2 :], name="b.csv")
    return make_job(tmp_path)


def published(job: Any, date: str = DAY) -> pa.Table:
    table = DeltaTable(layout(job).table).to_pyarrow_table(filters=[("date", "=", date)])
    return table.sort_by("k")


def file_digests(job: Any) -> dict[str, str]:
    folder = Path(layout(job).table)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("date=*/*.parquet")}


def test_every_row_is_predicted_and_found_again(job: Any) -> None:
    seen: list[Any] = []
    manifest = highbeam.run(job, DAY, progress=seen.append)
    assert (manifest.status, manifest.read, manifest.predicted, manifest.rejected) == ("published", N, N, 0)
    assert manifest.splits > 4
    rows = published(job)
    assert rows["k"].to_pylist() == list(range(N))
    assert rows["y"].to_pylist() == [2 * k / 4 + 1 for k in range(N)]
    assert rows["g"].to_pylist() == ["abc"[k % 3] for k in range(N)]
    assert seen[-1].staged == manifest.splits
    assert seen[-1].read == N
    found = highbeam.lookup(job, [5, -1, N - 1])
    assert found["k"].to_pylist() == [5, N - 1]
    assert found["y"].to_pylist() == [3.5, 2 * (N - 1) / 4 + 1]
    assert polars.read_delta(layout(job).table).height == N
    assert not Path(layout(job).staging(manifest.score_id)).exists()


def test_a_second_run_is_already_published(job: Any) -> None:
    first = highbeam.run(job, DAY)
    version = DeltaTable(layout(job).table).version()
    second = highbeam.run(job, DAY)
    assert (second.status, second.exit_code, second.predicted) == ("already_published", 0, N)
    assert second.files == first.files
    assert DeltaTable(layout(job).table).version() == version
    third = highbeam.run(job, DAY, force=True)
    assert (third.status, third.attempt, third.score_id) == ("published", 2, first.score_id)
    assert [ran.current for ran in highbeam.runs(job)] == [False, True]


def test_launches_sort_by_when_they_began_also_within_a_second() -> None:
    """`rejects` shows those of the newest launch, and a replay may follow its run at once."""
    names = [planning.launch_name(1_800_000_000 + part / 1000) for part in range(999)]
    assert names == sorted(names)
    assert names[1].startswith("20270115T080000.001000Z-")


def test_rolling_back_to_an_older_model_publishes(job: Any) -> None:
    save_model(Path(job.folder), 2, factor=3.0)
    assert highbeam.run(job, DAY).model["version"] == "2"
    older = job.model_copy(update={"model": job.model.model_copy(update={"version": "1"})})
    back = highbeam.run(older, DAY)
    assert (back.status, back.attempt, back.model["version"]) == ("published", 2, "1")
    assert published(job)["y"][2].as_py() == 2.0
    newest = highbeam.run(job, DAY)
    assert (newest.status, newest.attempt) == ("published", 3)
    as_published = job.model_copy(update={"model": job.model.model_copy(update={"version": "published"})})
    assert highbeam.run(as_published, DAY).status == "already_published"


def test_a_manifest_that_was_never_written_is_written(job: Any) -> None:
    first = highbeam.run(job, DAY)
    (path,) = storage.listing(layout(job).runs(DAY))
    storage.remove(path.path)
    assert highbeam.run(job, DAY).status == "already_published"
    (again,) = highbeam.runs(job)
    assert again.current
    names = ("run_id", "read", "predicted", "rejected", "rejected_by", "files")
    assert [getattr(again.manifest, name) for name in names] == [getattr(first, name) for name in names]


DIRTY = {
    "12O,a,1": ("read", "bad_value"),
    "20001,a": ("read", "wrong_field_count"),
    '20002,"a,1': ("read", "unbalanced_quote"),
    "20003,q,1": ("validate", "not_in_values"),
    "20004,a,-1": ("validate", "below_min"),
    "20005,a,nan": ("validate", "not_finite"),
    ",a,1": ("validate", "null_key"),
    "20007,,1": ("validate", "null"),
    "20008,a,666666": ("predict", "model_failed"),
}


def test_only_the_guilty_rows_are_turned_away(tmp_path: Path) -> None:
    lines = csv_lines(range(2000))
    for place, dirty in enumerate(DIRTY):
        lines.insert(200 * place, dirty)
    path = write_night(tmp_path, lines)
    manifest = highbeam.run(make_job(tmp_path), DAY)
    assert (manifest.status, manifest.read, manifest.predicted, manifest.rejected) == ("published", 2009, 2000, 9)
    rejects = highbeam.rejects(make_job(tmp_path, model=False), DAY).read_all().to_pylist()
    assert {r["raw"].decode(): (r["stage"], r["reason"]) for r in rejects} == DIRTY
    text = path.read_bytes()
    for reject in rejects:
        assert text[reject["offset"] :].startswith(reject["raw"] + b"\n")
        assert reject["length"] == len(reject["raw"])
        assert reject["message"]
    assert sum(sum(reasons.values()) for reasons in manifest.rejected_by.values()) == 9
    keys = {r["raw"].decode(): r["key"] for r in rejects}
    assert keys["20003,q,1"] == "20003"
    assert keys["20008,a,666666"] == "20008"


def test_one_bad_row_in_a_million(tmp_path: Path) -> None:
    lines = csv_lines(range(1_000_000))
    lines[654_321] = "654321,a,12O.5"
    path = write_night(tmp_path, lines)
    job = make_job(tmp_path, JOB.replace("65536", "4194304"))
    manifest = highbeam.run(job, DAY)
    assert (manifest.status, manifest.predicted, manifest.rejected) == ("published", 999_999, 1)
    (reject,) = highbeam.rejects(job, DAY).read_all().to_pylist()
    assert reject["raw"] == b"654321,a,12O.5"
    assert reject["offset"] == path.read_bytes().index(reject["raw"])
    assert highbeam.lookup(job, [654_320, 654_321])["k"].to_pylist() == [654_320]


def test_a_night_of_bad_rows_is_refused_and_a_higher_budget_scores_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_night(tmp_path, csv_lines(range(10)), date="2013-11-30")
    write_night(tmp_path, [f"{k},zzz,1" for k in range(10)])
    job = make_job(tmp_path)
    before = highbeam.run(job, "2013-11-30")
    refused = highbeam.run(job, DAY)
    assert (refused.status, refused.exit_code, refused.reason, refused.rejected) == ("refused", 3, "over_budget", 10)
    assert refused.files == ()  # they were written, and not published
    assert highbeam.rejects(job, DAY).read_all().num_rows == 10
    assert highbeam.lookup(job, [3])["date"].to_pylist() == [before.date]
    with pytest.raises(highbeam.Unpublished, match="newest published night is 2013-11-30"):
        highbeam.lookup(job, [3], DAY)
    generous = make_job(tmp_path, model=False, overrides=["rejects.max_fraction=1"])
    monkeypatch.setattr("highbeam.transforms.read.read_split", never)
    published = highbeam.run(generous, DAY)
    assert (published.status, published.predicted, published.rejected) == ("published", 0, 10)
    assert published.score_id == refused.score_id


def never(*_: object) -> None:
    raise AssertionError("a staged split was read again")


def test_an_empty_night(tmp_path: Path) -> None:
    write_night(tmp_path, [])
    refused = highbeam.run(make_job(tmp_path), DAY)
    assert (refused.status, refused.reason) == ("refused", "too_few_rows")
    allowed = make_job(tmp_path, model=False, overrides=["source.min_rows=0"])
    assert highbeam.run(allowed, DAY).status == "published"
    assert highbeam.run(allowed, "2013-12-02").status == "published"  # no file at all
    assert highbeam.lookup(allowed, [1]).num_rows == 0
    with pytest.raises(highbeam.UsageError, match="2013-12-03"):
        highbeam.run(make_job(tmp_path, model=False), "2013-12-03")


def test_input_that_vanished_takes_no_published_night_with_it(tmp_path: Path) -> None:
    write_night(tmp_path, csv_lines(range(10)))
    job = make_job(tmp_path, overrides=["source.min_rows=0"])
    published = highbeam.run(job, DAY)
    for file in (tmp_path / "data" / DAY).iterdir():
        file.unlink()
    vanished = f"nothing to read, and the table holds 10 predictions of run {published.run_id}; .* --force"
    with pytest.raises(highbeam.UsageError, match=vanished):
        highbeam.run(job, DAY)
    with pytest.raises(highbeam.UsageError, match=vanished):
        highbeam.check(job, DAY)
    assert highbeam.lookup(job, [3]).num_rows == 1
    assert highbeam.run(job, DAY, dry_run=True).status == "dry_run"
    forced = highbeam.run(job, DAY, force=True)
    assert (forced.status, forced.read, forced.attempt) == ("published", 0, 2)
    assert highbeam.lookup(job, [3]).num_rows == 0
    assert highbeam.run(job, DAY).status == "already_published"  # an empty night over an empty one


def test_a_dry_run_changes_nothing(job: Any) -> None:
    manifest = highbeam.run(job, DAY, dry_run=True, limit=1234)
    assert (manifest.status, manifest.exit_code, manifest.read, manifest.predicted) == ("dry_run", 0, 1234, 1234)
    assert not Path(layout(job).table).exists()
    whole = highbeam.run(job, DAY, dry_run=True)
    assert (whole.read, whole.status) == (N, "dry_run")
    with pytest.raises(highbeam.UsageError, match="needs --dry-run"):
        highbeam.run(job, DAY, limit=3)
    strict = make_job(Path(job.folder), JOB.replace("[a, b, c]", "[a]"), model=False)
    assert highbeam.run(strict, DAY, dry_run=True, limit=100).exit_code == 3


def test_a_killed_run_resumes_to_the_same_bytes(job: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    undisturbed = make_job(Path(job.folder), model=False, overrides=[f"output.delta.path={tmp_path}/other"])
    highbeam.run(undisturbed, DAY)
    put, written = storage.put, []

    def breaks(path: str, data: Any) -> None:
        if path.endswith(".staged"):
            written.append(path)
            if len(written) > 3:
                raise OSError("no space left on device")
        put(path, data)

    with monkeypatch.context() as patch:
        patch.setattr("highbeam.storage.put", breaks)
        failed = highbeam.run(job, DAY)
    assert (failed.status, failed.exit_code) == ("failed", 1)
    assert "no space left on device" in failed.message
    read: list[int] = []
    read_split = highbeam.transforms.read.read_split

    def counting(split: Any, plan: Any) -> Any:
        read.append(split.number)
        return read_split(split, plan)

    monkeypatch.setattr("highbeam.transforms.read.read_split", counting)
    resumed = highbeam.run(job, DAY)
    assert resumed.status == "published"
    assert len(read) == resumed.splits - 3
    assert file_digests(job) == file_digests(undisturbed)


def test_splits_are_staged_as_they_are_read_and_not_at_the_end(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put, read_split = storage.put, highbeam.transforms.read.read_split
    begun: list[int] = []
    begun_when_staged: list[int] = []

    def noting_put(path: str, data: Any) -> None:
        put(path, data)
        if path.endswith(".staged"):
            begun_when_staged.append(len(begun))

    def noting_read(split: Any, plan: Any) -> Any:
        begun.append(split.number)
        return read_split(split, plan)

    monkeypatch.setattr("highbeam.storage.put", noting_put)
    monkeypatch.setattr("highbeam.transforms.read.read_split", noting_read)
    manifest = highbeam.run(job, DAY, beam_flags=["--direct_num_workers=2"])
    assert len(begun_when_staged) == manifest.splits
    assert all(read <= staged + 2 for staged, read in enumerate(begun_when_staged, 1)), begun_when_staged


def test_a_file_changed_under_the_run_is_refused(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_plan = planning.make_plan

    def then_change(*arguments: Any) -> Any:
        planned = make_plan(*arguments)
        write_night(Path(job.folder), csv_lines(range(7)), name="b.csv")
        return planned

    monkeypatch.setattr("highbeam.pipelines.run.make_plan", then_change)
    manifest = highbeam.run(job, DAY)
    assert (manifest.status, manifest.reason, manifest.exit_code) == ("refused", "input_changed", 3)
    assert "b.csv" in manifest.message


def test_a_changed_output_type_is_refused_before_launch(job: Any) -> None:
    from highbeam.models.runtime import tf

    highbeam.run(job, DAY)
    save_model(Path(job.folder), 2, dtype=tf.float64)
    with pytest.raises(highbeam.UsageError, match="column y is float32 in the table and would become float64"):
        highbeam.check(job)
    assert published(job).num_rows == N


def test_predict_in_memory_agrees_with_a_run(job: Any) -> None:
    highbeam.run(job, DAY)
    rows = published(job)
    table = pa.table({"k": rows["k"], "g": rows["g"], "x": pa.array([k / 4 for k in range(N)])})
    table = pa.concat_tables(
        [table, pa.table({"k": [N], "g": ["a"], "x": [666666.0]}), pa.table({"k": [N + 1], "g": ["q"], "x": [0.0]})]
    )
    predictions, rejected = highbeam.predict(job, table)
    assert predictions.column_names == ["k", "g", "y"]
    assert predictions["y"].equals(rows["y"])
    assert rejected.select(["offset", "stage", "reason", "key"]).to_pylist() == [
        {"offset": N, "stage": "predict", "reason": "model_failed", "key": str(N)},
        {"offset": N + 1, "stage": "validate", "reason": "not_in_values", "key": str(N + 1)},
    ]
    (batch,) = table.slice(0, 10).combine_chunks().to_batches()
    assert highbeam.predict(job, batch)[0].equals(predictions.slice(0, 10))
    with pytest.raises(UsageError, match=r"takes a pyarrow.Table, not a list; pa.Table.from_pylist"):
        highbeam.predict(job, table.to_pylist())
