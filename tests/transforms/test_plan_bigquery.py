"""What is read of BigQuery is settled when a run is planned."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from highbeam.schemas.errors import JobError, UsageError
from highbeam.schemas.job import Job
from highbeam.schemas.split import Split
from highbeam.transforms.bigquery_session import Session, open_session
from highbeam.transforms.formats.bigquery_rows import BigQueryFormat
from highbeam.transforms.plan_bigquery import NightlyRows, estimate

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_storage import DAY, StorageProxy, flights_of, reading
from tests.support.bigquery_storage import reads as reads

N = 5000
OPEN = "highbeam.transforms.plan_bigquery.open_session"


@pytest.fixture
def job(warehouse: Warehouse, reads: StorageProxy, tmp_path: Path) -> Job:
    return reading(tmp_path, f"{{table: {flights_of(warehouse, N)}}}", model=False)


def keys(job: Job, splits: list[Split]) -> list[int]:
    """The keys of all rows."""
    assert job.source.bigquery
    format = BigQueryFormat(job.source.bigquery)
    batches = [batch for split in splits for batch in format.read(split, job.read_contract, 1 << 20)]
    return [key for batch in batches for key in batch.rows["k"].to_pylist()]


def sessions(job: Job) -> list[Path]:
    return sorted((Path(job.folder) / "table/_highbeam/sessions" / DAY).glob("*"))


def test_a_second_planning_finds_the_session_of_the_first(job: Job, reads: StorageProxy) -> None:
    first = NightlyRows(job, DAY)
    splits = first.splits()
    assert first.readable()
    assert reads.read == []  # made now: nobody asks
    second = NightlyRows(job, DAY)
    assert second.splits() == splits
    assert second.readable()
    assert (len(reads.made), len(reads.read), len(sessions(job))) == (1, 1, 1)


def test_rows_are_those_of_the_planning(job: Job, warehouse: Warehouse, reads: StorageProxy) -> None:
    splits = NightlyRows(job, DAY).splits()
    warehouse.ask(f"DELETE FROM `{warehouse.dataset}.night` WHERE k < 700")
    assert keys(job, splits) == list(range(N))
    changed = NightlyRows(job, DAY).splits()
    assert keys(job, changed) == list(range(700, N))
    assert {split.mark for split in splits}.isdisjoint(split.mark for split in changed)


def test_rows_added_between_planning_and_session_are_not_taken(
    job: Job, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the version seen is not the one read, and the table is looked at once more."""
    turns: list[Session] = []

    def then(*arguments: Any) -> Session:
        session = open_session(*arguments)
        if not turns:
            warehouse.ask(f"DELETE FROM `{warehouse.dataset}.night` WHERE k < 700")
        turns.append(session)
        return session

    monkeypatch.setattr(OPEN, then)
    assert keys(job, NightlyRows(job, DAY).splits()) == list(range(700, N))
    assert len(turns) == 2


@pytest.mark.parametrize("how", ["the time is up", "the service has lost it"])
def test_a_session_that_is_over_is_known_and_followed_by_another(job: Job, reads: StorageProxy, how: str) -> None:
    splits = NightlyRows(job, DAY).splits()
    if how == "the time is up":
        (path,) = sessions(job)
        path.write_text(json.dumps({**json.loads(path.read_text()), "expires": time.time() + 100}))
    else:
        reads.gone = True
    again = NightlyRows(job, DAY)
    assert again.splits() == splits
    assert not again.readable()
    reads.gone = False
    anew = again.anew()
    assert again.readable()
    assert [split.mark[:16] for split in anew] == [split.mark[:16] for split in splits]
    assert {split.mark for split in anew}.isdisjoint(split.mark for split in splits)
    assert keys(job, anew) == list(range(N))
    assert NightlyRows(job, DAY).splits() == anew


