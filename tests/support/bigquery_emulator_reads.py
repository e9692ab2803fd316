"""The emulator of BigQuery, taught to read as the service does: see bigquery_emulator.py, which calls `teach_reading`.

Its Storage Read API shows what a table becomes after the session was made, knows no fields of records among
`selected_fields`, and gives a stream for each 100,000 rows; here it does what the service documents, with a stream for
each 500 rows, as far as streams are asked for.
A table's time of last change is that of its last change of rows.
"""

# mypy: ignore-errors
# The emulator is in another environment, where mypy does not see it.

from __future__ import annotations

import contextvars
import datetime
import re

TOUCHED = """
SELECT epoch_ms(max(snapshot_time)) FROM ducklake_snapshots('{project}')
WHERE list_contains(changes['tables_inserted_into'], '{id}') OR list_contains(changes['tables_deleted_from'], '{id}')
"""
OF_TABLE = re.compile(r"(SELECT \* FROM `[^`]+`)")

asof: contextvars.ContextVar[str] = contextvars.ContextVar("asof", default="")


def teach_reading() -> None:
    """Wraps the making of sessions, and what tables say of themselves."""
    from local_bigquery.catalog import tables
    from local_bigquery.grpc import read, server

    read.STREAM_ROWS = 500
    loaded, parsed, made, column, created = tables.load, read.parse, read._query, read._column, read.create_session

    def load(project, dataset, name):
        table = loaded(project, dataset, name)
        touched = last_change(project, dataset, name)
        return table.replace(lastModifiedTime=str(max(touched, int(table.lastModifiedTime or 0))))

    def parse(sql):
        return parsed(OF_TABLE.sub(rf"\1 FOR SYSTEM_TIME AS OF TIMESTAMP '{asof.get()}'", sql) if asof.get() else sql)

    def query(path, options, data_format):
        fields = [field.casefold() for field in options.selected_fields]
        chosen: dict[str, set[str]] = {}
        for field in fields:
            chosen.setdefault(field.partition(".")[0], set()).add(field.partition(".")[2])
        inner.set({name: parts for name, parts in chosen.items() if "" not in parts})
        options.selected_fields = list(chosen)
        return made(path, options, data_format)

    def narrowed(name, type, data_format):
        parts = inner.get().get(name.casefold())
        if not parts:
            return column(name, type, data_format)
        kept = [child for child, _ in type.children if child.casefold() in parts]
        packed = ", ".join(f'"{child}" := "{name}"."{child}"' for child in kept)
        return f'CASE WHEN "{name}" IS NOT NULL THEN struct_pack({packed}) END AS "{name}"'

    def create_session(request):
        kept = "/datasets/_" in request.read_session.table  # what a query found, which never changes
        token = asof.set("" if kept else datetime.datetime.now(datetime.timezone.utc).isoformat())
        try:
            return created(request)
        finally:
            asof.reset(token)

    tables.load, read.parse, read._query, read._column = load, parse, query, narrowed
    reading = server.SERVICES["google.cloud.bigquery.storage.v1.BigQueryRead"]
    reading["CreateReadSession"] = server._unary(
        create_session, read.types.CreateReadSessionRequest, read.types.ReadSession
    )


inner: contextvars.ContextVar[dict[str, set[str]]] = contextvars.ContextVar("inner", default={})  # noqa: B039


def last_change(project: str, dataset: str, name: str) -> int:
    """When rows of a table were added or removed last, in milliseconds since the epoch; 0 if never."""
    from local_bigquery.engine import database

    found = database.fetch(
        "SELECT t.table_id FROM ducklake_table_info(?) t JOIN duckdb_tables() d ON d.table_name = t.table_name "
        "AND d.database_name = ? AND d.schema_name = ? WHERE t.table_name = ? ORDER BY 1 DESC LIMIT 1",
        [project, project, dataset, name],
    )
    if not found:
        return 0
    ((touched,),) = database.fetch(TOUCHED.format(project=project, id=found[0][0]))
    return touched or 0
