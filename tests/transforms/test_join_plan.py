"""What is planned of side tables, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from highbeam.schemas.errors import JobError, Refused, UsageError
from highbeam.schemas.job import Job
from highbeam.schemas.join import Side
from highbeam.schemas.plan import score_id
from highbeam.transforms import join_plan
from highbeam.transforms.join_plan import plan_sides

from tests.support.sides import (
    PLANES,
    WEATHER,
    cache_of_its_own,  # noqa: F401 - a fixture
    job_of,
    joined,
    planes,
    rows_of,
)


def test_everything_wrong_is_told_at_planning(tmp_path: Path) -> None:
    planes(tmp_path, "tailnum,year\nN1,1999\n")
    pq.write_table(pa.table({"station": [1.5], "date": [True], "temp": [1.0]}), tmp_path / "w.parquet")
    job = job_of(tmp_path, PLANES, WEATHER, "  more: {delta: {path: none}, by: origin, columns: {z: int32}}")
    with pytest.raises(UsageError) as caught:
        plan_sides(job, [])
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["join.planes", "join.weather", "join.weather", "join.more"]
    assert "lacks 'seats'" in lines[0]
    assert "no Delta table there" in lines[3]


def test_too_large_a_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planes(tmp_path)
    job = job_of(tmp_path, PLANES)
    monkeypatch.setattr("highbeam.transforms.join_read.MOST_ROWS", 1)
    with pytest.raises(Refused, match="join in the warehouse"):
        joined(job, rows_of(job, tailnum=["N1"]))
    monkeypatch.setattr(join_plan, "MOST_BYTES", 10)
    with pytest.raises(UsageError, match=r"join\.planes: .* bytes of files"):
        plan_sides(job, [])


def test_paths_may_name_the_date(tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"p-2013-12-0{day}.csv").write_text(f"tailnum,year,seats\nN{day},1999,50\n")
    job = job_of(tmp_path, PLANES.replace("planes.csv", "'p-{date}.csv'"))
    assert [s.file for s in plan_sides(job, ["2013-12-02"])[0].splits] == ["p-2013-12-02.csv"]
    assert len(plan_sides(job, ["2013-12-01", "2013-12-02"])[0].splits) == 2
    assert plan_sides(job, [], skip_dated=True) == ()
    with pytest.raises(UsageError, match="needs the night's date"):
        plan_sides(job, [])


def test_the_table_decides_the_score_id(tmp_path: Path) -> None:
    path = planes(tmp_path)

    def identity(job: Job, sides: Sequence[Side]) -> str:
        return score_id(job, "2013-12-01", (), {}, {}, sides)

    job = job_of(tmp_path, PLANES)
    first = identity(job, plan_sides(job, []))
    rejecting = job_of(tmp_path, PLANES.replace("by:", "missing: reject, by:"))
    assert identity(rejecting, plan_sides(rejecting, [])) != first
    path.write_text(path.read_text() + "N4,2000,20\n")
    assert identity(job, plan_sides(job, [])) != first


def test_a_file_of_the_same_length_is_another_table(tmp_path: Path) -> None:
    path = planes(tmp_path)
    job = job_of(tmp_path, PLANES)
    (before,), first = plan_sides(job, []), path.stat()
    assert joined(job, rows_of(job, tailnum=["N1"])).rows["seats"].to_pylist() == [50]
    path.write_text(path.read_text().replace("N1,1999,50", "N1,1999,51"))
    os.utime(path, ns=(first.st_atime_ns, first.st_mtime_ns + 1_000_000))  # the clock of files may be a coarse one
    (after,) = plan_sides(job, [])
    assert path.stat().st_size == first.st_size
    assert after.digest != before.digest
    assert score_id(job, "2013-12-01", (), {}, {}, [after]) != score_id(job, "2013-12-01", (), {}, {}, [before])
    assert joined(job, rows_of(job, tailnum=["N1"])).rows["seats"].to_pylist() == [51]


def test_a_delta_table_that_cannot_be_read_is_told_what_to_do(tmp_path: Path) -> None:
    table = pa.table({"tailnum": ["N1"], "seats": pa.array([50], pa.int64())})
    write_deltalake(str(tmp_path / "planes"), table, configuration={"delta.enableDeletionVectors": "true"})
    job = job_of(tmp_path, "  planes: {delta: {path: planes}, by: tailnum, columns: {seats: int32}}")
    with pytest.raises(UsageError, match=r"join\.planes: .*deletionVectors.*; drop that feature .* or name a copy"):
        plan_sides(job, [])


@pytest.mark.parametrize(
    ("join", "said"),
    [
        ("by: tail, columns: {seats: int32}", "join.planes.by: tail is no column of `columns`, which are tailnum"),
        ("by: tailnum, columns: {origin: string}", "join.planes.columns.origin: already a column of columns"),
        ("by: tailnum, columns: {_x: string}", "join.planes.columns._x: names with a leading _"),
        ("by: tailnum, columns: {seats: list<int32>}", "join.planes.columns.seats: a CSV field cannot hold a list"),
        ("by: tailnum, columns: {}", "join.planes.columns"),
        ("by: tailnum, columns: {s: int32}, missing: drop", "join.planes.missing"),
        ("by: tailnum, columns: {s: int32}, parquet: {path: x}", "name one of parquet, csv, delta, found parquet and"),
        ("by: tailnum, colums: {s: int32}", "join.planes.colums: unknown key; did you mean columns?"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, join: str, said: str) -> None:
    with pytest.raises(JobError) as caught:
        job_of(tmp_path, f"  planes: {{csv: {{path: planes.csv}}, {join}}}")
    assert said in str(caught.value)


def test_two_tables_may_not_add_the_same_column(tmp_path: Path) -> None:
    one = "{csv: {path: p.csv}, by: tailnum, columns: {seats: int32}}"
    with pytest.raises(JobError, match=r"join\.b\.columns\.seats: already a column of join\.a\.columns"):
        job_of(tmp_path, f"  a: {one}\n  b: {one}")


def test_null_needs_no_quotes(tmp_path: Path) -> None:
    assert job_of(tmp_path, PLANES.replace("by:", "missing: null, by:")).join["planes"].missing == "null"
