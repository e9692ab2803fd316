from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from highbeam.schemas.errors import HighbeamError, Refused, Superseded, UsageError
from highbeam.transforms.tables import delta, log

from tests.support.nights import DAY, SCHEMA, A, B, C, Night, publish, publish_at_once, rows, write

DAYS = [str(date(2026, 1, 1) + timedelta(n)) for n in range(8)]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "predictions")


def held(path: str, columns: tuple[str, ...] = ("date", "k", "y")) -> list[dict]:
    table = DeltaTable(path).to_pyarrow_table()
    rows: list[dict] = table.select(list(columns)).sort_by([("date", "ascending"), ("k", "ascending")]).to_pylist()
    return rows


def by_duckdb(path: str, query: str) -> list[tuple]:
    """Asks DuckDB, which knows the table's files as $files and the table as t."""
    table = DeltaTable(path)
    with duckdb.connect() as connection:
        connection.register("t", table.to_pyarrow_dataset())
        parameters = {"files": table.file_uris()} if "$files" in query else None
        return connection.execute(query, parameters).fetchall()


def log_entries(path: str) -> list[dict]:
    return [
        json.loads(line)
        for file in sorted(Path(path, "_delta_log").glob("*.json"))
        for line in file.read_text().splitlines()
    ]


def test_a_table_that_is_not_there(path: str) -> None:
    assert delta.current(path, DAY) is None
    assert delta.dates(path) == []
    delta.check_schema(path, SCHEMA)
    assert not Path(path).exists()


def test_a_published_night_is_what_the_partition_holds(path: str) -> None:
    night = publish(path, [rows(3), rows(2)], attempt=1, score_id=A)
    now = delta.current(path, DAY)
    assert now == delta.Current(night.run_id, 1, A, tuple(f.path for f in night.files), 5, 1)
    assert delta.current(path, "2026-01-02") is None
    assert delta.dates(path) == [DAY]


def test_the_commit_says_who_made_it_and_where_the_keys_lie(path: str) -> None:
    night = publish(path, rows(7))
    info = next(entry["commitInfo"] for entry in reversed(log_entries(path)) if "commitInfo" in entry)
    assert (info["run_id"], info["job"]) == (night.run_id, "flights")
    added = next(entry["add"] for entry in log_entries(path) if "add" in entry)
    stats = json.loads(added["stats"])
    assert (stats["numRecords"], stats["minValues"], stats["maxValues"]) == (7, {"k": 0}, {"k": 6})


def test_a_second_commit_of_a_run_changes_nothing(path: str) -> None:
    night = publish(path)
    before = log_entries(path)
    assert night.commit(path) == 1
    assert log_entries(path) == before


def test_a_roll_back_publishes(path: str) -> None:
    for attempt, (score_id, y) in enumerate([(A, 0.1), (B, 0.2), (A, 0.3)], start=1):
        publish(path, rows(2, y), attempt=attempt, score_id=score_id)
        now = delta.current(path, DAY)
        assert now
        assert (now.score_id, now.attempt) == (score_id, attempt)
        assert [round(row["y"], 1) for row in held(path)] == [y, y]


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_run_gives_way_to_another_of_its_attempt_or_later(path: str, attempt: int) -> None:
    publish(path, rows(1), attempt=2, score_id=B)
    with pytest.raises(Superseded, match=f"run {DAY}-0002-{B} published this night") as error:
        publish(path, rows(3), attempt=attempt, score_id=C)
    assert error.value.exit_code == 3
    assert len(held(path)) == 1


def test_nothing_is_removed_or_overwritten(path: str) -> None:
    first = publish(path, attempt=1, score_id=A)
    kept = {file.path: Path(path, file.path).read_bytes() for file in first.files}
    publish(path, attempt=2, score_id=B)
    assert kept == {name: Path(path, name).read_bytes() for name in kept}


def test_an_empty_night_is_a_partition_too(path: str) -> None:
    publish(path, rows(0))
    now = delta.current(path, DAY)
    assert now
    assert now.rows == 0
    assert delta.dates(path) == [DAY]
    assert delta.model_version(path, now) is None


def test_a_night_without_files_is_a_mistake(path: str) -> None:
    with pytest.raises(ValueError, match="has no file"):
        Night(DAY, 1, A, (), SCHEMA).commit(path)


def test_files_of_another_run_cannot_be_committed(path: str) -> None:
    night = write(path, rows(), attempt=1)
    with pytest.raises(ValueError, match="does not name the night"):
        Night(DAY, 2, A, night.files, SCHEMA).commit(path)
    with pytest.raises(ValueError, match="does not name the night"):
        Night("2026-01-02", 1, A, night.files, SCHEMA).commit(path)


def test_the_model_version_is_read_from_the_files(path: str) -> None:
    versions = [rows(3).append_column("_model_version", pa.array(["7"] * 3)) for _ in range(2)]
    publish(path, versions)
    now = delta.current(path, DAY)
    assert now
    assert delta.model_version(path, now) == "7"


def test_a_compacted_partition_still_tells_its_run(path: str) -> None:
    night = Night(DAY, 1, A, (), SCHEMA)
    part = rows(3).append_column("_run_id", pa.array([night.run_id] * 3))
    publish(path, [part, part])
    DeltaTable(path).optimize.compact()
    now = delta.current(path, DAY)
    assert now
    assert len(now.files) == 1
    assert (now.run_id, now.score_id, now.rows) == (night.run_id, A, 6)


