"""Replays row by row: edited exports, equal keys, bytes that were not kept, other kinds of files."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import highbeam
from highbeam.pipelines.rejects import export_rejects, reject_lines
from highbeam.schemas.job import Job
from highbeam.transforms import cells, ranges

from tests.support.jobs import DAY, JOB, csv_lines, make_job, shuffled, write_night
from tests.support.replays import (
    GENEROUS,
    MENDED,
    dirty_lines,
    elsewhere,
    job_of,
    night,
    published,
    undisturbed,
)


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


WRONG: dict[str, tuple[dict[str, Any], str]] = {
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
    wrong = {
        "empty": ("\n", "names no rows"),
        "not JSON": ("{", "not JSON"),
        "a list": ("[]", "not an object"),
        "twice": (line * 2, ":2: .* twice"),
    }
    changed = {what: (json.dumps({**json.loads(line), **change}), say) for what, (change, say) in WRONG.items()}
    for text, message in [*wrong.values(), *changed.values()]:
        file.write_text(text)
        with pytest.raises(highbeam.UsageError, match=message):
            highbeam.replay(job, DAY, export=str(file))
    with pytest.raises(highbeam.UsageError, match=r"/none: no such file$"):
        highbeam.replay(job, DAY, export=str(tmp_path / "none"))
    assert [ran.manifest.attempt for ran in highbeam.runs(job)] == [1]


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
        assert [reject["raw"] for reject in reject_lines(job, DAY)] == ["7,q,2"]  # the night's: nothing became of it
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


def test_records_that_were_too_long_are_no_harm_to_others_of_another_file(tmp_path: Path) -> None:
    long = "b,2.500000000000000000"
    write_night(tmp_path, [*csv_lines(range(10)), f"10,{long}"])
    write_night(tmp_path, [*csv_lines(range(20, 30)), "30,q,1", f"31,{long}"], name="b.csv")
    job = make_job(tmp_path, overrides=[GENEROUS, "source.max_record_bytes=16"])
    assert highbeam.run(job, DAY).rejected == 3
    longer = make_job(tmp_path, MENDED, False, [GENEROUS, "source.max_record_bytes=64"])
    manifest = highbeam.replay(longer, DAY)
    assert (manifest.predicted, manifest.rejected) == (23, 0)


def test_without_a_key_rows_keep_the_order_of_their_files(tmp_path: Path) -> None:
    night(tmp_path, dirty_lines(600, 100))
    text = JOB.replace("key: k\n", "").replace("[g]", "[g, k]")
    highbeam.run(job_of(tmp_path, text, model=True), DAY)
    mended = job_of(tmp_path, text.replace("[a, b, c]", "[a, b, c, q]"))
    assert highbeam.replay(mended, DAY).predicted == 600
    assert published(mended).equals(undisturbed(mended, tmp_path))


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
    clean = elsewhere(mended, "other")
    undone = highbeam.run(clean, DAY)
    assert published(mended).equals(published(clean))
    assert manifest.rejected_by == undone.rejected_by
    left, never_lost = (sorted(map(str, reject_lines(one, DAY))) for one in (mended, clean))
    assert left == never_lost


def edit(job: Job, file: Path, *edits: str) -> list[dict[str, Any]]:
    """Exports the rejects, with the first ones edited; gives them as they were exported."""
    export_rejects(job, str(file))
    exported = [json.loads(line) for line in file.read_text().splitlines()]
    edited = [*({**reject, "raw": raw} for reject, raw in zip(exported, edits, strict=False)), *exported[len(edits) :]]
    file.write_text("".join(json.dumps(reject) + "\n" for reject in edited))
    return exported


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_edits_are_written_in_the_encoding_of_the_source(encoding: str, tmp_path: Path) -> None:
    path, file = tmp_path / "data" / DAY / "a.csv", tmp_path / "rejects.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes("k,g,x\n1,é,1\n2,é,-1\n3,ö,-1\n".encode(encoding))
    text = JOB.replace('*.csv"', f'*.csv", encoding: {encoding}').replace(", values: [a, b, c]", "")
    job = make_job(tmp_path, text, overrides=["rejects.max_fraction=1"])
    highbeam.run(job, DAY)
    if encoding == "latin-1":
        edit(job, file, "2,\u20ac,1")
        with pytest.raises(highbeam.UsageError, match=r"a.csv at 12: .*'\\u20ac'.* cannot be written in iso8859-1"):
            highbeam.replay(job, DAY, export=str(file))
    edit(job, file, "2,é,-2")
    again = highbeam.replay(job, DAY, export=str(file)).message
    assert "2 were scored again, and the first rejected for: data/2013-12-01/a.csv at" in again
    assert "validate: below_min: column x: -2 is below" in again
    exported = edit(job, file, "2,café,1\n")
    assert [reject["raw"] for reject in exported] == ["2,é,-1", "3,ö,-1"]
    assert highbeam.replay(job, DAY, export=str(file)).predicted == 2
    assert highbeam.lookup(job, [1, 2])["g"].to_pylist() == ["é", "café"]
    (left,) = highbeam.rejects(job, DAY)
    assert left["raw"].to_pylist() == ["3,ö,-1".encode("utf-16-le" if encoding == "utf-16" else encoding)]


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
