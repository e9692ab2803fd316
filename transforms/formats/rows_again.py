"""Rows that stand as JSON among the rejects, read a second time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ...schemas.batch import Batch
from ...schemas.contract import Contract
from ...schemas.split import Split
from ..messages import MAX_SHOWN, sentence, shown
from ..verdict import Verdict
from .arrays import WRONG, array_of, canonical, stored
from .columns import column_batch
from .schema import FieldPath, paths_of, type_at, unpacked


def rows_again(split: Split, raw: pa.Array, offsets: pa.Array, contract: Contract) -> Batch:
    """Reads rows of `json_rows` a second time.

    The split's header carries the schema of the file they came from, so that a value is of the same type as before. A
    text that was edited and is no JSON object, or holds a value the file could not, is turned away.

    Args:
      split: names the file.
      raw: binary[n].
      offsets: int64[n].
      contract: the columns wanted.
    """
    parsed = [_object(text) for text in raw.to_pylist()]
    records = Verdict(len(parsed))
    if lost := [row for row, found in enumerate(parsed) if found is None]:
        found = sentence("the record ", shown(raw.take(pa.array(lost))), " is no object of JSON, as a row is exported")
        records.blame(np.array(lost, np.int64), "bad_record", found)
    schema = unpacked(split.header)
    wanted = zip(contract.columns, paths_of(schema, contract), strict=True)
    columns = [path and _stored(parsed, name, path, type_at(schema, path), records) for name, path in wanted]
    kept = records.innocent.tolist()
    whole = [column and array_of([column[0][row] for row in kept], column[1]) for column in columns]
    return column_batch(split, contract, offsets.to_numpy(), whole, records)


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _stored(
    rows: Sequence[dict[str, Any] | None], name: str, path: FieldPath, type: pa.DataType, records: Verdict
) -> tuple[list[Any], pa.DataType]:
    """What a column's array is made of, and its type; blames the rows whose value is none of the file's type."""
    kind = canonical(type)
    values: list[Any] = []
    for row, parsed in enumerate(rows):
        value = _value_at(parsed, path)
        try:
            values.append(stored(value, kind))
        except WRONG:
            values.append(None)
            said = f"column {name}: {json.dumps(value)[:MAX_SHOWN]} is not {type}, which the file has there"
            records.blame(np.array([row]), "bad_value", said)
    return values, kind


def _value_at(row: Any, path: FieldPath) -> Any:
    for name in path:
        row = row.get(name) if isinstance(row, dict) else None
    return row
