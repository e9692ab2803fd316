"""Columns of a published table that come, go and change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from threading import Barrier

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from highbeam.schemas.errors import Refused, UsageError
from highbeam.transforms.tables import delta, log
from highbeam.transforms.tables.base import Publication, Written
from highbeam.transforms.tables.delta_table import DeltaPredictions

from tests.support.nights import SCHEMA, held, log_entries, publish, rows, write


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "predictions")


def by_duckdb(path: str, query: str) -> list[tuple]:
    """Asks DuckDB, which knows the table's files as $files and the table as t."""
    table = DeltaTable(path)
    with duckdb.connect() as connection:
        connection.register("t", table.to_pyarrow_dataset())
        parameters = {"files": table.file_uris()} if "$files" in query else None
        return connection.execute(query, parameters).fetchall()


def grown(n: int = 3) -> pa.Table:
    return rows(n).append_column("embedding", pa.array([[1.0, 2.0]] * n, pa.list_(pa.float32())))


def test_old_nights_read_null_in_a_column_that_is_new(path: str) -> None:
    publish(path, date="2026-01-01")
    delta.check_schema(path, grown().schema)
    publish(path, grown(), date="2026-01-02")
    expected = [None] * 3 + [[1.0, 2.0]] * 3
    columns = ("date", "k", "embedding")
    assert [row["embedding"] for row in held(path, columns)] == expected
    assert DeltaTable(path).to_pyarrow_dataset().count_rows(pc.field("date") == "2026-01-01") == 3
    assert pl.read_delta(path).sort("date", "k")["embedding"].to_list() == expected
    files = "read_parquet($files, union_by_name=true, hive_partitioning=true)"
    assert by_duckdb(path, f"select embedding from {files} order by date, k") == [(row,) for row in expected]
    assert by_duckdb(path, "select embedding from t order by date, k") == [(row,) for row in expected]


def test_the_order_of_columns_does_not_matter(path: str) -> None:
    publish(path, date="2026-01-01")
    publish(path, rows().select(["y", "k"]), date="2026-01-02")
    assert len(held(path)) == 6
    assert sum("metaData" in entry for entry in log_entries(path)) == 1


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (pa.schema([("k", pa.int64())]), "column y is in the table and no longer in the job"),
        (
            pa.schema([("k", pa.int64()), ("y", pa.string())]),
            "column y is float32 in the table and would become string",
        ),
        (pa.schema([("k", pa.int32()), ("y", pa.float32())]), "column k is int64 in the table and would become int32"),
    ],
)
def test_a_lost_or_changed_column_is_refused(path: str, schema: pa.Schema, said: str) -> None:
    publish(path)
    with pytest.raises(UsageError, match=said) as error:
        delta.check_schema(path, schema)
    assert error.value.exit_code == 2
    before = log_entries(path)
    night = write(path, rows().select(schema.names).cast(schema), date="2026-01-02")
    with pytest.raises(Refused, match=said) as refusal:
        night.commit(path)
    assert (refusal.value.exit_code, refusal.value.reason) == (3, "schema_changed")
    assert log_entries(path) == before
    assert len(held(path)) == 3


def test_a_table_that_grew_meanwhile_is_seen_when_it_is_committed(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the older job must not take the new column away from the nights that have it."""
    publish(path, date="2026-01-01")
    night = write(path, rows(), date="2026-01-03")
    real = log._overwrite

    def grows_first(*args) -> None:
        monkeypatch.setattr(log, "_overwrite", real)
        publish(path, grown(), date="2026-01-02")
        real(*args)

    monkeypatch.setattr(log, "_overwrite", grows_first)
    with pytest.raises(Refused, match="column embedding is in the table"):
        night.commit(path)
    assert delta.dates(path) == ["2026-01-01", "2026-01-02"]
    assert held(path, ("date", "k", "embedding"))[-1]["embedding"] == [1.0, 2.0]


def test_two_that_add_different_columns_at_once_do_not_both_win_unseen(path: str) -> None:
    publish(path)
    gate = Barrier(2)

    def add(day: str, name: str) -> str:
        night = write(path, rows().append_column(name, pa.array(["x"] * 3)), date=day)
        gate.wait()
        try:
            night.commit(path)
        except Refused as error:
            return error.reason
        return name

    with ThreadPoolExecutor(2) as pool:
        ended = set(pool.map(add, ["2026-01-02", "2026-01-03"], ["p", "q"]))
    assert "schema_changed" in ended
    added = (ended - {"schema_changed"}).pop()
    assert [row[added] for row in held(path, ("date", "k", added))] == [None] * 3 + ["x"] * 3


def test_a_table_with_renamed_columns_is_not_ours_to_read(path: str) -> None:
    DeltaTable.create(
        path,
        delta.table_schema(SCHEMA),
        partition_by=["date"],
        configuration={"delta.minReaderVersion": "2", "delta.minWriterVersion": "5"},
    )
    with pytest.raises(UsageError, match="columnMapping"):
        delta.dates(path)


def test_three_readers_agree_on_every_type(path: str) -> None:
    noon = pa.scalar(1_767_268_800_000_000, pa.int64()).cast(pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            "k": pa.array([1, 2], pa.int8()),
            "s": pa.array(["a", None]),
            "t": pa.array([noon.as_py(), None], pa.timestamp("us", "UTC")),
            "d": pa.array([date(2026, 1, 1), None]),
            "m": pa.array([None, 1], pa.decimal128(38, 9)),
            "b": pa.array([b"\x00", None]),
            "v": pa.array([[1.0, 2.0], None], pa.list_(pa.float32())),
            "top": pa.array([[{"label": "x", "score": 0.5}], None]),
        }
    )
    publish(path, table)
    expected = DeltaTable(path).to_pyarrow_table().drop_columns("date").sort_by("k").to_pylist()
    assert expected == table.to_pylist()
    assert pl.read_delta(path).drop("date").sort("k").to_dicts() == expected
    found = by_duckdb(path, "select * exclude (date) from read_parquet($files) order by k")
    assert found == [tuple(row.values()) for row in expected]


@pytest.mark.parametrize("key", [("k",), ()])
def test_a_filter_finds_rows_by_columns_of_which_the_log_knows_no_range(tmp_path: Path, key: tuple[str, ...]) -> None:
    night = write(str(tmp_path), rows(y=0.5))
    files = tuple(Written(file.path, file.size, file.rows) for file in night.files)
    published = Publication(night.date, night.run_id, night.attempt, files, night.schema, key)
    DeltaPredictions(str(tmp_path)).commit(published)
    table = DeltaTable(str(tmp_path))
    assert table.to_pyarrow_table(filters=[("y", "<", 1.0)]).num_rows == 3
    assert table.to_pyarrow_table(filters=[("k", ">", 0), ("y", ">=", 0.5)]).num_rows == 2
    assert [name for name in log.entries(table).column_names if name.startswith("min.")] == [
        f"min.{name}" for name in key
    ]