def test_a_partition_of_somebody_else_is_not_replaced(path: str) -> None:
    publish(path, date="2026-01-02")
    table = rows(2).append_column("date", pa.array([DAY] * 2))
    write_deltalake(path, table, mode="append")
    with pytest.raises(UsageError, match=f"date={DAY} does not hold the files of one run"):
        delta.current(path, DAY)
    with pytest.raises(UsageError, match="delete that partition"):
        publish(path)
    assert len(held(path)) == 5


# Many at once


def test_eight_nights_at_once_all_stand_though_there_is_no_table_yet(path: str) -> None:
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(4)
    nights = [write(path, rows(n + 1), date=day) for n, day in enumerate(DAYS)]
    processes = [context.Process(target=publish_at_once, args=(path, nights[n : n + 2], gate)) for n in range(0, 8, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    counts = pl.read_delta(path).group_by("date").len().sort("date").rows()
    assert counts == [(day, n + 1) for n, day in enumerate(DAYS)]
    assert sum("metaData" in entry for entry in log_entries(path)) == 1


@pytest.mark.parametrize("repetition", range(10))
def test_of_several_that_make_the_table_one_does(path: str, repetition: int) -> None:
    """A second creation would take back the columns and nights of the first."""
    gate = Barrier(6)

    def make(_: int) -> None:
        gate.wait()
        delta.open_or_create(path, delta.table_schema(SCHEMA))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(make, range(6)))
    assert sum("metaData" in entry for entry in log_entries(path)) == 1


def test_eight_nights_are_replaced_at_once(path: str) -> None:
    for day in DAYS:
        publish(path, rows(1), date=day)
    gate = Barrier(len(DAYS))

    def again(day: str) -> None:
        night = write(path, rows(2), date=day, attempt=2, score_id=B)
        gate.wait()
        night.commit(path)

    with ThreadPoolExecutor(len(DAYS)) as pool:
        list(pool.map(again, DAYS))
    assert [row["date"] for row in held(path)] == [day for day in DAYS for _ in range(2)]


@pytest.mark.parametrize("repetition", range(3))
def test_of_several_runs_of_one_night_one_stands(path: str, repetition: int) -> None:
    """Of two overwrites of an empty partition delta-rs, left to retry by itself, keeps both."""
    delta.open_or_create(path, delta.table_schema(SCHEMA))
    gate = Barrier(4)

    def run(score_id: str) -> str:
        night = write(path, rows(3), score_id=score_id)
        gate.wait()
        try:
            night.commit(path)
        except Superseded:
            return "superseded"
        return score_id

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(run, ("1" * 16, "2" * 16, "3" * 16, "4" * 16)))
    now = delta.current(path, DAY)
    assert now
    assert sorted(ended) == sorted([now.score_id, *["superseded"] * 3])
    assert len(held(path)) == 3


def test_one_run_twice_at_once_is_published_once(path: str) -> None:
    night = write(path, rows(3))
    gate = Barrier(4)

    def run(_: int) -> None:
        gate.wait()
        night.commit(path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert len(held(path)) == 3
    assert sum("add" in entry for entry in log_entries(path)) == 1


def test_a_run_that_always_comes_second_gives_up(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(path, date="2026-02-01")
    real, others = log._overwrite, iter(range(2, 1000))

    def overtaken(table: DeltaTable, partition: dict, *rest) -> None:
        other = write(path, rows(1), date="2026-02-01", attempt=next(others), score_id=B)
        monkeypatch.setattr(log, "_overwrite", real)
        other.commit(path)
        monkeypatch.setattr(log, "_overwrite", overtaken)
        real(table, partition, *rest)

    monkeypatch.setattr(log, "_overwrite", overtaken)
    monkeypatch.setattr(log, "_pause", lambda turn: 0)
    with pytest.raises(HighbeamError, match="20 commits of others came first") as error:
        publish(path)
    assert error.value.exit_code == 1
    assert delta.dates(path) == ["2026-02-01"]


# Answers that were lost


def test_a_commit_whose_answer_was_lost_is_found(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = log._overwrite

    def lose_the_answer(*args) -> None:
        real(*args)
        raise OSError("connection reset")

    monkeypatch.setattr(log, "_overwrite", lose_the_answer)
    night = publish(path)
    now = delta.current(path, DAY)
    assert now
    assert now.run_id == night.run_id
    assert len(held(path)) == 3


def test_a_commit_that_did_not_land_fails_as_it_did(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_overwrite", _unreachable)
    with pytest.raises(OSError, match="no route"):
        publish(path)
    assert delta.current(path, DAY) is None


def _unreachable(*_) -> None:
    raise OSError("no route")


def test_a_lost_answer_after_which_another_won_is_superseded(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = log._overwrite

    def overtaken(*args) -> None:
        monkeypatch.setattr(log, "_overwrite", real)
        publish(path, attempt=2, score_id=B)
        raise OSError("connection reset")

    monkeypatch.setattr(log, "_overwrite", overtaken)
    with pytest.raises(Superseded):
        publish(path)


# Columns that come and go


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
