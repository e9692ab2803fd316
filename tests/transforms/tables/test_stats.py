from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from highbeam.transforms.tables.stats import DataFile, data_file

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def written(folder: Path, table: pa.Table, **options) -> DataFile:
    pq.write_table(table, folder / "x.parquet", row_group_size=2, store_schema=False, **options)
    return data_file(str(folder), "x.parquet", table.schema.names[0])


CASES = [
    (pa.array([-5, 3, 2**62 + 1]), -5, 2**62 + 1),
    (pa.array([1, 2, 3], pa.int8()), 1, 3),
    (pa.array(["b", "a" * 500, "ü" * 500]), "a" * 500, "ü" * 500),
    (pa.array(["z", "é", "😀"]), "z", "😀"),
    (pa.array([date(2026, 1, 2), date(1969, 1, 1), date(2026, 1, 1)]), "1969-01-01", "2026-01-02"),
    (
        pa.array([NOON, NOON + timedelta(milliseconds=5), NOON - timedelta(1)], pa.timestamp("us", "UTC")),
        "2025-12-31T12:00:00.000Z",
        "2026-01-01T12:00:00.005Z",
    ),
    (
        pa.array([NOON, NOON + timedelta(microseconds=1)], pa.timestamp("us", "UTC")),
        "2026-01-01T12:00:00.000Z",
        "2026-01-01T12:00:00.000001Z",
    ),
]


@pytest.mark.parametrize(("values", "low", "high"), CASES)
def test_the_log_gets_exact_ends(tmp_path: Path, values: pa.Array, low: object, high: object) -> None:
    file = written(tmp_path, pa.table({"k": values, "y": pa.array([None] * len(values), pa.float32())}))
    assert json.loads(file.stats) == {
        "numRecords": len(values),
        "minValues": {"k": low},
        "maxValues": {"k": high},
        "nullCount": {"k": 0, "y": len(values)},
    }
    assert file.size == (tmp_path / "x.parquet").stat().st_size


def test_columns_of_lists_and_structs_are_not_counted(tmp_path: Path) -> None:
    nested = {"l": [[1], None, []], "s": [{"l": 1}, None, {"l": 2}]}
    assert set(written(tmp_path, pa.table({"k": [1, 2, 3], **nested})).nulls) == {"k"}


def test_a_file_without_rows_has_no_ends(tmp_path: Path) -> None:
    file = written(tmp_path, pa.table({"k": pa.array([], pa.int64())}))
    assert json.loads(file.stats) == {"numRecords": 0, "minValues": {}, "maxValues": {}, "nullCount": {}}


def test_a_file_without_statistics_claims_nothing(tmp_path: Path) -> None:
    file = written(tmp_path, pa.table({"k": [1, 2, 3]}), write_statistics=False)
    assert (file.rows, file.min, file.max, file.nulls) == (3, {}, {}, {})


def test_one_row_group_without_statistics_leaves_the_ends_open(tmp_path: Path) -> None:
    file = written(tmp_path, pa.table({"k": ["a", "b", "c" * 10_000]}))  # too long for pyarrow's statistics
    assert (file.rows, file.min, file.max) == (3, {}, {})


def test_a_table_without_a_key_has_no_ends(tmp_path: Path) -> None:
    written(tmp_path, pa.table({"k": [1]}))
    assert data_file(str(tmp_path), "x.parquet").min == {}
