"""Replays of real runs: what was rejected and is mended stands in the night as if it had never been rejected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import highbeam
from highbeam import storage
from highbeam.pipelines.rejects import export_rejects, reject_lines
from highbeam.schemas.job import Job
from highbeam.schemas.layout import layout
from highbeam.transforms import cells, ranges

from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, shuffled, write_night

N, DIRTY = 6000, 1000
SEEN = ["k", "g", "y", "_file", "_offset"]
MENDED = JOB.replace("[a, b, c]", "[a, b, c, q]")
GENEROUS = "rejects.max_fraction=0.5"


def night(folder: Path, lines: Sequence[str]) -> None:
    """Two files, in an order that is not that of their names."""
    half = len(lines) // 2
    write_night(folder, list(lines[:half]), name="b.csv")
    write_night(folder, list(lines[half:]), name="a.csv")


def dirty_lines(n: int = N, dirty: int = DIRTY) -> list[str]:
    """Records of which some hold the letter q, which no job but a mended one knows."""
    lines = csv_lines(shuffled(n))
    for place in range(0, n, n // dirty):
        k, _, x = lines[place].split(",")
        lines[place] = f"{k},q,{x}"
    return lines


def job_of(folder: Path, text: str = JOB, *overrides: str, model: bool = False) -> Job:
    files = 'path: ["data/{date}/b.csv", "data/{date}/a.csv"]'
    return make_job(folder, text.replace('path: "data/{date}/*.csv"', files), model, [GENEROUS, *overrides])


def published(job: Job, columns: Sequence[str] = SEEN) -> pa.Table:
    """The night, in the order of its files."""
    paths = sorted(uri for uri in DeltaTable(layout(job).table).file_uris() if f"date={DAY}" in uri)
    return pa.concat_tables([pa.parquet.read_table(path, columns=list(columns), partitioning=None) for path in paths])


def undisturbed(job: Job, folder: Path) -> pa.Table:
    """What a run of the mended job publishes that never rejected a row."""
    other = job.output.model_copy(update={"delta": job.output.delta.model_copy(update={"path": str(folder / "other")})})
    clean = job.model_copy(update={"output": other})
    assert highbeam.run(clean, DAY).rejected == 0
    return published(clean)


@pytest.fixture
def dirty(tmp_path: Path) -> Job:
    """A published night of which 1,000 rows were rejected."""
    night(tmp_path, dirty_lines())
    job = job_of(tmp_path, model=True)
    first = highbeam.run(job, DAY)
    assert (first.status, first.read, first.rejected) == ("published", N, DIRTY)
    return job


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


def test_an_edited_export(tmp_path: Path) -> None:
    lines = csv_lines(range(100))
    lines[3], lines[50], lines[70] = "3,b,O.75", "5O,c,12.5", "70,zz,17.5"
    path = write_night(tmp_path, lines)
    job = make_job(tmp_path, overrides=[GENEROUS])
    highbeam.run(job, DAY)
    file = tmp_path / "rejects.jsonl"
    assert export_rejects(job, str(file)) == 3
    exported = [json.loads(line) for line in file.read_text().splitlines()]
    assert [reject["line"] for reject in exported] == [5, 52, 72]
    exported[0]["raw"] = "3,a,0.75\n"
    exported[1]["raw"] = "50,also wrong,12.5"
    file.write_text("".join(json.dumps(reject) + "\n" for reject in exported[:2]))
    manifest = highbeam.replay(job, DAY, export=str(file))
    assert (manifest.status, manifest.replayed["recovered"], manifest.rejected) == ("published", 1, 2)
    (found,) = highbeam.lookup(job, [3]).to_pylist()
    assert (found["y"], found["_file"]) == (2.5, "data/2013-12-01/a.csv")
    assert path.read_bytes()[found["_offset"] :].startswith(b"3,b,O.75\n")
    left = list(reject_lines(job, DAY))
    assert [(reject["line"], reject["reason"], reject["raw"]) for reject in left] == [
        (52, "not_in_values", "50,also wrong,12.5"),
        (72, "not_in_values", "70,zz,17.5"),
    ]
    assert highbeam.run(job, DAY).status == "already_published"


WRONG = {
    "unknown row": ({"offset": 1}, "a.csv at 1"),
    "no offset": ({"offset": None}, "must name a reject"),
    "raw is a number": ({"raw": 7}, "must be texts"),
    "not base64": ({"raw": None, "raw_base64": "*"}, "raw_base64"),
}


def test_an_export_that_names_no_reject(tmp_path: Path) -> None:
    write_night(tmp_path, [*csv_lines(range(10)), "x,a,1"])
    job = make_job(tmp_path, overrides=[GENEROUS])
    highbeam.run(job, DAY)
    file = tmp_path / "rejects.jsonl"
    export_rejects(job, str(file))
    line = file.read_text()
    wrong = {"not JSON": ("{", "not JSON"), "a list": ("[]", "not an object"), "twice": (line * 2, ":2: .* twice")}
    wrong |= {what: (json.dumps({**json.loads(line), **change}), say) for what, (change, say) in WRONG.items()}
    for text, message in wrong.values():
        file.write_text(text)
        with pytest.raises(highbeam.UsageError, match=message):
            highbeam.replay(job, DAY, export=str(file))
    with pytest.raises(highbeam.UsageError, match="cannot be read"):
        highbeam.replay(job, DAY, export=str(tmp_path / "none"))
    assert [ran.manifest.attempt for ran in highbeam.runs(job)] == [1]


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


@pytest.mark.parametrize("duplicates", ["keep", "reject", "refuse"])
def test_keys_that_stand_twice(duplicates: str, tmp_path: Path) -> None:
    lines = [*csv_lines(range(50)), "7,c,1", "8,c,1"]
    lines[7] = "7,q,2"
    write_night(tmp_path, lines)
    key = "key: {columns: k, duplicates: %s}" % ("reject" if duplicates == "reject" else duplicates)
    text = JOB.replace("key: k", key if duplicates != "refuse" else "key: {columns: k, duplicates: keep}")
    job = make_job(tmp_path, text, overrides=[GENEROUS])
    highbeam.run(job, DAY)
    mended = make_job(tmp_path, JOB.replace("key: k", key).replace("[a, b, c]", "[a, b, c, q]"), False, [GENEROUS])
    manifest = highbeam.replay(mended, DAY)
    if duplicates == "refuse":
        assert (manifest.status, manifest.reason) == ("refused", "duplicate_key")
        assert published(job).num_rows == 51
        return
    clean = undisturbed(mended, tmp_path) if duplicates == "keep" else None
    found = [(row["k"], row["g"]) for row in published(mended).to_pylist() if row["k"] in (7, 8)]
    assert manifest.status == "published"
    if duplicates == "keep":
        assert found == [(7, "q"), (7, "c"), (8, "c"), (8, "c")]
        assert published(mended).equals(clean)
    else:
        assert found == [(7, "q"), (8, "c")]
        left = list(reject_lines(mended, DAY))
        assert [(r["stage"], r["reason"], r["raw"]) for r in left] == [
            ("merge", "duplicate_key", f"{k},c,1") for k in (7, 8)
        ]
    assert manifest.read == manifest.replayed["predicted"] + manifest.replayed["recovered"] + manifest.rejected


def test_duplicates_of_a_refused_run_are_counted_once(tmp_path: Path) -> None:
    write_night(tmp_path, [*csv_lines(range(50)), "7,c,1", "51,q,1"])
    text = JOB.replace("key: k", "key: {columns: k, duplicates: reject}")
    job = make_job(tmp_path, text, overrides=["rejects.max_fraction=0.02"])
    assert highbeam.run(job, DAY).rejected == 2
    mended = make_job(tmp_path, text.replace("[a, b, c]", "[a, b, c, q]"), False, ["rejects.max_fraction=0.02"])
    manifest = highbeam.replay(mended, DAY)
    assert (manifest.status, manifest.read, manifest.predicted, manifest.rejected) == ("published", 52, 51, 1)
    assert [reject["raw"] for reject in reject_lines(mended, DAY)] == ["7,c,1"]


@pytest.mark.parametrize("changed", [False, True])
def test_rejects_without_their_bytes_are_read_again_from_the_file(changed: bool, tmp_path: Path) -> None:
    night(tmp_path, dirty_lines(600, 100))
    job = job_of(tmp_path, JOB, "rejects.keep_raw=false", model=True)
    highbeam.run(job, DAY)
    if changed:
        write_night(tmp_path, ["1,a,1"], name="b.csv")
    mended = job_of(tmp_path, MENDED, "rejects.keep_raw=false")
    manifest = highbeam.replay(mended, DAY)
    assert manifest.replayed["recovered"] == (50 if changed else 100)
    assert manifest.replayed["not_read_again"] == manifest.rejected == (50 if changed else 0)
    assert [reject["line"] for reject in reject_lines(mended, DAY)] == [None] * manifest.rejected


def test_a_record_that_was_too_long(tmp_path: Path) -> None:
    write_night(tmp_path, [*csv_lines(range(10)), "10,b,2.500000000000000000"])
    job = make_job(tmp_path, overrides=[GENEROUS, "source.max_record_bytes=16"])
    assert highbeam.run(job, DAY).rejected_by == {"read": {"record_too_long": 1}}
    assert highbeam.replay(job, DAY).status == "already_published"
    longer = make_job(tmp_path, model=False, overrides=[GENEROUS, "source.max_record_bytes=64"])
    assert highbeam.replay(longer, DAY).predicted == 11


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


def test_without_a_key_rows_keep_the_order_of_their_files(tmp_path: Path) -> None:
    night(tmp_path, dirty_lines(600, 100))
    text = JOB.replace("key: k\n", "").replace("[g]", "[g, k]")
    highbeam.run(job_of(tmp_path, text, model=True), DAY)
    mended = job_of(tmp_path, text.replace("[a, b, c]", "[a, b, c, q]"))
    assert highbeam.replay(mended, DAY).predicted == 600
    assert published(mended).equals(undisturbed(mended, tmp_path))


def test_nights_that_cannot_be_replayed(tmp_path: Path) -> None:
    write_night(tmp_path, csv_lines(range(10)))
    job = make_job(tmp_path)
    with pytest.raises(highbeam.UsageError, match="no run has rejects to replay"):
        highbeam.replay(job, DAY)
    assert highbeam.run(job, DAY).status == "published"
    assert "nothing to replay" in highbeam.replay(job, DAY).message


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


@pytest.mark.parametrize(
    ("max_opens", "key"),
    [(3, "key: {columns: k, duplicates: keep}"), (3, "key: {columns: k, duplicates: reject}"), (1 << 15, "")],
)
def test_many_ranges_of_many_equal_keys(
    max_opens: int, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("highbeam.transforms.merge.plan_ranges", partial(ranges.plan_ranges, rows_each=100))
    monkeypatch.setattr(
        "highbeam.transforms.merge.plan_cells", partial(cells.plan_cells, rows_each=100, max_opens=max_opens)
    )
    lines = [f"{k % 40},{'q' if k % 3 == 0 else 'a'},{k}" for k in shuffled(1500)]
    night(tmp_path, lines)
    text = JOB.replace("key: k", key).replace("[g]", "[g]" if key else "[g, k]")
    job = job_of(tmp_path, text, "rejects.max_fraction=1", model=True)
    first = highbeam.run(job, DAY)
    mended = job_of(tmp_path, text.replace("[a, b, c]", "[a, b, c, q]"), "rejects.max_fraction=1")
    manifest = highbeam.replay(mended, DAY)
    assert (manifest.status, manifest.read) == ("published", 1500)
    assert "reject" in key or min(len(first.files), len(manifest.files)) > 3
    clean = mended.model_copy(update={"output": job_of(tmp_path, text, "output.delta.path=other").output})
    undone = highbeam.run(clean.model_copy(update={"columns": mended.columns}), DAY)
    assert published(mended).equals(published(clean))
    assert manifest.rejected_by == undone.rejected_by
    left, never_lost = (sorted(map(str, reject_lines(one, DAY))) for one in (mended, clean))
    assert left == never_lost


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


def test_an_edit_may_hold_anything(tmp_path: Path) -> None:
    write_night(tmp_path, [*csv_lines(range(10)), "x,a,1", "y,a,1", "z,a,1"])
    job = make_job(tmp_path, overrides=[GENEROUS])
    highbeam.run(job, DAY)
    file = tmp_path / "rejects.jsonl"
    export_rejects(job, str(file))
    edits = ["11,a,1\n12,b,2", '13,"a\nb,1', "14,a,1"]
    exported = [json.loads(line) for line in file.read_text().splitlines()]
    for reject, raw in zip(exported, edits, strict=True):
        reject["raw"] = raw
    file.write_text("\n".join(map(json.dumps, exported)))
    manifest = highbeam.replay(job, DAY, export=str(file))
    assert (manifest.status, manifest.replayed["recovered"], manifest.rejected) == ("published", 1, 2)
    assert highbeam.lookup(job, [11, 12, 13, 14])["k"].to_pylist() == [14]
    assert [reject["raw"] for reject in reject_lines(job, DAY)] == edits[:2]


def write_as(kind: str, folder: Path, rows: list[dict[str, Any]]) -> None:
    """The rows as one file of a kind, beneath the night's folder."""
    folder.mkdir(parents=True)
    if kind == "json":
        (folder / "a.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pa.parquet.write_table(pa.Table.from_pylist(rows), folder / "a.parquet", row_group_size=37)


@pytest.mark.parametrize("keep_raw", ["true", "false"])
@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_other_kinds_of_files(kind: str, keep_raw: str, tmp_path: Path) -> None:
    rows = [{"k": k, "g": "q" if k % 5 == 0 else "a", "x": k / 4} for k in shuffled(200)]
    write_as(kind, tmp_path / "data" / DAY, rows)
    text = JOB.replace("csv:", f"{kind}:").replace("*.csv", f"*.{kind}")
    flags = [GENEROUS, f"rejects.keep_raw={keep_raw}"]
    assert highbeam.run(make_job(tmp_path, text, overrides=flags), DAY).rejected == 40
    mended = make_job(tmp_path, text.replace("[a, b, c]", "[a, b, c, q]"), False, flags)
    assert [reject["line"] is None for reject in reject_lines(mended, DAY)] == [kind == "parquet"] * 40
    manifest = highbeam.replay(mended, DAY)
    assert (manifest.status, manifest.predicted, manifest.replayed["recovered"]) == ("published", 200, 40)
    assert published(mended).equals(undisturbed(mended, tmp_path))
