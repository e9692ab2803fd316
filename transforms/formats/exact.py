"""A file's values as values of another type, and which of them it cannot hold: nothing is rounded quietly."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.contract import Column
from ..convert_numbers import convert_decimals, convert_integers
from ..convert_times import DAY, FIRST, LAST, LOCAL, UTC, Integers, Times, in_zone
from ..verdict import Mask, as_mask

_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_A_DAY = {"date32": 1, "date64": 86_400_000}


def exact_integers(values: pa.Array, type: pa.DataType) -> tuple[pa.Array, Mask]:
    """Integers of numbers that are whole and in range.

    Args:
      values: of any integer, float or decimal type.
      type: an integer type.

    Returns:
      type[n] with nulls where there is no value or it is none; and bool[n], true for the latter.
    """
    if pa.types.is_decimal(values.type):
        digits = pc.replace_substring_regex(values.cast(pa.string()), r"\.0*$", "")
        return convert_integers(digits.cast(pa.binary()), type)
    if pa.types.is_integer(values.type):
        try:
            return values.cast(type), np.zeros(len(values), bool)
        except pa.ArrowInvalid:
            pass
    numbers = values.cast(pa.float64()) if pa.types.is_floating(values.type) else values
    found = numbers.fill_null(0).to_numpy()
    bits = type.bit_width - pa.types.is_signed_integer(type)
    low = -(1 << bits) if pa.types.is_signed_integer(type) else 0
    guilty: Mask = ~((found >= low) & (found < (1 << bits)))
    if pa.types.is_floating(numbers.type):
        guilty |= found != np.floor(found)
    return without(numbers, guilty).cast(type, safe=False), guilty


def nearest_floats(values: pa.Array, type: pa.DataType) -> pa.Array:
    """The nearest floats; what is too large becomes infinite."""
    if pa.types.is_float16(values.type) or pa.types.is_decimal(values.type):
        return values.cast(type)
    return values.cast(type, safe=False)


def exact_bools(values: pa.Array) -> tuple[pa.Array, Mask]:
    """Whether integers are 1; guilty are those that are neither 0 nor 1."""
    found = values.fill_null(0).to_numpy()
    guilty = (found != 0) & (found != 1)
    return without(values, guilty).cast(pa.bool_()), guilty


def exact_decimals(values: pa.Array, type: pa.DataType) -> tuple[pa.Array, Mask]:
    """Decimals of integers and decimals that keep all their digits."""
    same = pa.types.is_decimal128(values.type) and values.type.scale == type.scale
    if same and values.type.precision <= type.precision:
        return values.cast(type), np.zeros(len(values), bool)
    return convert_decimals(values.cast(pa.string()).cast(pa.binary()), type)


def exact_dates(values: pa.Array) -> Times:
    """Dates of days, and of local times at midnight."""
    if pa.types.is_timestamp(values.type):
        unit = 86_400 * _A_SECOND[values.type.unit]
    else:
        unit = 1 if pa.types.is_date32(values.type) else 86_400_000
    wide = values.view(pa.int32()) if pa.types.is_date32(values.type) else values.view(pa.int64())
    found = _int64(wide)
    days = found // unit
    bad = (days * unit != found) | (days < FIRST // DAY) | (days > LAST // DAY)
    dates = pa.array(np.where(bad, 0, days).astype(np.int32), mask=bad | as_mask(values.is_null())).cast(pa.date32())
    return Times(dates, bad, _none(bad), _none(bad))


def exact_instants(values: pa.Array, column: Column) -> Times:
    """Instants of timestamps of any unit; those without a zone are local to the column's."""
    found, a_second = _int64(values.view(pa.int64())), _A_SECOND[values.type.unit]
    missing = as_mask(values.is_null())
    if a_second <= 1_000_000:
        times = 1_000_000 // a_second
        bad = (found < FIRST // times) | (found > LAST // times)
        micros = np.where(bad, 0, found) * times
    else:
        micros = found // 1_000
        bad = micros * 1_000 != found
    if values.type.tz is not None:
        return _instants(micros, missing, bad, _none(bad), _none(bad))
    at_once = _at_once(pa.array(micros, mask=bad | missing).cast(LOCAL), column)
    if at_once is not None:
        return Times(at_once, bad, _none(bad), _none(bad))
    instants, skipped, twice = in_zone(np.where(bad | missing, 0, micros), column)
    said = ~(bad | missing)
    return _instants(instants, missing, bad, skipped & said, twice & said)


def _at_once(local: pa.Array, column: Column) -> pa.Array | None:
    """Instants of local times; None when one of them has to be looked at."""
    ambiguous = "raise" if column.ambiguous == "reject" else column.ambiguous
    try:
        instants = pc.assume_timezone(local, column.timezone, ambiguous=ambiguous, nonexistent="raise").cast(UTC)
    except pa.ArrowInvalid:
        return None
    ends = pc.min_max(instants.cast(pa.int64())).as_py()
    return instants if ends["min"] is None or (ends["min"] >= FIRST and ends["max"] <= LAST) else None


def _instants(micros: Integers, missing: Mask, bad: Mask, skipped: Mask, twice: Mask) -> Times:
    bad = (bad | (micros < FIRST) | (micros > LAST)) & ~missing
    values = pa.array(micros, mask=bad | missing | skipped | twice).cast(UTC)
    return Times(values, bad, skipped & ~bad, twice & ~bad)


def without(values: pa.Array, guilty: Mask) -> pa.Array:
    """The same values, null where they are guilty."""
    return pc.if_else(pa.array(guilty), pa.scalar(None, values.type), values) if guilty.any() else values


def _int64(values: pa.Array) -> Integers:
    return np.asarray(values.fill_null(0).to_numpy(), np.int64)


def _none(like: Mask) -> Mask:
    return np.zeros(len(like), bool)
