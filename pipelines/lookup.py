"""Looks predictions up by key."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from .. import storage
from ..schemas.dates import resolve_date
from ..schemas.errors import UsageError
from ..schemas.job import Job
from ..schemas.keys import json_value
from ..transforms.tables.choose import table_of


def lookup(job: Job, keys: Sequence[Any] | pa.Array | pa.Table, date: str | None = None) -> pa.Table:
    """Finds published rows; opens only the row groups that may hold a key.

    Args:
      job: the job; it must have a key.
      keys: values of the key's column, or mappings of its columns, or a table of them.
      date: the night; the newest published one without it.

    Returns:
      The rows found, in the order asked, with `date`.

    Raises:
      UsageError: when the job has no key, or a key is not of its type.
      Unpublished: when that night, or any, was never published.
    """
    asked = keys if isinstance(keys, (pa.Array, pa.Table)) else _typed(job, list(keys))
    return table_of(job).search(job.contract.key, asked, date and resolve_date(date), False).rows


def lookup_lines(
    job: Job,
    texts: Sequence[str],
    keys_from: str | None = None,
    date: str | None = None,
    all_dates: bool = False,
) -> Iterator[dict[str, Any]]:
    """What `highbeam lookup` prints: an object for each key asked and row found.

    Args:
      job: the job.
      texts: keys as a person writes them; a composite key is a JSON object.
      keys_from: a file of more keys, one a line; `-` is standard input.
      date: the night; the newest published one without it.
      all_dates: look in every night instead.
    """
    if date and all_dates:
        raise UsageError("--date and --all-dates exclude each other")
    keys = _parse(job, [*texts, *(_lines(keys_from) if keys_from else ())])
    if not keys:
        raise UsageError("no key given; write highbeam lookup JOB KEY, or --keys-from FILE")
    asked = _typed(job, keys)
    found = table_of(job).search(job.contract.key, asked, date and resolve_date(date), all_dates)
    rows: dict[int, list[dict[str, Any]]] = {}
    for place, row in zip(found.asked.to_pylist(), found.rows.to_pylist(), strict=True):
        rows.setdefault(place, []).append(row)
    for place, key in enumerate(_shown(job, asked)):
        for row in rows.get(place, []):
            night = row.pop("date")
            yield {"key": key, "found": True, "date": night, "row": json_value(row)}
        if place not in rows:
            yield {"key": key, "found": False}


def _lines(path: str) -> list[str]:
    if path == "-":
        return [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
    try:
        text = storage.read_text(path)
    except storage.StorageError as error:
        raise UsageError(f"--keys-from {error}") from None
    return [line.rstrip("\n") for line in io.StringIO(text, newline=None) if line.strip()]


def _parse(job: Job, texts: Sequence[str]) -> list[Any]:
    """Keys as values: text for a key of one column, mappings for a composite one."""
    if len(job.contract.key) < 2:
        return list(texts)
    return [_composite(job, text) for text in texts]


def _composite(job: Job, text: str) -> dict[str, Any]:
    names = ", ".join(job.contract.key)
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or set(value) != set(job.contract.key):
        raise UsageError(f"key {text}: write a JSON object of {names}")
    return value


def _typed(job: Job, keys: list[Any]) -> pa.Table:
    """Keys as columns of the contract's types; text is parsed."""
    if not job.contract.key:
        nights = table_of(job).dates()
        newest = f"the newest published night is {nights[-1]}" if nights else "no night is published yet"
        raise UsageError(f"{job.name}: the job has no key to look rows up by; add key: to job.yaml ({newest})")
    records = [key if isinstance(key, dict) else {job.contract.key[0]: key} for key in keys]
    for record in records:
        if set(record) != set(job.contract.key):
            raise UsageError(f"key {record}: a key is made of {', '.join(job.contract.key)}")
    columns = {name: _column(job, name, [record.get(name) for record in records]) for name in job.contract.key}
    return pa.table(columns)


def _column(job: Job, name: str, values: list[Any]) -> pa.Array:
    wanted = job.columns[name]
    for value in values:
        try:
            _value(value, wanted.typed.arrow)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError):
            raise UsageError(f"key {value!r}: {name} is {wanted.type}, and this is not") from None
    return pa.array([_value(value, wanted.typed.arrow) for value in values], wanted.typed.arrow)


def _value(value: Any, type: pa.DataType) -> Any:
    if isinstance(value, str) and not pa.types.is_string(type):
        return pa.scalar(value).cast(type).as_py()
    if pa.types.is_integer(type) and value is not None and (isinstance(value, bool) or value != int(value)):
        raise ValueError(f"{value!r} is not an integer")
    return pa.scalar(value, type).as_py()


def _shown(job: Job, asked: pa.Table) -> list[Any]:
    records = [json_value(record) for record in asked.to_pylist()]
    return [next(iter(record.values())) for record in records] if len(job.contract.key) == 1 else records
