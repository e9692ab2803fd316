"""The jobs of docs/bigquery.md run, on the emulator."""

from __future__ import annotations

import io
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

import highbeam

from tests.docs.test_examples import ROOT, blocks
from tests.docs.world import HEADER, flights, make_world
from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_storage import StorageProxy
from tests.support.bigquery_storage import reads as reads

PROJECT = "my-project"
DAY = "2013-12-01"


def load(client: bigquery.Client, name: str, columns: str, lines: list[str]) -> None:
    """Makes a table of CSV records; `columns` are names and types."""
    named = [column.split(":") for column in columns.split()]
    schema = [bigquery.SchemaField(name, type) for name, type in named]
    settings = bigquery.LoadJobConfig(schema=schema, source_format="CSV", write_disposition="WRITE_TRUNCATE")
    file = io.BytesIO("\n".join(lines).encode())
    client.load_table_from_file(file, f"{PROJECT}.airline.{name}", job_config=settings).result()


def test_both_jobs_run(warehouse: Warehouse, reads: StorageProxy, tmp_path: Path) -> None:
    settings = {"api_endpoint": warehouse.proxy.address}
    client = bigquery.Client(PROJECT, credentials=AnonymousCredentials(), client_options=settings)
    client.create_dataset(f"{PROJECT}.airline", exists_ok=True)
    lines = [f"{line},{DAY}" for line in flights(1201, 500)] + [f"{line},2013-12-02" for line in flights(1202, 9)]
    assert HEADER == "flight_id,carrier,distance,dep_delay"
    types = "flight_id:INTEGER carrier:STRING distance:FLOAT dep_delay:FLOAT day:DATE"
    load(client, "flights", types, lines)
    load(client, "delays", "flight_id:INTEGER delay:FLOAT", [f"{line.split(',')[0]},7" for line in lines[:100]])

    make_world(tmp_path)
    page = (ROOT / "docs" / "bigquery.md").read_text("utf-8")
    jobs = [block.text for block in blocks(page) if block.file == "job.yaml"]
    found = []
    for text, place in zip(jobs, ("state=first", "state=second"), strict=True):
        (tmp_path / "job.yaml").write_text(text, "utf-8")
        job = highbeam.load_job(str(tmp_path), [place])
        assert "streams: 1" in highbeam.check(job, DAY).text() or "bytes to read" in highbeam.check(job, DAY).text()
        ran = highbeam.run(job, DAY)
        assert (ran.status, ran.read, ran.predicted) == ("published", 500, 500), ran.message
        found.append(highbeam.lookup(job, [201312010001, 201312010499])["late"].to_pylist())
    assert found[0][0] != found[1][0]  # by the other delay
    assert found[0][1] is not None
    client.close()
