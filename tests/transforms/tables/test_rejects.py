from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam.schemas.rejected import EMPTY
from highbeam.schemas.rejected import SCHEMA as REJECTED
from highbeam.transforms.tables import rejects

from tests.support.nights import DAY

RUN, OTHER = f"{DAY}-0001-{'a' * 16}", f"{DAY}-0001-{'b' * 16}"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "rejects")


def batch(file: str, *offsets: int, raw: bytes = b"bad,row") -> pa.RecordBatch:
    same = {"length": len(raw), "stage": "read", "reason": "type", "message": "not a number", "key": None}
    return pa.RecordBatch.from_pylist(
        [{"file": file, "offset": offset, **same, "raw": raw, "truncated": False} for offset in offsets],
        schema=REJECTED,
    )


def places(path: str, run_id: str | None = RUN) -> list[tuple[str, int]]:
    rows = rejects.read(path, DAY, run_id).read_all()
    return list(zip(rows["file"].to_pylist(), rows["offset"].to_pylist(), strict=True))


def test_no_rejects_make_no_table(path: str) -> None:
    rejects.write(path, DAY, RUN, [])
    rejects.write(path, DAY, RUN, [EMPTY, EMPTY])
    assert not Path(path).exists()
    reader = rejects.read(path, DAY, RUN)
    assert reader.schema == rejects.SCHEMA
    assert reader.read_all().num_rows == 0


def test_a_reject_comes_back_as_it_went_in(path: str) -> None:
    went_in = batch("a.csv", 3, raw=b"\xff\x00\n,")
    rejects.write(path, DAY, RUN, [went_in])
    assert rejects.read(path, DAY, RUN).read_all().to_pylist() == [
        {**went_in.to_pylist()[0], "date": DAY, "run_id": RUN}
    ]


def test_rejects_come_by_file_and_offset(path: str) -> None:
    rejects.write(path, DAY, RUN, [batch("b", 9, 1), batch("a", 7), EMPTY, batch("b", 5), batch("a", 2)])
    assert places(path) == [("a", 2), ("a", 7), ("b", 1), ("b", 5), ("b", 9)]


@settings(max_examples=25)
@given(st.lists(st.lists(st.tuples(st.sampled_from("cba"), st.integers(0, 50)), max_size=6), max_size=8))
def test_any_rejects_are_read_whole_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[str, int]]]
) -> None:
    path = str(tmp_path_factory.mktemp("rejects"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rejects, "_GROUP_ROWS", 3)
        rejects.write(path, DAY, RUN, (batch(file, offset) for part in parts for file, offset in part))
    assert places(path) == sorted(place for part in parts for place in part)


def test_a_large_night_is_streamed_in_and_out(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects, "_GROUP_ROWS", 500)
    written = 0

    def many() -> Iterator[pa.RecordBatch]:
        nonlocal written
        for start in range(0, 20_000, 100):
            written += 100
            yield batch(f"f{start // 4000}", *range(start, start + 100))

    rejects.write(path, DAY, RUN, many())
    assert written == 20_000
    sizes = [part.num_rows for part in rejects.read(path, DAY, RUN)]
    assert sum(sizes) == 20_000
    assert max(sizes) <= 256
    assert places(path) == sorted(places(path))


def test_long_records_make_small_row_groups(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects, "_GROUP_BYTES", 10_000)
    groups = list(rejects._row_groups([batch("a", *range(100), raw=b"x" * 1000), batch("a", 100)]))
    assert sum(group.num_rows for group in groups) == 101
    assert all(group.num_rows <= 20 for group in groups)


def test_a_run_replaces_its_own_rejects_and_no_others(path: str) -> None:
    rejects.write(path, DAY, RUN, [batch("a", 1, 2)])
    rejects.write(path, DAY, OTHER, [batch("o", 7)])
    rejects.write(path, "2026-01-02", RUN, [batch("n", 8)])
    rejects.write(path, DAY, RUN, [batch("a", 3)])
    assert places(path) == [("a", 3)]
    assert places(path, None) == [("a", 3), ("o", 7)]
    assert rejects.read(path, "2026-01-02").read_all()["run_id"].to_pylist() == [RUN]


def test_a_run_that_now_rejects_nothing_has_no_rejects(path: str) -> None:
    rejects.write(path, DAY, RUN, [batch("a", 1)])
    rejects.write(path, DAY, OTHER, [batch("o", 7)])
    rejects.write(path, DAY, RUN, [])
    assert places(path, None) == [("o", 7)]


def test_the_same_rejects_twice_are_one_commit(path: str) -> None:
    for _ in range(2):
        rejects.write(path, DAY, RUN, [batch("a", 1)])
    assert DeltaTable(path).version() == 1
    assert places(path) == [("a", 1)]


def test_runs_of_other_nights_write_at_once(path: str) -> None:
    days = [f"2026-01-0{n}" for n in range(1, 7)]
    gate = Barrier(len(days))

    def run(day: str) -> None:
        gate.wait()
        rejects.write(path, day, f"{day}-0001-{'a' * 16}", [batch(day, 1, 2)])

    with ThreadPoolExecutor(len(days)) as pool:
        list(pool.map(run, days))
    assert [rejects.read(path, day).read_all().num_rows for day in days] == [2] * len(days)


def test_others_read_the_table(path: str) -> None:
    rejects.write(path, DAY, RUN, [batch("a", 1, 2)])
    assert pl.read_delta(path).select("file", "offset", "date", "run_id").rows() == [
        ("a", 1, DAY, RUN),
        ("a", 2, DAY, RUN),
    ]
