"""A night is published into its partition once, and the partition tells by whom."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from highbeam.schemas.errors import Superseded, UsageError
from highbeam.transforms.tables import delta

from tests.support.nights import DAY, SCHEMA, A, B, C, Night, held, log_entries, publish, rows, write


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "predictions")


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
