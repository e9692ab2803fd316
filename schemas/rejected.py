"""A row turned away: which, where, why, and its bytes."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import pyarrow as pa

Stage = Literal["read", "validate", "preprocess", "predict", "postprocess", "merge"]
STAGES: tuple[str, ...] = get_args(Stage)

SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64()),  # bytes of the record without its delimiter; null until the bytes are read
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("key", pa.string()),  # JSON, null where the key is not known
        pa.field("raw", pa.binary()),  # filled when the split is staged; null when rejects.keep_raw is false
        pa.field("truncated", pa.bool_(), nullable=False),
    ]
)
EMPTY = pa.RecordBatch.from_pylist([], schema=SCHEMA)

Text: TypeAlias = str | pa.Array


def rejects(
    file: str,
    offsets: pa.Array,
    stage: Stage,
    reason: Text,
    message: Text,
    key: pa.Array | None = None,
    length: pa.Array | None = None,
) -> pa.RecordBatch:
    """Makes rejects, one for each offset.

    Args:
      file: the split's `file`.
      offsets: int64[n], where each record begins.
      stage: the step that turned the rows away.
      reason: short code, one for all or string[n].
      message: a sentence a person understands, one for all or string[n].
      key: string[n], the rows' keys as JSON, if they are known.
      length: int64[n], bytes of each record, if they are known.

    Returns:
      n rows of SCHEMA, without raw bytes.
    """
    n = len(offsets)
    columns = [
        pa.repeat(file, n),
        offsets.cast(pa.int64()),
        pa.nulls(n, pa.int64()) if length is None else length.cast(pa.int64()),
        pa.repeat(stage, n),
        _spread(reason, n),
        _spread(message, n),
        pa.nulls(n, pa.string()) if key is None else key,
        pa.nulls(n, pa.binary()),
        pa.repeat(False, n),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _spread(text: Text, n: int) -> pa.Array:
    return pa.repeat(text, n) if isinstance(text, str) else text.cast(pa.string())
