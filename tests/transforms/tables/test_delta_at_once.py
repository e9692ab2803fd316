"""Several commits at once, and commits whose answer was lost."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier

import polars as pl
import pytest
from deltalake import DeltaTable

from highbeam.schemas.errors import HighbeamError, Superseded
from highbeam.transforms.tables import delta, log

from tests.support.nights import DAY, SCHEMA, B, held, log_entries, publish, publish_at_once, rows, write

DAYS = [str(date(2026, 1, 1) + timedelta(n)) for n in range(8)]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "predictions")


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
