"""Rows that stand as JSON among the rejects, read a second time."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from ...schemas.batch import Batch
from ...schemas.contract import Contract
from ...schemas.split import Split
from ..messages import sentence, shown
from ..verdict import Verdict
from .arrays import stored
from .columns import column_batch
from .object_columns import object_columns
from .schema import unpacked


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
    columns = object_columns(parsed, unpacked(split.header), contract, stored, records)
    return column_batch(split, contract, offsets.to_numpy(), columns, records)


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text, parse_float=Decimal)  # as it is written: a float might not be what a decimal says
    except (ValueError, ArithmeticError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
