"""A BigQuery on this machine: the emulator `local-bigquery`, taught partitions, in a process of its own.

Run by the Python of the emulator's own environment: `python bigquery_emulator.py FOLDER PORT GRPC_PORT`. The emulator
has no partition decorators. Here `table$YYYYMMDD` as the destination of a load or copy job does what BigQuery
documents: the table must be partitioned by a column, every row must be of that day (else the job fails and nothing
changes), WRITE_TRUNCATE replaces that day's rows alone and in one transaction, and columns may be added where
ALLOW_FIELD_ADDITION says so. As the source of a copy it is that day's rows.
It also took the BYTES of Parquet files for base64, which they are only in JSON.
"""

# mypy: ignore-errors
# The emulator is in another environment, where mypy does not see it.

from __future__ import annotations

import contextlib
import contextvars
import datetime
import sys
from pathlib import Path

from bigquery_emulator_reads import teach_reading

into: contextvars.ContextVar[datetime.date | None] = contextvars.ContextVar("into", default=None)
of: contextvars.ContextVar[datetime.date | None] = contextvars.ContextVar("of", default=None)


def without_decorator(reference):
    """A reference to a table, and the day that stood at its end."""
    if reference is None or "$" not in (reference.tableId or ""):
        return reference, None
    name, _, digits = reference.tableId.partition("$")
    return reference.replace(tableId=name), datetime.datetime.strptime(digits, "%Y%m%d").date()


def main(folder: str, port: int, grpc_port: int) -> None:
    """Serves until it is stopped."""
    from local_bigquery.settings import settings

    settings.data_dir, settings.gcs_local_root = Path(folder), Path(folder) / "gcs"
    settings.default_project_id = "demo"
    teach_partitions()
    teach_reading()
    import uvicorn
    from local_bigquery.grpc import server

    storage_api = server.start("127.0.0.1", grpc_port)  # it stops when nobody holds it
    uvicorn.run("local_bigquery.app:app", host="127.0.0.1", port=port, log_level="warning")
    del storage_api


def teach_partitions() -> None:
    """Wraps the two kinds of jobs, and the one function that writes their rows."""
    from local_bigquery.catalog import tables
    from local_bigquery.jobs import copy, load, runner

    load._decoded = lambda expression, field, depth=0: expression  # bytes in Parquet are no base64
    written = tables.write

    def into_day(run):
        def job(cur, config, upload):
            reference, date = without_decorator(config.destinationTable)
            sources = getattr(config, "sourceTables", None) or [getattr(config, "sourceTable", None)]
            source, source_date = without_decorator(sources[0])
            tokens = into.set(date), of.set(source_date)
            try:
                changed = {"destinationTable": reference} | ({"sourceTables": [source]} if source else {})
                return run(cur, config.replace(**changed), upload)
            finally:
                into.reset(tokens[0]), of.reset(tokens[1])

        return job

    def write(cur, query, params, reference, config, default="WRITE_EMPTY", prefix="Invalid schema update. ", **more):
        date = into.get()
        if date is None:
            return written(cur, query, params, reference, config, default, prefix, **more)
        replace_day(cur, query, reference, config, date, config.writeDisposition or default, prefix)
        return False

    tables.write = write
    runner.HANDLERS["load"], runner.HANDLERS["copy"] = into_day(load.run), into_day(copy.run)


def replace_day(cur, query, reference, config, date, disposition, prefix) -> None:
    """Puts rows into one day of a partitioned table, as one transaction."""
    from local_bigquery.catalog import tables
    from local_bigquery.engine import database, results
    from local_bigquery.errors import BigQueryError

    table = tables.name(*reference)
    partitioning = tables.load(*reference).timePartitioning
    if partitioning is None or not partitioning.field:
        raise BigQueryError("invalid", "Cannot write to a partition of a table that is not partitioned by a column")
    column = database.quote(partitioning.field)
    if of.get():
        query = f"SELECT * FROM ({query}) WHERE {column} = DATE '{of.get()}'"
    with database.writing(*reference):
        (astray,) = cur.sql(f"SELECT count(*) FROM ({query}) WHERE {column} IS DISTINCT FROM DATE '{date}'").fetchone()
        if astray:
            raise BigQueryError("invalid", f"Some rows belong to different partitions rather than {date:%Y%m%d}")
        options = getattr(config, "schemaUpdateOptions", None)
        tables.evolve(cur, reference, cur.sql(query), options, prefix)
        cur.execute("BEGIN")
        try:
            if disposition == "WRITE_TRUNCATE":
                cur.execute(f"DELETE FROM {table} WHERE {column} = DATE '{date}'")
            results.materialise(cur, query, table, None, True)
            cur.execute("COMMIT")
        except Exception:
            with contextlib.suppress(Exception):
                cur.execute("ROLLBACK")
            raise


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
