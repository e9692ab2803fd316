"""Numbers from text: exactly those that pyarrow.csv reads, found without asking it row by row."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.halving import halving
from .text_columns import bounds, content, mismatches, trimmed, unlike, without
from .verdict import Mask, as_mask

_FLOAT = (
    r"^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    r"|(?i:inf(?:inity)?|nan(?:\([a-z0-9_]*\))?))$"
)
_DECIMAL = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_POWER = r"^[+-]?(?P<whole>[0-9]*)\.?(?P<fraction>[0-9]*)[eE](?P<power>[+-]?[0-9]+)$"
_MAX_DIGITS = 38  # of a decimal128; more than any integer has


def convert_integers(text: pa.Array, type: pa.DataType) -> tuple[pa.Array, Mask]:
    """Reads decimal integers; spaces and tabs around them do not count.

    Args:
      text: binary[n].
      type: int8 to int64 or uint8 to uint32.

    Returns:
      type[n] with nulls where the text is missing or no such number; and bool[n], true for the latter.
    """
    texts = text.view(pa.string())
    hexadecimal = _hexadecimal(texts)
    pattern = "^-?[0-9]+$" if pa.types.is_signed_integer(type) else "^[0-9]+$"
    values, guilty = _converted(without(texts, hexadecimal), type, b"0123456789", pattern, _integer_misfits)
    return values, guilty | hexadecimal


def _hexadecimal(texts: pa.Array) -> Mask:
    """Which texts Arrow would take for hexadecimal: 0xFF as an int8 is -1 to it, and no error."""
    data = content(texts)
    if not ((data == ord("x")) | (data == ord("X"))).any():
        return np.zeros(len(texts), bool)
    return as_mask(pc.match_substring_regex(texts.view(pa.binary()), r"^[ \t]*-?0[xX]"))


def convert_floats(text: pa.Array, type: pa.DataType) -> tuple[pa.Array, Mask]:
    """Reads floats, `nan` and `inf` too; what overflows is infinite. Arguments and results as for integers."""
    return _converted(text, type, b"0123456789.-+eE", _FLOAT, _no_misfits)


def convert_decimals(text: pa.Array, type: pa.DataType) -> tuple[pa.Array, Mask]:
    """Reads decimals; what has more digits than the type keeps is none. Arguments and results as for integers."""
    # Not by way of decimal256: Arrow 25 divides some of its numbers wrongly.
    texts = text.view(pa.string())
    wrong = _overlong(texts) | _powers(texts, type)
    values, guilty = _converted(without(texts, wrong), type, b"0123456789.-+eE", _DECIMAL, _decimal_misfits)
    return values, guilty | wrong


def _overlong(texts: pa.Array) -> Mask:
    """Which numbers have more digits than a decimal can; Arrow 25 lets some of them overflow, and says nothing."""
    overlong = np.zeros(len(texts), bool)
    rows = np.flatnonzero(np.diff(bounds(texts)) > _MAX_DIGITS)
    if len(rows):
        digits = pc.replace_substring_regex(texts.take(pa.array(rows)), r"[eE].*$|[^0-9]", "")
        digits = pc.ascii_ltrim(digits, "0")
        overlong[rows] = as_mask(pc.greater(pc.binary_length(digits), _MAX_DIGITS))
    return overlong


def _powers(texts: pa.Array, type: pa.DataType) -> Mask:
    """Which numbers with an exponent the type cannot hold; Arrow 25 overflows on some, and makes 0 of others."""
    data = content(texts)
    if not ((data == ord("e")) | (data == ord("E"))).any():
        return np.zeros(len(texts), bool)
    parts = pc.extract_regex(pc.ascii_trim(texts, " \t"), _POWER)
    whole, fraction, power = (pc.struct_field(parts, name) for name in ("whole", "fraction", "power"))
    power = pc.ascii_ltrim(power, "+").cast(pa.float64())
    digits = pc.binary_join_element_wise(whole, fraction, "")
    without_front, without_end = (pc.binary_length(trim(digits, "0")) for trim in (pc.ascii_ltrim, pc.ascii_rtrim))
    before = pc.subtract(without_front, pc.binary_length(fraction))
    after = pc.subtract(without_end, pc.binary_length(whole))
    many = pc.greater(pc.add(before.cast(pa.float64()), power), type.precision - type.scale)
    fine = pc.greater(pc.subtract(after.cast(pa.float64()), power), type.scale)
    return as_mask(pc.and_(pc.greater(without_front, 0), pc.or_(many, fine)).fill_null(False))


def _converted(
    text: pa.Array, type: pa.DataType, plain: bytes, pattern: str, misfits: Callable[[pa.Array, pa.DataType], Mask]
) -> tuple[pa.Array, Mask]:
    """Casts all at once; when that fails, finds the guilty in steps, the cheap ones first.

    Args:
      text: binary[n].
      type: what to make of it.
      plain: the bytes nearly every number is made of.
      pattern: RE2 for all that may be such a number; what does not match surely is none.
      misfits: finds the numbers among them that the type cannot hold.
    """
    texts = text.view(pa.string())
    try:
        return texts.cast(type), np.zeros(len(text), bool)
    except pa.ArrowInvalid:
        texts = trimmed(texts)
    guilty = mismatches(texts, unlike(texts, plain), pattern)
    try:
        return without(texts, guilty).cast(type), guilty
    except pa.ArrowInvalid:
        guilty |= mismatches(texts, ~guilty, pattern)
        guilty |= misfits(without(texts, guilty), type)
        values, failed = _cast_by_halves(without(texts, guilty), type)
        return values, guilty | failed


def _no_misfits(texts: pa.Array, type: pa.DataType) -> Mask:
    return np.zeros(len(texts), bool)


def _integer_misfits(texts: pa.Array, type: pa.DataType) -> Mask:
    """Which integers are out of range."""
    bits = type.bit_width - pa.types.is_signed_integer(type)
    misfits = np.zeros(len(texts), bool)
    long = np.flatnonzero(np.diff(bounds(texts)) >= len(str(1 << bits)))
    misfits[long] = _outside(texts.take(pa.array(long)), -(1 << bits) if bits % 8 else 0, (1 << bits) - 1)
    return misfits


def _outside(texts: pa.Array, low: int, high: int) -> Mask:
    digits = pc.replace_substring_regex(texts, r"^(-?)0+([0-9])", r"\1\2")
    long = pc.greater(pc.binary_length(digits), _MAX_DIGITS).fill_null(False)
    usual = pc.and_not(pc.match_substring_regex(digits, r"^-?[0-9]+$").fill_null(False), long)
    numbers = pc.if_else(usual, digits, pa.scalar(None, pa.string())).cast(pa.decimal128(_MAX_DIGITS, 0))
    outside = pc.or_(pc.less(numbers, _whole(low)), pc.greater(numbers, _whole(high))).fill_null(False)
    return as_mask(pc.or_(long, outside))


def _whole(number: int) -> pa.Scalar:
    return pa.scalar(Decimal(number), pa.decimal128(_MAX_DIGITS, 0))


def _decimal_misfits(texts: pa.Array, type: pa.DataType) -> Mask:
    """Which decimals without exponent have more digits than the type keeps, before or after the point."""
    plain = pc.match_substring_regex(texts, r"^[0-9.+-]+$")
    whole = pc.replace_substring_regex(texts, r"^[+-]?0*([0-9]*).*$", r"\1")
    fraction = pc.replace_substring_regex(texts, r"^[^.]*\.?([0-9]*?)0*$", r"\1")
    many = pc.greater(pc.binary_length(whole), type.precision - type.scale)
    return as_mask(pc.and_(plain, pc.or_(many, pc.greater(pc.binary_length(fraction), type.scale))))


def _cast_by_halves(texts: pa.Array, type: pa.DataType) -> tuple[pa.Array, Mask]:
    """Casts what can be cast; meant for the few texts a pattern cannot judge."""
    rows = pa.RecordBatch.from_arrays([texts], ["text"])
    values, failed = [], []
    for piece, result in halving(rows, lambda part: part.column(0).cast(type), (pa.ArrowInvalid,)):
        bad = isinstance(result, Exception)
        values.append(pa.nulls(piece.num_rows, type) if bad else result)
        failed.append(np.full(piece.num_rows, bad))
    return pa.concat_arrays(values or [pa.array([], type)]), np.concatenate(failed or [np.zeros(0, bool)])
