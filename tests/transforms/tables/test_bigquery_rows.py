"""Rows in BigQuery: their types, and how they are looked up; and what its jobs may be."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from highbeam.schemas.errors import Unpublished, UsageError
from highbeam.transforms.tables import bigquery_jobs
from highbeam.transforms.tables.base import Written

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_nights import DAY, B, Nights
from tests.support.bigquery_nights import nights as nights


def test_keys_are_found_by_one_query(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish((3,), date="2025-12-31", y=0.25)
    nights.publish((10,))
    warehouse.proxy.seen.clear()
    found = nights.table.search(["k"], pa.array([7, 99, 2, 7]), None, False)
    assert len([seen for seen in warehouse.proxy.seen if seen.startswith("POST")]) == 2  # the nights, and the rows
    assert found.rows["k"].to_pylist() == [7, 2, 7]
    assert found.rows["date"].to_pylist() == [DAY] * 3
    assert found.asked.to_pylist() == [0, 2, 3]
    both = nights.table.search(["k"], pa.array([2]), None, True).rows
    assert list(zip(both["date"].to_pylist(), both["y"].to_pylist(), strict=True)) == [("2025-12-31", 0.25), (DAY, 0.5)]
    with pytest.raises(Unpublished, match="2026-02-02 was never published"):
        nights.table.search(["k"], pa.array([1]), "2026-02-02", False)


def test_a_lookup_names_the_partition_and_the_key_as_constants(nights: Nights, warehouse: Warehouse) -> None:
    """Only so does BigQuery read one partition: by the bare column, and a parameter of the column's own type."""
    nights.publish((3,))
    keys = pa.table({"k": [1], "_model_version": ["7"]})
    nights.table.search(["k", "_model_version"], keys, DAY, False)
    nights.table.search(["k"], pa.array([1]), None, True)
    one, every = [job for job in warehouse.queries() if job.query.startswith("SELECT * ")]
    assert one.query == (
        f"SELECT * FROM `{warehouse.table}` WHERE `k` IN UNNEST(@key_0) AND `_model_version` IN UNNEST(@key_1) "
        "AND STRUCT(`k`, `_model_version`) IN UNNEST(@keys) AND date = @date"
    )
    given = {each.name: each for each in one.query_parameters}
    assert list(given) == ["key_0", "key_1", "keys", "date"]
    assert (given["date"].type_, given["date"].value) == ("DATE", datetime.date(2026, 1, 1))
    assert (given["key_0"].array_type, given["key_1"].array_type) == ("INT64", "STRING")
    assert every.query == f"SELECT * FROM `{warehouse.table}` WHERE `k` IN UNNEST(@key_0)"


def test_a_night_is_counted_in_its_partition(nights: Nights, warehouse: Warehouse) -> None:
    nights.publish((3,))
    counted = [job for job in warehouse.queries() if "COUNT(*)" in job.query]
    assert counted
    for job in counted:
        assert job.query.endswith(f"FROM `{warehouse.table}` WHERE date = @date GROUP BY 1")
        (night,) = job.query_parameters
        assert (night.type_, night.value) == ("DATE", datetime.date(2026, 1, 1))


def test_a_million_rows_go_in_are_counted_and_found(nights: Nights, warehouse: Warehouse) -> None:
    night = nights.publish((1_000_000,))
    counted = "SELECT COUNT(*), COUNT(DISTINCT k), SUM(k), MIN(_run_id), MAX(_run_id) FROM $t"
    assert warehouse.ask(counted) == [(1_000_000, 1_000_000, 499_999_500_000, night.run_id, night.run_id)]
    asked = [*range(0, 1_000_000, 1009), -1]
    assert nights.table.search(["k"], pa.array(asked), DAY, False).rows["k"].to_pylist() == asked[:-1]
    assert len(warehouse.jobs()) == 1


def test_composite_keys_are_found_together(nights: Nights) -> None:
    nights.publish((4,))
    keys = pa.table({"k": [1, 2, 3], "_model_version": ["7", "8", "7"]})
    found = nights.table.search(["k", "_model_version"], keys, DAY, False)
    assert (found.rows["k"].to_pylist(), found.asked.to_pylist()) == ([1, 3], [0, 2])


def test_a_job_reads_no_more_than_it_may() -> None:
    files = [Written(f"{number}.parquet", 1, 1) for number in range(25_000)]
    assert [len(job) for job in bigquery_jobs.in_jobs(files, remote=True)] == [10_000, 10_000, 5_000]
    big = [Written(f"{number}.parquet", 6 << 40, 1) for number in range(5)]
    assert [len(job) for job in bigquery_jobs.in_jobs(big, remote=True)] == [2, 2, 1]
    assert [len(job) for job in bigquery_jobs.in_jobs(big, remote=False)] == [1] * 5


def test_labels_are_what_bigquery_takes() -> None:
    assert bigquery_jobs.labels({"Job": "Été.2026/" + "x" * 80}) == {"job": "_t__2026_" + "x" * 54}


EVERY = {
    "i": pa.array([1, None], pa.int16()),
    "f": pa.array([0.1, None], pa.float32()),
    "b": pa.array([True, None]),
    "s": pa.array(["é", None]),
    "raw": pa.array([b"\x00\xff", None]),
    "d": pa.array([datetime.date(2013, 1, 2), None]),
    "t": pa.array([datetime.datetime(2013, 1, 2, 3, 4, 5, 6, datetime.timezone.utc), None], pa.timestamp("us", "UTC")),
    "n": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
    "m": pa.array([Decimal("1.25"), None], pa.decimal128(38, 20)),
    "l": pa.array([[1.5, 2.5], []], pa.list_(pa.float32())),
    "best": pa.array(
        [[{"label": "a", "score": 0.5}], []], pa.list_(pa.struct({"label": pa.string(), "score": pa.float32()}))
    ),
}


def test_every_type_comes_back_as_it_went_in(nights: Nights, warehouse: Warehouse) -> None:
    every = pa.table(EVERY)
    nights.publish((2,), more=every)
    found = nights.table.search(["k"], pa.array([0, 1]), None, False).rows.select(every.schema.names)
    assert found.to_pylist() == every.to_pylist()
    types = {field.name: (field.field_type, field.mode) for field in warehouse.client.get_table(warehouse.table).schema}
    assert (types["n"][0], types["m"][0]) == ("NUMERIC", "BIGNUMERIC")
    assert (types["l"], types["best"]) == (("FLOAT", "REPEATED"), ("RECORD", "REPEATED"))
    again = nights.written((2,), B, attempt=2, more=every)
    nights.table.check_schema(again.schema)
    with pytest.raises(UsageError, match="column ll: BigQuery has no list of lists"):
        nights.table.check_schema(again.schema.append(pa.field("ll", pa.list_(pa.list_(pa.int64())))))
