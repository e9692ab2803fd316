"""Nights in BigQuery, over HTTP, with an emulator that was taught partitions: tests/support/bigquery_emulator.py."""

from __future__ import annotations

import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from highbeam.schemas.errors import HighbeamError, Refused, Superseded, Unpublished, UsageError
from highbeam.transforms.tables import bigquery_jobs
from highbeam.transforms.tables import rejects as rejects_table
from highbeam.transforms.tables.base import Publication
from highbeam.transforms.tables.bigquery import BigQueryPredictions
from highbeam.transforms.tables.bigquery_load import Destination

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_nights import DAY, SCHEMA, A, B, C, Nights
from tests.support.bigquery_nights import nights as nights


def test_a_table_that_is_not_there(nights: Nights, warehouse: Warehouse) -> None:
    table = nights.table
    assert (table.current(DAY), table.dates(), table.unusable()) == (None, [], None)
    table.check_schema(SCHEMA)
    assert list(warehouse.client.list_tables(warehouse.dataset)) == []
    with pytest.raises(Unpublished, match="no night is published yet"):
        table.search(["k"], pa.array([1]), None, False)


def test_a_published_night_is_what_the_partition_holds(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish((2,), date="2026-01-02")
    night = nights.publish((3,))
    now = nights.table.current(DAY)
    assert now
    assert (now.run_id, now.attempt, now.score_id, now.rows) == (night.run_id, 1, A, 3)
    assert now.files == tuple(file.file for file in night.files)
    assert nights.table.dates() == [DAY, "2026-01-02"]
    assert nights.table.model_version(now) == "7"
    assert warehouse.ask("SELECT k, y, date FROM $t ORDER BY date, k")[2] == (2, 0.5, datetime.date(2026, 1, 1))


def test_the_table_is_partitioned_clustered_described_and_labelled(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish()
    table = warehouse.client.get_table(warehouse.table)
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("DAY", "date")
    assert table.clustering_fields == ["k"]
    assert {field.name: field.field_type for field in table.schema} == {
        "k": "INTEGER",
        "y": "FLOAT",
        "_run_id": "STRING",
        "_model_version": "STRING",
        "date": "DATE",
    }
    assert all(field.description for field in table.schema)
    (job,) = warehouse.jobs()
    assert job.job_id == bigquery_jobs.job_id(warehouse.table, f"{DAY}-0001-{A}", 0)
    assert job.labels == {
        "job": "flight_delay",
        "score_id": A,
        "model_version": "7",
        "run_id": f"{DAY}-0001-{A}",
        "attempt": "1",
    }
    assert job.write_disposition == "WRITE_TRUNCATE"


def test_a_second_commit_of_a_run_changes_nothing(nights: Nights, warehouse: Warehouse) -> None:
    publication = nights.publish()
    nights.table.commit(publication)
    assert len(warehouse.jobs()) == 1


def test_a_roll_back_publishes_and_another_night_stays(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish((1,), date="2026-01-02")
    for attempt, (score_id, y) in enumerate([(A, 0.25), (B, 0.5), (A, 0.75)], start=1):
        nights.publish((2,), score_id, attempt, y=y)
        now = nights.table.current(DAY)
        assert now
        assert (now.score_id, now.attempt) == (score_id, attempt)
    assert warehouse.ask("SELECT date, COUNT(*), MIN(y), MAX(y) FROM $t GROUP BY 1 ORDER BY 1") == [
        (datetime.date(2026, 1, 1), 2, 0.75, 0.75),
        (datetime.date(2026, 1, 2), 1, 0.5, 0.5),
    ]


def test_a_run_gives_way_to_another_of_its_attempt_or_later(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish((1,), B, attempt=2)
    for attempt in (1, 2):
        with pytest.raises(Superseded, match=f"run {DAY}-0002-{B} published this night"):
            nights.publish((3,), C, attempt)
    assert warehouse.ask("SELECT COUNT(*) FROM $t") == [(1,)]


def test_a_replay_is_told_by_its_last_run(nights: Nights) -> None:
    first = nights.publish((4,))
    nights.publish((4,), B, attempt=2, kept=first.run_id)
    now = nights.table.current(DAY)
    assert now
    assert (now.score_id, now.attempt, now.rows) == (B, 2, 4)


def test_rows_of_somebody_else_are_not_replaced(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish()
    warehouse.ask(f"INSERT INTO $t (k, date) VALUES (9, DATE '{DAY}')")
    with pytest.raises(UsageError, match=r"does not hold the rows of one run of Highbeam, but of .*others"):
        nights.table.current(DAY)
    with pytest.raises(UsageError, match="delete it, or publish to another table"):
        nights.publish((1,), B, attempt=2)


def test_a_night_that_was_deleted_is_published_again_under_its_old_name(nights: Nights, warehouse: Warehouse) -> None:
    """The job of its name has long ended well: only the partition tells that it must run again."""
    nights.publish()
    warehouse.ask(f"DELETE FROM $t WHERE date = DATE '{DAY}'")
    assert nights.table.current(DAY) is None
    nights.publish()
    assert [job.job_id[-2:] for job in warehouse.jobs()] == ["-0", "-1"]
    assert warehouse.ask("SELECT COUNT(*) FROM $t") == [(3,)]


def test_a_night_that_does_not_hold_every_row_is_not_published(nights: Nights, warehouse: Warehouse) -> None:
    """A job that ended well says nothing of how many rows it loaded."""
    nights.publish()
    warehouse.ask(f"DELETE FROM $t WHERE date = DATE '{DAY}' AND k = 1")
    nights.publish()
    assert [job.job_id[-2:] for job in warehouse.jobs()] == ["-0", "-1"]
    assert warehouse.ask("SELECT COUNT(*), COUNT(DISTINCT k) FROM $t") == [(3, 3)]


def test_an_empty_night_counts_as_published(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish((2,))
    nights.publish((0,), B, attempt=2)
    now = nights.table.current(DAY)
    assert now
    assert (now.score_id, now.rows, len(now.files)) == (B, 0, 1)
    assert (nights.table.dates(), nights.table.model_version(now)) == ([DAY], None)
    assert warehouse.ask("SELECT COUNT(*) FROM $t") == [(0,)]
    nights.publish((0,), B, attempt=2)
    assert len(warehouse.jobs()) == 2
    nights.publish((5,), C, attempt=3)
    warehouse.ask(f"DELETE FROM $t WHERE date = DATE '{DAY}'")
    assert nights.table.current(DAY) is None


def test_several_files_come_in_at_once(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish((2,))
    more = pa.table({"z": pa.array([1], pa.int32())})
    night = nights.publish((1, 1, 1), B, attempt=2, more=more)
    assert warehouse.ask("SELECT k, z FROM $t ORDER BY k") == [(0, 1), (1, 1), (2, 1)]
    (copy,) = warehouse.jobs("copy")
    assert copy.job_id == bigquery_jobs.job_id(warehouse.table, night.run_id, 0)
    assert copy.labels["run_id"] == night.run_id
    assert [table.table_id for table in warehouse.client.list_tables(warehouse.dataset)] == ["scores"]
    (loaded,) = {job.write_disposition for job in warehouse.jobs()[1:]}
    assert loaded == "WRITE_APPEND"


@pytest.mark.parametrize("before", ["_upload", "_copy"])
def test_a_table_beside_that_lost_rows_is_not_copied(
    before: str, nights: Nights, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is killed before its second load or its copy; when it comes again, the table beside has expired."""
    nights.publish((4,))
    night = nights.written((2, 3), B, attempt=2)
    step = getattr(Destination, before)

    def killed(destination: Destination, *given: Any) -> Any:
        if before == "_copy" or given[0].endswith(night.files[1].file):
            raise KeyboardInterrupt
        return step(destination, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Destination, before, killed)
        with pytest.raises(KeyboardInterrupt):
            nights.table.commit(night)
    (beside,) = {job.destination for job in warehouse.jobs()[1:]}
    warehouse.client.delete_table(beside)
    nights.table.commit(night)
    assert [job.job_id for job in warehouse.jobs("copy")] == [bigquery_jobs.job_id(warehouse.table, night.run_id, 1)]
    assert warehouse.ask("SELECT COUNT(*), COUNT(DISTINCT k), MIN(_run_id) FROM $t") == [(5, 5, night.run_id)]


@pytest.mark.parametrize("answer", ["POST /upload", "GET .*/jobs/highbeam"])
def test_an_answer_that_is_lost_is_looked_up(nights: Nights, warehouse: Warehouse, answer: str) -> None:
    warehouse.proxy.lose(answer)
    nights.publish()
    assert warehouse.ask("SELECT COUNT(*) FROM $t") == [(3,)]
    assert len(warehouse.jobs()) == 1


def test_lost_answers_lead_to_no_second_copy(nights: Nights, warehouse: Warehouse) -> None:
    warehouse.proxy.lose("POST /upload", 2)
    warehouse.proxy.lose("POST /bigquery/v2/projects/demo/jobs")
    nights.publish((2, 3))
    assert warehouse.ask("SELECT COUNT(*), COUNT(DISTINCT k) FROM $t") == [(5, 5)]
    assert (len(warehouse.jobs()), len(warehouse.jobs("copy"))) == (2, 1)


def test_a_failed_load_leaves_the_night_as_it_was(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish((3,))
    broken = nights.written((2,), B, attempt=2)
    path = Path(nights.folder) / broken.files[0].file
    whole = path.read_bytes()
    path.write_bytes(whole[:50] + bytes(len(whole) - 50))
    with pytest.raises(HighbeamError, match=r"BigQuery job highbeam-.* failed: .*the table is as it was"):
        nights.table.commit(broken)
    assert warehouse.ask("SELECT DISTINCT _run_id, COUNT(*) FROM $t GROUP BY 1") == [(f"{DAY}-0001-{A}", 3)]
    path.write_bytes(whole)
    nights.table.commit(broken)
    assert warehouse.ask("SELECT COUNT(*) FROM $t") == [(2,)]


def test_a_file_of_another_night_is_refused(nights: Nights, warehouse: Warehouse) -> None:
    """What the emulator was taught, and BigQuery documents: a decorator must match the rows."""
    stray = nights.written((2,), date="2026-01-05")
    with pytest.raises(HighbeamError, match="different partitions"):
        nights.table.commit(Publication(DAY, f"{DAY}-0001-{A}", 1, stray.files, stray.schema, ("k",)))


def test_a_table_may_only_grow(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish()
    with pytest.raises(UsageError, match="column y is in the table and no longer in the job"):
        nights.table.check_schema(SCHEMA.remove(1).append(pa.field("date", pa.string())))
    changed = SCHEMA.set(1, pa.field("y", pa.string())).append(pa.field("date", pa.string()))
    with pytest.raises(UsageError, match="column y is float64 in the table and would become string"):
        nights.table.check_schema(changed)
    night = nights.written((1,), B, attempt=2)
    with pytest.raises(Refused, match="publish to another table") as refused:
        nights.table.commit(Publication(night.date, night.run_id, 2, night.files, changed))
    assert refused.value.reason == "schema_changed"
    nights.publish((1,), B, attempt=2, date="2026-01-02", more=pa.table({"z": pa.array([True])}))
    assert warehouse.ask("SELECT z FROM $t ORDER BY date, k") == [(None,), (None,), (None,), (True,)]


def test_what_cannot_be_published_to_is_told_before(warehouse: Warehouse, tmp_path: Path) -> None:
    nowhere = BigQueryPredictions("demo.nowhere.scores", None, str(tmp_path), "flights")
    assert nowhere.unusable() == "output.bigquery.table: there is no dataset demo.nowhere; make it first"
    warehouse.ask("CREATE TABLE $t (k INT64, date DATE)")
    with pytest.raises(UsageError, match="not partitioned by day of date"):
        BigQueryPredictions(warehouse.table, None, str(tmp_path), "flights").check_schema(SCHEMA)


def test_rejects_of_the_newest_run_stand_beside_the_table(nights: Nights, warehouse: Warehouse) -> None:
    def rejects(run_id: str, n: int) -> list[pa.RecordBatch]:
        columns = {"file": "a.csv", "stage": "read", "reason": "bad", "message": "no", "date": DAY, "run_id": run_id}
        rows = [{**columns, "offset": k, "length": 1, "key": None, "raw": b"x", "truncated": False} for k in range(n)]
        return [pa.RecordBatch.from_pylist(rows, rejects_table.SCHEMA)]

    first, second = f"{DAY}-0001-{A}", f"{DAY}-0001-{B}"
    nights.table.reject(DAY, first, lambda: rejects(first, 0))
    assert list(warehouse.client.list_tables(warehouse.dataset)) == []
    held = "SELECT run_id, COUNT(*) FROM $t GROUP BY 1".replace("$t", f"`{warehouse.table}_rejected`")
    for run_id, n in [(first, 3), (first, 3), (second, 2), (first, 3)]:
        nights.table.reject(DAY, run_id, partial(rejects, run_id, n))
        assert warehouse.ask(held) == [(run_id, n)]
    assert len(warehouse.jobs()) == 3
    nights.table.reject(DAY, second, lambda: rejects(second, 0))
    assert warehouse.ask(held) == []
    assert nights.table.current(DAY) is None
