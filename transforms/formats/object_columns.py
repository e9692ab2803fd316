"""Columns of rows that are Python objects already: of JSON, or as an Avro decoder gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from ...schemas.contract import Contract
from ..messages import MAX_SHOWN
from ..verdict import Verdict
from .arrays import WRONG, array_of, canonical
from .castable import named_in_job
from .schema import FieldPath, paths_of, type_at

_Test = Callable[[pa.DataType], bool]
Stored = Callable[[Any, pa.DataType], Any]
"""What `array_of` takes for a value; raises one of WRONG for one that is none of the type."""


def object_columns(
    rows: Sequence[Any],
    schema: pa.Schema,
    contract: Contract,
    stored: Stored,
    records: Verdict,
    as_it_is: _Test = lambda type: False,
) -> list[pa.Array | None]:
    """Takes the columns of a contract out of rows.

    Args:
      rows: mappings; None for one that could not be read, and is blamed already.
      schema: of the file.
      contract: the columns wanted.
      stored: of one value.
      records: is told of rows with a value that is none of the file's type.
      as_it_is: whether `array_of` takes all values of a type as they are, which spares a call for each.

    Returns:
      For each column of the contract an array of the innocent rows, or None when the file has no such column.
    """
    columns: list[pa.Array | None] = []
    for name, path in zip(contract.columns, paths_of(schema, contract), strict=True):
        if path is None:
            columns.append(None)
        else:
            columns.append(
                _column(_values(rows, path), name, canonical(type_at(schema, path)), stored, as_it_is, records)
            )
    if not records:
        return columns
    kept = pa.array(records.innocent)
    return [column and column.take(kept) for column in columns]


def _values(rows: Sequence[Any], path: FieldPath) -> list[Any]:
    for name in path:
        try:
            rows = [row[name] for row in rows]
        except (KeyError, TypeError):  # some rows lack it, or are none
            rows = [row.get(name) if isinstance(row, dict) else None for row in rows]
    return list(rows)


def _column(
    values: list[Any], name: str, type: pa.DataType, stored: Stored, as_it_is: _Test, records: Verdict
) -> pa.Array:
    try:
        return array_of(values if as_it_is(type) else [stored(value, type) for value in values], type)
    except WRONG:
        return array_of([_checked(row, value, name, type, stored, records) for row, value in enumerate(values)], type)


def _checked(row: int, value: Any, name: str, type: pa.DataType, stored: Stored, records: Verdict) -> Any:
    try:
        made = stored(value, type)
        array_of([made], type)
    except WRONG:
        shown = str(value) if isinstance(value, Decimal) else repr(value)
        said = f"column {name}: {shown[:MAX_SHOWN]} is not {named_in_job(type) or type}, which the file has there"
        records.blame(np.array([row]), "bad_value", said)
        return None
    return made