def test_of_two_that_plan_at_once_one_session_is_kept(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = NightlyRows(job, DAY), NightlyRows(job, DAY)
    between: list[list[Split]] = []

    def then(*arguments: Any) -> Session:
        session = open_session(*arguments)
        monkeypatch.setattr(OPEN, open_session)
        between.append(second.splits())
        return session

    monkeypatch.setattr(OPEN, then)
    assert first.splits() == between[0]
    assert len(sessions(job)) == 1


def test_where_split_size_and_date(warehouse: Warehouse, reads: StorageProxy, tmp_path: Path) -> None:
    flights_of(warehouse, N, "night_20131201")
    source = f"{{table: '{warehouse.dataset}.night_{{date:%Y%m%d}}', where: \"day = '{{date}}' AND k < 900\"}}"
    job = reading(tmp_path, source, model=False)
    splits = NightlyRows(job, DAY).splits()
    assert len(splits) == 2  # of at most 3, by the table's bytes
    larger = reading(tmp_path, source, model=False, overrides=["source.split_size=131072"])
    assert NightlyRows(larger, DAY).splits()[0].mark[:16] != splits[0].mark[:16]
    assert keys(job, splits) == list(range(900))
    warehouse.ask(
        f"CREATE SNAPSHOT TABLE `{warehouse.dataset}.night_20131203` CLONE `{warehouse.dataset}.night_20131201`"
    )
    assert keys(job, NightlyRows(job, "2013-12-03").splits()) == []  # the rows are of another day
    with pytest.raises(UsageError, match=r"night_20131202: .*[Nn]ot found.*; correct the name, or wait for the table"):
        NightlyRows(job, "2013-12-02").splits()


def test_a_query_is_run_once(warehouse: Warehouse, reads: StorageProxy, tmp_path: Path) -> None:
    flights_of(warehouse, N)
    query = f"SELECT k, g, x FROM `{warehouse.dataset}.night` WHERE day = @date AND k < 800 ORDER BY k DESC"
    job = reading(tmp_path, f'{{query: "{query}", project: demo}}', model=False)
    first = NightlyRows(job, DAY).splits()
    assert keys(job, first) == list(range(799, -1, -1))
    (ran,) = [job for job in warehouse.client.list_jobs(all_users=True) if job.job_id.startswith("highbeam-read-")][:1]
    assert first[0].file == f"bigquery://demo/{ran.job_id}/streams/0000"
    assert NightlyRows(job, DAY).splits() == first
    for path in sessions(job):
        path.unlink()  # as if it had died before it could keep the session
    assert [split.file for split in NightlyRows(job, DAY).splits()] == [split.file for split in first]
    warehouse.ask(f"DELETE FROM `{warehouse.dataset}.night` WHERE k < 700")
    assert keys(job, NightlyRows(job, DAY).splits()) == list(range(799, 699, -1))
    assert NightlyRows(job, "2013-12-02").splits() == []


def test_a_query_whose_tables_cannot_be_told_is_run_each_time(
    warehouse: Warehouse, reads: StorageProxy, tmp_path: Path
) -> None:
    table = flights_of(warehouse, N)
    warehouse.ask(f"CREATE VIEW `{warehouse.dataset}.seen` AS SELECT * FROM `{table}`")
    job = reading(tmp_path, f"{{query: 'SELECT * FROM `{warehouse.dataset}.seen`', project: demo}}", model=False)
    first, second = NightlyRows(job, DAY).splits(), NightlyRows(job, DAY).splits()
    assert {split.mark for split in first}.isdisjoint(split.mark for split in second)
    assert len(keys(job, second)) == N


def test_check_runs_and_keeps_nothing(job: Job, warehouse: Warehouse, reads: StorageProxy, tmp_path: Path) -> None:
    seen = estimate(job, DAY)
    assert (seen.name, seen.rows, seen.streams) == (f"{warehouse.dataset}.night", N, 3)
    assert seen.text().startswith(f"{warehouse.dataset}.night: rows: 5,000, bytes: ")
    query = reading(tmp_path, f"{{query: 'SELECT * FROM `{warehouse.dataset}.night`', project: demo}}", model=False)
    jobs = len(list(warehouse.client.list_jobs(all_users=True)))
    assert estimate(query, DAY).text().startswith("source.bigquery.query: bytes to read: ")
    assert len(list(warehouse.client.list_jobs(all_users=True))) == jobs
    assert sessions(job) == []
    NightlyRows(job, DAY, keeps=False).splits()
    assert not os.path.exists(tmp_path / "table")


WRONG = {
    "{table: $d.nix}": r"\$d.nix: .*[Nn]ot found.*; correct the name, or wait for the table",
    "{table: $d.seen}": r"\$d.seen: is a view, which cannot be read as a table; write query: SELECT … FROM `\$d.seen`",
    "{table: $d.less}": r"\$d.less: column k holds bool, of which no int64 .*\n\$d.less: lacks 'x'; it has k, g",
    "{table: $d.night, where: nix = 1}": "night: BigQuery says: .*; correct source.bigquery.where",
    "{query: SELECT nix FROM `$d.night`, project: demo}": "says: Unrecognized name: nix; correct source.bigquery.query",
    "{query: SELECT k FROM `$d.night`, project: demo}": r"source.bigquery.query: lacks 'g'",
    "{query: DELETE FROM `$d.night` WHERE k = 1, project: demo}": r"query: is DELETE, no SELECT; write one that only",
}


@pytest.mark.parametrize("source", WRONG)
def test_what_cannot_be_read_is_told_before(
    source: str, warehouse: Warehouse, reads: StorageProxy, tmp_path: Path
) -> None:
    flights_of(warehouse, 10)
    warehouse.ask(f"CREATE VIEW `{warehouse.dataset}.seen` AS SELECT 1 AS k")
    warehouse.ask(f"CREATE TABLE `{warehouse.dataset}.less` AS SELECT TRUE AS k, 'a' AS g")
    job = reading(tmp_path, source.replace("$d", warehouse.dataset), model=False)
    for look in (lambda: estimate(job, DAY), NightlyRows(job, DAY).splits):
        with pytest.raises(UsageError, match=WRONG[source].replace(r"\$d", warehouse.dataset)) as error:
            look()
        assert error.value.exit_code == 2
    assert warehouse.ask(f"SELECT COUNT(*) FROM `{warehouse.dataset}.night`") == [(10,)]


def test_a_missing_permission_is_told(job: Job, reads: StorageProxy) -> None:
    reads.denied = True
    with pytest.raises(UsageError, match=r"readsessions.create; ask for the roles BigQuery Data Viewer, BigQuery Read"):
        estimate(job, DAY)


def test_nobody_there_and_nobody_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("highbeam.transforms.tables.bigquery_told.PATIENCE", 0.1)
    for source in ("{table: demo.a.b}", "{query: SELECT 1, project: demo}"):
        job = reading(tmp_path, source, model=False)
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:1")
        with pytest.raises(UsageError, match=r"(demo.a.b|query): BigQuery .*(Connection refused|try again|network)"):
            estimate(job, DAY)
        monkeypatch.delenv("BIGQUERY_EMULATOR_HOST")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
        with pytest.raises(UsageError, match=r"BigQuery: no credentials for Google Cloud \(.*none.json"):
            estimate(job, DAY)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{}", "name one of table and query, found none"),
        ("{table: a.b.c, query: SELECT 1, project: p}", "found both"),
        ("{query: SELECT 1}", "a query needs project"),
        ("{query: SELECT 1, project: p, where: a = 1}", "where belongs to table"),
        ("{table: 'night_{date}'}", r"source.bigquery.table: write project.dataset.name, found night_\{date\}"),
    ],
)
def test_what_job_yaml_may_say(source: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=said):
        reading(tmp_path, source, model=False)
