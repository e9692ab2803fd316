"""Streams of BigQuery rows: always the same batches, whatever the connection does."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from highbeam.schemas.batch import Batch, concat_rejected
from highbeam.schemas.errors import InputChanged, UnreadableInput
from highbeam.schemas.job import Job
from highbeam.schemas.split import Split
from highbeam.transforms.formats import bigquery_stream
from highbeam.transforms.formats.bigquery_rows import BigQueryFormat, header_of
from highbeam.transforms.formats.schema import unpacked
from highbeam.transforms.plan_bigquery import NightlyRows
from highbeam.transforms.raw import fill_raw

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_storage import DAY, StorageProxy, flights_of, reading
from tests.support.bigquery_storage import reads as reads
from tests.support.jobs import JOB

N = 9000


@pytest.fixture
def job(warehouse: Warehouse, reads: StorageProxy, tmp_path: Path) -> Job:
    """Of a table of five streams."""
    return reading(tmp_path, f"{{table: {flights_of(warehouse, N)}}}", model=False)


def read(split: Split, job: Job) -> list[Batch]:
    assert job.source.bigquery
    return list(BigQueryFormat(job.source.bigquery).read(split, job.read_contract, 1 << 20))


def test_every_row_comes_once_with_its_number(job: Job, reads: StorageProxy) -> None:
    splits = NightlyRows(job, DAY).splits()
    assert [split.number for split in splits] == list(range(len(splits)))
    assert len(splits) == 5
    assert splits[3].file == f"bigquery://{job.source.bigquery and job.source.bigquery.table}/streams/0003"
    keys: list[int] = []
    for split in splits:
        (batch,) = read(split, job)
        assert batch.last
        assert batch.rows.schema.names == ["k", "g", "x", "_offset"]
        assert batch.rows["_offset"].to_pylist() == list(range(batch.read))
        keys += batch.rows["k"].to_pylist()
    assert keys == list(range(N))
    assert unpacked(splits[0].header).names == ["k", "g", "x"]  # of four columns


def test_batches_are_the_same_however_rows_are_cut_into_messages(job: Job, reads: StorageProxy) -> None:
    (split, *_) = NightlyRows(job, DAY).splits()
    small = Split(**{**split.__dict__, "header": (split.header[0], "500")})
    found = []
    for reads.message_rows in (1000, 97, 250):
        batches = read(small, job)
        assert [batch.read for batch in batches] == [500, 500, 500, 300]
        assert [(batch.index, batch.last) for batch in batches[-2:]] == [(2, False), (3, True)]
        found.append([batch.rows for batch in batches])
    assert found[0] == found[1] == found[2]


def test_a_broken_connection_is_taken_up_where_it_broke(job: Job, reads: StorageProxy) -> None:
    (split, *_) = NightlyRows(job, DAY).splits()
    whole = [batch.rows for batch in read(split, job)]
    reads.read.clear()
    reads.breaks = [200, 100, 0]
    assert [batch.rows for batch in read(split, job)] == whole
    assert [offset for _, offset in reads.read] == [0, 194, 291, 291]


def test_a_session_that_is_gone_and_a_service_that_is(
    job: Job, reads: StorageProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    (split, *_) = NightlyRows(job, DAY).splits()
    reads.gone = True
    with pytest.raises(InputChanged, match=r"streams/0000: its read session is gone \(.*expired\).* run again"):
        read(split, job)
    reads.server.stop(None).wait()
    monkeypatch.setattr(bigquery_stream, "RETRY", bigquery_stream.RETRY.with_timeout(0.1))
    with pytest.raises(UnreadableInput, match=r"streams/0000: cannot be read from its first row on"):
        read(split, job)


def test_a_row_that_does_not_fit_is_told_whole_and_read_again(
    warehouse: Warehouse, reads: StorageProxy, tmp_path: Path
) -> None:
    table = flights_of(
        warehouse, 400, more=", IF(MOD(k, 150) = 149, 'twelve', '12') AS n, STRUCT(k AS a, 'é' AS b) AS s"
    )
    text = JOB.replace("  x: {type: float32, min: 0}", "  n: int32\n  b: {type: string, from: s.b}")
    job = reading(tmp_path, f"{{table: {table}}}", model=False, text=text)
    (split,) = NightlyRows(job, DAY).splits()
    assert reads.made[0].read_session.read_options.selected_fields == ["g", "k", "n", "s.b"]
    (batch,) = read(split, job)
    assert (len(batch), batch.rows["b"].to_pylist()[0]) == (398, "é")
    assert batch.rejected["offset"].to_pylist() == [149, 299]
    assert batch.rejected["key"].to_pylist() == ["149", "299"]
    assert job.source.bigquery
    format = BigQueryFormat(job.source.bigquery)
    reads.read.clear()
    filled = fill_raw(batch.rejected, split, format, 1 << 20)
    assert filled["raw"].to_pylist()[1].decode() == '{"k": 299, "g": "c", "n": "twelve", "s": {"b": "é"}}'
    assert [offset for _, offset in reads.read] == [149]
    again = format.again(split, filled["raw"], filled["offset"], job.read_contract, 1 << 20)
    assert concat_rejected([again.rejected])["message"].to_pylist() == batch.rejected["message"].to_pylist()


EVERY = {
    "i": ("int16", "CAST(-3 AS INT64)", -3),
    "f": ("float32", "0.5", 0.5),
    "t": ("bool", "TRUE", True),
    "s": ("string", "'é'", "é"),
    "raw": ("binary", "FROM_HEX('00ff')", b"\x00\xff"),
    "d": ("date", "DATE '2013-12-01'", datetime.date(2013, 12, 1)),
    "at": ("timestamp", "TIMESTAMP '2013-12-01 01:02:03.000004+00'", datetime.datetime(2013, 12, 1, 1, 2, 3, 4)),
    "local": (
        "{type: timestamp, timezone: America/New_York}",
        "DATETIME '2013-12-01 01:00:00'",
        datetime.datetime(2013, 12, 1, 6),
    ),
    "n": ("'decimal(10, 2)'", "CAST('1.25' AS NUMERIC)", Decimal("1.25")),
    "big": ("'decimal(38, 20)'", "CAST('1.25' AS BIGNUMERIC)", Decimal("1.25")),
    "l": ("list<float32>", "[1.5, 2.5]", [1.5, 2.5]),
    "none": ("{type: int64, nullable: true}", "CAST(NULL AS INT64)", None),
}


def test_every_type_that_bigquery_has(warehouse: Warehouse, reads: StorageProxy, tmp_path: Path) -> None:
    table = f"{warehouse.dataset}.every"
    warehouse.ask(f"CREATE TABLE `{table}` AS SELECT 1 AS k, {', '.join(f'{v[1]} AS `{c}`' for c, v in EVERY.items())}")
    columns = "columns:\n  k: int64\n" + "".join(f"  {name}: {spec[0]}\n" for name, spec in EVERY.items())
    text = JOB[: JOB.index("columns:")] + columns + JOB[JOB.index("key:") :].replace("  passthrough: [g]\n", "")
    job = reading(tmp_path, f"{{table: {table}}}", model=False, text=text)
    (batch,) = read(NightlyRows(job, DAY).splits()[0], job)
    assert batch.rejected.to_pylist() == []
    (row,) = batch.rows.to_pylist()
    found = {name: _naive(row[name]) for name in EVERY}
    assert found == {name: spec[2] for name, spec in EVERY.items()}


def _naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value


def test_wide_rows_make_small_batches() -> None:
    schema = pa.schema([("k", pa.int64())])
    assert unpacked(header_of(schema, 0, 0)) == schema
    assert header_of(schema, 1000, 1000 * 8)[1] == "16384"
    assert header_of(schema, 1000, 1000 * (1 << 20))[1] == "8"
    assert header_of(schema, 2, 1 << 40)[1] == "1"
