"""What is wrong with a CSV record as such, before any value of it is looked at. A record's fate is its own."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .framing import Positions, Records
from .messages import sentence
from .quoting import Dialect
from .transcode import UNDECODABLE
from .verdict import Mask, Verdict, as_mask

_PLAIN = "abcd"


def blame_framing(records: Records, dialect: Dialect, multiline: bool, verdict: Verdict) -> None:
    """Finds the records no parser may see. Costs a search for a byte or two when there are none.

    Args:
      records: framed records.
      dialect: how they are written.
      multiline: whether line breaks may stand in quotes; then the framing has looked at quotes already.
      verdict: of these records.
    """
    if dialect.escape and dialect.escape.encode() in records.data:
        _blame_escapes(records, dialect, verdict)
    if b"\r" in records.data and len(rows := np.flatnonzero(_count(records, b"\r"))):
        _blame_returns(records, rows, dialect, multiline, verdict)
    if not multiline and dialect.quote and dialect.quote.encode() in records.data:
        rows = np.flatnonzero(_quotes(records, dialect) & 1)
        verdict.blame(rows, "unbalanced_quote", "the record has an odd number of quote characters")


def blame_encoding(records: Records, encoding: str, verdict: Verdict) -> None:
    """Finds the records with bytes that mean nothing in the file's encoding, once they are transcoded."""
    if UNDECODABLE in records.data and len(rows := np.flatnonzero(_count(records, UNDECODABLE))):
        verdict.blame(rows, "bad_encoding", f"the record is no text in {encoding}")


def blame_structure(records: Records, dialect: Dialect, fields: int, verdict: Verdict) -> None:
    """Finds the records that do not have `fields` fields; the framing must have been judged before."""
    special = [sign.encode() for sign in (dialect.quote, dialect.escape) if sign and sign.encode() in records.data]
    counts = _count(records, dialect.delimiter.encode()) + 1
    hard = np.zeros(len(records), bool)
    for sign in special:
        hard |= _count(records, sign) > 0
    rows = np.flatnonzero(hard & ~verdict.guilty)
    if len(rows):
        texts = record_bytes(records, rows)
        closed = well_quoted(texts, dialect)
        counts[rows] = count_fields(texts, dialect)
        verdict.blame(rows[~closed], "unbalanced_quote", "a quoted field is not closed before the record ends")
    rows = np.flatnonzero((counts != fields) & ~verdict.guilty)
    if len(rows):
        found = sentence("found ", pa.array(counts[rows]), f" fields, expected {fields}")
        verdict.blame(rows, "wrong_field_count", found)


def well_quoted(records: pa.Array, dialect: Dialect, *, returns: bool = True) -> Mask:
    """Which records have no field whose quotes are still open at the record's end.

    Args:
      records: binary[n].
      dialect: how they are written.
      returns: whether a carriage return may stand outside quotes.
    """
    texts, d = _unescaped(records, dialect), re.escape(dialect.delimiter)
    bare = d if returns else rf"{d}\r"
    field = f"[^{bare}]*"
    if dialect.quote:
        q = re.escape(dialect.quote)
        field = f"(?:[^{q}{bare}][^{bare}]*|{q}(?:[^{q}]|{q}{q})*{q}(?:[^{q}{bare}][^{bare}]*)?)?"
    return as_mask(pc.match_substring_regex(texts, f"^{field}(?:{d}{field})*$"))


def count_fields(records: pa.Array, dialect: Dialect) -> Positions:
    """Fields of well quoted records: what stands in quotes is taken out, then delimiters are counted."""
    texts = _unescaped(records, dialect)
    if dialect.quote:
        d, q = re.escape(dialect.delimiter), re.escape(dialect.quote)
        texts = pc.replace_substring_regex(texts, f"(^|{d}){q}(?:[^{q}]|{q}{q})*{q}", r"\1")
    return np.asarray(pc.count_substring(texts, dialect.delimiter)).astype(np.int64) + 1


def _unescaped(records: pa.Array, dialect: Dialect) -> pa.Array:
    """The records with another letter for each escape and what it stands before."""
    if dialect.escape is None:
        return records
    plain = next(letter for letter in _PLAIN if letter not in (dialect.delimiter, dialect.quote, dialect.escape))
    return pc.replace_substring_regex(records, f"{re.escape(dialect.escape)}(?s:.)", plain)


def _blame_escapes(records: Records, dialect: Dialect, verdict: Verdict) -> None:
    assert dialect.escape
    last = np.frombuffer(records.data, np.uint8)[np.maximum(records.ends - 1, 0)]
    rows = np.flatnonzero((last == ord(dialect.escape)) & (records.ends > records.starts))
    if len(rows):
        texts = _unescaped(record_bytes(records, rows), dialect)
        open = as_mask(pc.ends_with(texts, dialect.escape))
        verdict.blame(rows[open], "open_escape", "the record ends in an escape character that nothing follows")


def _blame_returns(records: Records, rows: Positions, dialect: Dialect, multiline: bool, verdict: Verdict) -> None:
    if multiline:
        texts = record_bytes(records, rows)
        rows = rows[well_quoted(texts, dialect) & ~well_quoted(texts, dialect, returns=False)]
    verdict.blame(rows, "line_break", "a carriage return without line feed stands in the record")


def _quotes(records: Records, dialect: Dialect) -> Positions:
    """How many quotes each record has, but for escaped ones."""
    assert dialect.quote
    counts = _count(records, dialect.quote.encode())
    if dialect.escape and dialect.escape.encode() in records.data:
        rows = np.flatnonzero((_count(records, dialect.escape.encode()) > 0) & (counts > 0))
        texts = _unescaped(record_bytes(records, rows), dialect)
        counts[rows] = np.asarray(pc.count_substring(texts, dialect.quote)).astype(np.int64)
    return counts


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
