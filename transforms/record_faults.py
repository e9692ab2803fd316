"""What is wrong with a CSV record as such, before any value of it is looked at. A record's fate is its own."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .framing import Positions, Records
from .messages import sentence
from .verdict import Mask, Verdict, as_mask


def blame_framing(records: Records, verdict: Verdict) -> None:
    """Finds the records no parser may see. Costs two searches for a byte when there are none."""
    if b"\r" in records.data and len(rows := np.flatnonzero(_count(records, b"\r"))):
        verdict.blame(rows, "line_break", "a carriage return without line feed stands in the record")
    if b'"' in records.data and len(rows := np.flatnonzero(_count(records, b'"') & 1)):
        verdict.blame(rows, "unbalanced_quote", "the record has an odd number of quote characters")


def blame_structure(records: Records, delimiter: str, fields: int, verdict: Verdict) -> None:
    """Finds the records that do not have `fields` fields; the framing must have been judged before."""
    quoted = _count(records, b'"') > 0
    counts = _count(records, delimiter.encode()) + 1
    rows = np.flatnonzero(quoted & ~verdict.guilty)
    if len(rows):
        texts = record_bytes(records, rows)
        closed = well_quoted(texts, delimiter)
        counts[rows] = _fields(texts, delimiter)
        verdict.blame(rows[~closed], "unbalanced_quote", "a quoted field is not closed before the record ends")
    rows = np.flatnonzero((counts != fields) & ~verdict.guilty)
    if len(rows):
        found = sentence("found ", pa.array(counts[rows]), f" fields, expected {fields}")
        verdict.blame(rows, "wrong_field_count", found)


def well_quoted(records: pa.Array, delimiter: str) -> Mask:
    """Which records have no field whose quotes are still open at the record's end.

    A quote opens a field only as its first character; two inside quotes are one; after the closing one the field may
    go on, as pyarrow reads it.

    Args:
      records: binary[n].
      delimiter: between two fields.
    """
    d = re.escape(delimiter)
    field = f'(?:[^"{d}][^{d}]*|"(?:[^"]|"")*"(?:[^"{d}][^{d}]*)?)?'
    return as_mask(pc.match_substring_regex(records, f"^{field}(?:{d}{field})*$"))


def _fields(records: pa.Array, delimiter: str) -> Positions:
    """Fields of well quoted records: what stands in quotes is taken out, then delimiters are counted."""
    d = re.escape(delimiter)
    bare = pc.replace_substring_regex(records, f'(^|{d})"(?:[^"]|"")*"', r"\1")
    return np.asarray(pc.count_substring(bare, delimiter)).astype(np.int64) + 1


def record_bytes(records: Records, rows: Positions) -> pa.Array:
    """The bytes of some records as binary[len(rows)], by one copy."""
    bounds = np.empty(2 * len(records), np.int32)
    bounds[0::2], bounds[1::2] = records.starts, records.ends
    # Every other value of this array is a record, the others are what stands between them.
    laid = pa.Array.from_buffers(pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(records.data)])
    return laid.take(pa.array(2 * rows))


def _count(records: Records, byte: bytes) -> Positions:
    """How often a byte occurs in each record."""
    found = np.flatnonzero(np.frombuffer(records.data, np.uint8) == byte[0])
    counts: Positions = np.searchsorted(found, records.ends) - np.searchsorted(found, records.starts)
    return counts
