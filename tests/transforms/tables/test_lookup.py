from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam.schemas.errors import Unpublished, UsageError
from highbeam.transforms.tables.lookup import Found, lookup, search

from tests.support.nights import A, B, publish, rows

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "predictions")


def decoded(found: Found) -> list[int]:
    return [len(visit.row_groups) for visit in found.visits]


def test_one_key_of_a_million_decodes_one_row_group(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = pa.table({"k": np.arange(1_000_000) * 2, "y": np.zeros(1_000_000, "f4")})
    publish(path, [keys.slice(start, 250_000) for start in range(0, 1_000_000, 250_000)], row_group_size=16384)
    read, real = [], pq.ParquetFile.read_row_groups

    def counting(self: pq.ParquetFile, groups: list[int], columns: list[str] | None = None) -> pa.Table:
        read.append((groups, columns))
        return real(self, groups, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counting)
    found = search(path, ["k"], pa.array([1_234_568]))
    assert found.rows["k"].to_pylist() == [1_234_568]
    assert decoded(found) == [1]
    assert found.visits[0].of == 16
    assert read == [(list(found.visits[0].row_groups), columns) for columns in (["k"], ["k", "y", "date"])]

    read.clear()
    assert search(path, ["k"], pa.array([1_234_567])).rows.num_rows == 0  # absent: no more than its key column
    assert [columns for _, columns in read] == [["k"]]
    assert search(path, ["k"], pa.array([-1, 2_000_000])).visits == ()  # the log rules every file out


def test_rows_come_in_the_order_asked_and_carry_their_night(path: str) -> None:
    publish(path, rows(1000), row_group_size=10)
    found = search(path, ["k"], pa.array([7, 5000, 999, 7, None, 0]))
    assert found.rows.schema.names == ["k", "y", "date"]
    assert found.rows["k"].to_pylist() == [7, 999, 7, 0]
    assert found.asked.to_pylist() == [0, 2, 3, 5]
    assert set(found.rows["date"].to_pylist()) == {"2026-01-01"}
    assert decoded(found) == [2]


def test_an_absent_key_costs_no_more_than_its_column(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(path, pa.table({"k": range(0, 1000, 2), "y": range(500)}), row_group_size=10)
    read, real = [], pq.ParquetFile.read_row_groups

    def counting(self: pq.ParquetFile, groups: list[int], columns: list[str]) -> pa.Table:
        read.append((groups, len(columns)))
        return real(self, groups, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counting)
    found = search(path, ["k"], pa.array([1, 44, 61, 86]))
    assert found.rows["y"].to_pylist() == [22, 43]
    assert read == [([0, 2, 3, 4], 1), ([2, 4], 3)]


def test_all_rows_of_a_key_are_found_across_row_groups_and_files(path: str) -> None:
    parts = [pa.table({"k": [1, 2, 2], "y": [0, 1, 2]}), pa.table({"k": [2, 2, 3], "y": [3, 4, 5]})]
    publish(path, parts, row_group_size=1)
    assert lookup(path, ["k"], pa.array([3, 2]))["y"].to_pylist() == [5, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(range(-500, 500), pa.int16()),
        pa.array([f"é{n:04d}" for n in range(1000)]),
        pa.array([date(1950, 1, 1) + timedelta(n * 50) for n in range(1000)]),
        pa.array([START + timedelta(microseconds=n * 999) for n in range(1000)], pa.timestamp("us", "UTC")),
    ],
    ids=lambda values: str(values.type),
)
def test_every_type_of_key_is_found_and_pruned(path: str, values: pa.Array) -> None:
    table = pa.table({"k": values, "n": range(1000)})
    publish(path, [table.slice(0, 500), table.slice(500)], row_group_size=50)
    found = search(path, ["k"], values.take(pa.array([0, 499, 500, 777])))
    assert found.rows["n"].to_pylist() == [0, 499, 500, 777]
    assert decoded(found) == [2, 2]


def test_a_composite_key_is_matched_whole_and_pruned_by_both_columns(path: str) -> None:
    table = pa.table(
        {"carrier": [c for c in ("AA", "UA") for _ in range(1000)], "n": [*range(1000)] * 2, "y": range(2000)}
    )
    publish(path, table, key="carrier", row_group_size=100)
    keys = pa.table({"n": [5, 999, 1000, 5], "carrier": ["UA", "AA", "AA", "XX"], "note": [0, 0, 0, 0]})
    found = search(path, ["carrier", "n"], keys)
    assert found.rows["y"].to_pylist() == [1005, 999]
    assert found.asked.to_pylist() == [0, 1]
    assert decoded(found) == [2]


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=60),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=10),
    st.integers(1, 9),
)
def test_a_lookup_finds_what_a_scan_finds(
    tmp_path_factory: pytest.TempPathFactory, held: list, asked: list, size: int
) -> None:
    path = str(tmp_path_factory.mktemp("scan"))
    held = sorted(held)
    table = pa.table({"a": [a for a, _ in held], "b": [b for _, b in held], "i": range(len(held))})
    publish(path, [table.slice(0, len(held) // 2), table.slice(len(held) // 2)], key="a", row_group_size=size)
    keys = pa.Table.from_pylist(
        [{"a": a, "b": b} for a, b in asked], pa.schema([("a", pa.string()), ("b", pa.int64())])
    )
    assert lookup(path, ["a", "b"], keys)["i"].to_pylist() == [
        i for key in asked for i, row in enumerate(held) if row == key
    ]


def test_the_newest_night_is_the_greatest_date(path: str) -> None:
    publish(path, rows(3, 0.2), date="2026-01-02")
    publish(path, rows(3, 0.1), date="2026-01-01")
    assert lookup(path, ["k"], pa.array([1]))["date"].to_pylist() == ["2026-01-02"]
    assert lookup(path, ["k"], pa.array([1]), "2026-01-01")["date"].to_pylist() == ["2026-01-01"]
    everywhere = search(path, ["k"], pa.array([2, 1]), all_dates=True)
    assert everywhere.rows.select(["k", "date"]).to_pylist() == [
        {"k": k, "date": day} for k in (2, 1) for day in ("2026-01-01", "2026-01-02")
    ]
    assert everywhere.asked.to_pylist() == [0, 0, 1, 1]


def test_only_what_is_published_now_is_found(path: str) -> None:
    publish(path, rows(9, 0.1), attempt=1, score_id=A)
    publish(path, rows(3, 0.25), attempt=2, score_id=B)
    found = lookup(path, ["k"], pa.array([1, 5]))
    assert found.select(["k", "y"]).to_pylist() == [{"k": 1, "y": 0.25}]


def test_an_empty_night_holds_no_key(path: str) -> None:
    publish(path, rows(3), date="2026-01-01")
    publish(path, rows(0), date="2026-01-02")
    assert lookup(path, ["k"], pa.array([1])).num_rows == 0
    assert lookup(path, ["k"], pa.array([1]), all_dates=True).num_rows == 1


def test_no_keys_find_no_rows(path: str) -> None:
    publish(path)
    found = search(path, ["k"], pa.array([], pa.int64()))
    assert (found.rows.num_rows, found.visits) == (0, ())


def test_old_nights_are_null_in_a_column_that_is_new(path: str) -> None:
    publish(path, date="2026-01-01")
    publish(path, rows().append_column("z", pa.array(["x"] * 3)), date="2026-01-02")
    assert lookup(path, ["k"], pa.array([1]), all_dates=True)["z"].to_pylist() == [None, "x"]
    by_new_column = search(path, ["z"], pa.array(["x"]), all_dates=True)
    assert by_new_column.rows["date"].to_pylist() == ["2026-01-02"] * 3


def test_a_compacted_table_is_looked_up_too(path: str) -> None:
    publish(path, [rows(100), rows(100)], row_group_size=10)
    DeltaTable(path).optimize.compact()
    assert lookup(path, ["k"], pa.array([42]))["k"].to_pylist() == [42, 42]


def test_files_without_statistics_are_searched_whole(path: str) -> None:
    publish(path, rows(100), key="y", row_group_size=10)  # the log bounds another column
    found = search(path, ["k"], pa.array([42]))
    assert found.rows["k"].to_pylist() == [42]
    assert decoded(found) == [1]


def test_a_night_that_was_never_published(path: str) -> None:
    with pytest.raises(Unpublished, match="no night is published yet"):
        lookup(path, ["k"], pa.array([1]))
    publish(path, date="2026-01-02")
    with pytest.raises(Unpublished, match=r"2026-01-01 was never .* the newest published night is 2026-01-02") as error:
        lookup(path, ["k"], pa.array([1]), "2026-01-01")
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("key", "keys", "said"),
    [
        ([], pa.array([1]), r"has no key .* newest published night is 2026-01-01"),
        (["other"], pa.array([1]), "the table has no column other"),
        (["k"], pa.array(["x"]), "not of the table's type"),
        (["k", "y"], pa.table({"k": [1]}), "y is missing"),
    ],
)
def test_keys_that_cannot_be_looked_up(path: str, key: list[str], keys: pa.Array, said: str) -> None:
    publish(path)
    with pytest.raises(UsageError, match=said):
        lookup(path, key, keys)
