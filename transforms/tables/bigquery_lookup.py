"""Finds rows of a BigQuery table by key: parameterised queries that read one partition, and of it few blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from google.cloud import bigquery

from ...schemas.errors import Unpublished, UsageError
from .asked import Asked, positions
from .base import PARTITION, Found
from .bigquery_jobs import ask
from .bigquery_schema import parameter_type

KEYS_AT_ONCE = 20_000
"""Keys of one query: its parameters may not exceed 10 MB."""

_ORDER = (PARTITION, "_file", "_offset")


@dataclass(frozen=True)
class Place:
    """Where to look.

    Attributes:
      client: of the project.
      name: `project.dataset.name`.
      location: where queries run.
      dates: gives the published nights, oldest first.
    """

    client: bigquery.Client
    name: str
    location: str | None
    dates: Callable[[], list[str]]


def search(place: Place, key: Sequence[str], keys: pa.Table | pa.Array, date: str | None, all_dates: bool) -> Found:
    """Finds the rows of some keys; arguments and errors are those of `base.Table.search`."""
    night = None if all_dates else _night(place, date)
    if not key:
        raise UsageError(
            f"{place.name}: the job has no key to look rows up by, give it one; the newest published night is {night}"
        )
    asked = _asked(keys, key)
    parts = [_rows(place, asked.distinct.slice(at, KEYS_AT_ONCE), night) for at in _starts(asked.distinct)]
    rows = pa.concat_tables(parts) if parts else _rows(place, asked.distinct, night)
    rows = rows.sort_by([(name, "ascending") for name in _ORDER if name in rows.column_names])
    places = positions(rows.select(key).cast(asked.distinct.schema), asked.distinct)
    numbers, order = asked.expand(places)
    return Found(_dated(rows.take(pa.array(order))), pa.array(numbers))


def _night(place: Place, date: str | None) -> str:
    """The night to look in."""
    published = place.dates()
    if not published:
        raise Unpublished(f"{place.name}: no night is published yet; `highbeam run` publishes one")
    if date is not None and date not in published:
        raise Unpublished(f"{place.name}: {date} was never published; the newest published night is {published[-1]}")
    return date or published[-1]


def _asked(keys: pa.Table | pa.Array, key: Sequence[str]) -> Asked:
    table = keys if isinstance(keys, pa.Table) else pa.table([keys], names=list(key))
    missing = [name for name in key if name not in table.schema.names]
    if missing:
        raise UsageError(f"a key is made of {', '.join(key)}; {', '.join(missing)} is missing")
    table = table.select(list(key))
    return Asked.of(table, table.schema)


def _starts(distinct: pa.Table) -> range:
    return range(0, distinct.num_rows, KEYS_AT_ONCE)


def _rows(place: Place, keys: pa.Table, night: str | None) -> pa.Table:
    """The rows of some distinct keys, in no order."""
    found = ask(place.client, _query(place.name, keys, night), list(_parameters(keys, night)), place.location)
    if found is None:
        raise Unpublished(f"{place.name}: no night is published yet; `highbeam run` publishes one")
    return found


def _query(table: str, keys: pa.Table, night: str | None) -> str:
    """Constants prune partition and clusters; of a composite key the columns together are asked for, too."""
    names = keys.schema.names
    where = [f"`{name}` IN UNNEST(@key_{number})" for number, name in enumerate(names)]
    if len(names) > 1:
        where.append(f"STRUCT({', '.join(f'`{name}`' for name in names)}) IN UNNEST(@keys)")
    if night:
        where.append(f"{PARTITION} = @date")
    return f"SELECT * FROM `{table}` WHERE {' AND '.join(where)}"


def _parameters(keys: pa.Table, night: str | None) -> Iterator[Any]:
    types = [parameter_type(field.type) for field in keys.schema]
    values = [column.to_pylist() for column in keys.columns]
    for number, type in enumerate(types):
        yield bigquery.ArrayQueryParameter(f"key_{number}", type, values[number])
    if len(types) > 1:
        names = keys.schema.names
        parts = [
            [
                bigquery.ScalarQueryParameter(name, type, value)
                for name, type, value in zip(names, types, row, strict=True)
            ]
            for row in zip(*values, strict=True)
        ]
        item = bigquery.StructQueryParameterType(  # type: ignore[no-untyped-call]
            *(_part(type, name) for name, type in zip(names, types, strict=True))
        )
        yield bigquery.ArrayQueryParameter("keys", item, [bigquery.StructQueryParameter(None, *part) for part in parts])
    if night:
        yield bigquery.ScalarQueryParameter("date", "DATE", night)


def _part(type: str, name: str) -> bigquery.ScalarQueryParameterType:
    return bigquery.ScalarQueryParameterType(type, name=name)  # type: ignore[no-untyped-call]


def _dated(rows: pa.Table) -> pa.Table:
    """Rows with the night as every lookup gives it: text."""
    place = rows.schema.get_field_index(PARTITION)
    return rows.set_column(place, PARTITION, rows[PARTITION].cast(pa.string()))
