"""Timestamps and dates from text: at once where all is well, else value by value, with what is wrong with each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.contract import Column
from .fixed_times import rewritten
from .text_columns import mismatches, trimmed, without
from .time_format import ISO, ISO_DATE, MONTHS, TimeFormat, parse_format
from .verdict import Mask, as_mask, at_indices

LOCAL, UTC = pa.timestamp("us"), pa.timestamp("us", "UTC")
DAY = 86_400_000_000
# From 0001-01-01 to 9999-12-31, what Python, Delta and BigQuery can hold.
FIRST, LAST = -62_135_596_800_000_000, 253_402_300_800_000_000 - 1

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Times:
    """Times read from text.

    Attributes:
      values: timestamp[us, UTC][n] or date32[n]; null where the text is missing or wrong.
      bad: bool[n], the text is no such time.
      skipped: bool[n], the local time did not happen.
      twice: bool[n], the local time happened twice, and the column rejects that.
    """

    values: pa.Array
    bad: Mask
    skipped: Mask
    twice: Mask

    def spread(self, indices: pa.Array) -> Times:
        """These times at some positions, of which the null ones are missing."""
        bad, skipped, twice = (at_indices(mask, indices) for mask in (self.bad, self.skipped, self.twice))
        return Times(self.values.take(indices), bad, skipped, twice)


def convert_times(text: pa.Array, column: Column) -> Times:
    """Reads timestamps or dates by the column's format, ISO 8601 without one.

    A local time that happens twice is the instant that `column.ambiguous` says.

    Args:
      text: binary[n].
      column: of type timestamp or date.
    """
    texts = text.view(pa.string())
    none = np.zeros(len(texts), bool)
    try:
        return Times(_at_once(texts, column), none, none, none)
    except pa.ArrowInvalid:
        texts = trimmed(texts)
    bad = mismatches(texts, ~none, time_format(column).pattern)
    try:
        return Times(_at_once(without(texts, bad), column), bad, none, none)
    except pa.ArrowInvalid:
        spellings = texts.dictionary_encode()  # times repeat; each spelling is read once
        return _one_by_one(spellings.dictionary, column).spread(spellings.indices)


def time_format(column: Column) -> TimeFormat:
    """The format of a column.

    Raises:
      ValueError: when its `format` cannot be read.
    """
    if column.format:
        return _parsed(column.format)
    return ISO_DATE if column.type == "date" else ISO


_parsed = lru_cache(maxsize=64)(parse_format)


def _at_once(texts: pa.Array, column: Column) -> pa.Array:
    """All times by Arrow's own parser. Raises ArrowInvalid when one of them is wrong, or must be looked at closely."""
    if column.format:
        texts = rewritten(texts, time_format(column))
    if column.type == "date":
        return _in_range(texts.cast(LOCAL if column.format else pa.date32())).cast(pa.date32())
    if column.timezone is None:
        return _in_range(texts.cast(UTC))
    ambiguous = "raise" if column.ambiguous == "reject" else column.ambiguous
    local = texts.cast(LOCAL)
    return _in_range(pc.assume_timezone(local, column.timezone, ambiguous=ambiguous, nonexistent="raise").cast(UTC))


def _in_range(values: pa.Array) -> pa.Array:
    """The values, if all of them are of the years 1 to 9999."""
    ends = pc.min_max(values.cast(pa.timestamp("us", values.type.tz) if pa.types.is_timestamp(values.type) else LOCAL))
    low, high = (ends[end].cast(pa.int64()).as_py() for end in ("min", "max"))
    if low is not None and (low < FIRST or high > LAST):
        raise pa.ArrowInvalid("out of range")
    return values


def _one_by_one(texts: pa.Array, column: Column) -> Times:
    """Times that may be wrong, each for itself."""
    parts = _parts(texts, time_format(column))
    days, bad = _days(parts)
    if column.type == "date":
        return _times(days * DAY, bad, np.zeros(len(bad), bool), np.zeros(len(bad), bool), pa.date32())
    local = days * DAY + _time_of_day(parts)
    zoned, east = _offsets(parts)
    instants, skipped, twice = local - east, np.zeros(len(bad), bool), np.zeros(len(bad), bool)
    if column.timezone is None:
        bad |= ~zoned
    elif not zoned.all():
        here, skipped, twice = in_zone(np.where(bad | zoned, 0, local), column)
        instants = np.where(zoned, instants, here)
    return _times(instants, bad, skipped & ~bad & ~zoned, twice & ~bad & ~zoned, UTC)


def _times(micros: Integers, bad: Mask, skipped: Mask, twice: Mask, type: pa.DataType) -> Times:
    bad = bad | (micros < FIRST) | (micros > LAST)
    values = pa.array(micros, mask=bad | skipped | twice).cast(UTC)
    return Times(values.cast(LOCAL).cast(pa.date32()) if pa.types.is_date(type) else values, bad, skipped, twice)


class _Parts:
    """The parts of times, as the groups of a pattern."""

    def __init__(self, found: pa.StructArray, names: tuple[str, ...]) -> None:
        self.found, self.names = found, names
        self.matched = as_mask(found.is_valid())

    def text(self, name: str) -> pa.Array:
        """A group, empty where it is not there."""
        if name not in self.names:
            return pa.repeat("", len(self.found))
        return pc.struct_field(self.found, name).fill_null("")

    def number(self, name: str, missing: int = 0) -> Integers:
        """A group of digits."""
        text = self.text(name)
        digits = pc.if_else(pc.equal(text, ""), str(missing), text)
        return np.asarray(digits.cast(pa.int64()).to_numpy())


def _parts(texts: pa.Array, format: TimeFormat) -> _Parts:
    return _Parts(pc.extract_regex(texts, format.pattern), format.groups)


def _days(parts: _Parts) -> tuple[Integers, Mask]:
    """Days since 1970, and which dates there are not."""
    year = parts.number("year")
    if "short_year" in parts.names:
        short = parts.number("short_year")
        year = short + np.where(short < 69, 2000, 1900)  # as POSIX has it
    if "day_of_year" in parts.names:
        months, unit, day = (year - 1970) * 12, 12, parts.number("day_of_year", 1)
    else:
        months, unit, day = (year - 1970) * 12 + _month(parts) - 1, 1, parts.number("day", 1)
    first, following = _first_day(months), _first_day(months + unit)
    return first + day - 1, ~parts.matched | (day > following - first)


def _month(parts: _Parts) -> Integers:
    if "month_name" not in parts.names:
        return parts.number("month", 1)
    short = pc.utf8_slice_codeunits(pc.ascii_lower(parts.text("month_name")), 0, 3)
    index = pc.index_in(short, value_set=pa.array([name[:3] for name in MONTHS])).fill_null(0)
    return np.asarray(index.to_numpy()).astype(np.int64) + 1


def _first_day(months: Integers) -> Integers:
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _time_of_day(parts: _Parts) -> Integers:
    """Microseconds since midnight."""
    hour = parts.number("hour")
    if "hour12" in parts.names:
        evening = as_mask(pc.equal(pc.ascii_lower(parts.text("half")), "pm"))
        hour = parts.number("hour12") % 12 + 12 * evening
    fraction = parts.text("fraction")
    digits = np.asarray(pc.binary_length(fraction).to_numpy()).astype(np.int64)
    micros: Integers = parts.number("fraction") * 10 ** (6 - digits)
    return ((hour * 60 + parts.number("minute")) * 60 + parts.number("second")) * 1_000_000 + micros


def _offsets(parts: _Parts) -> tuple[Mask, Integers]:
    """Which times carry their offset from UTC, and how many microseconds east it is."""
    zone = pc.replace_substring(parts.text("zone"), ":", "")
    zoned = as_mask(pc.not_equal(zone, ""))
    digits = pc.utf8_rpad(pc.utf8_slice_codeunits(zone, 1), 4, "0").cast(pa.int64()).to_numpy()
    return zoned, np.where(as_mask(pc.starts_with(zone, "-")), -1, 1) * (digits // 100 * 60 + digits % 100) * 60_000_000


def in_zone(micros: Integers, column: Column) -> tuple[Integers, Mask, Mask]:
    """Instants of local times; those the clocks skipped; those they showed twice, if the column minds."""
    local = pa.array(micros).cast(LOCAL)

    def instants(ambiguous: str, nonexistent: str) -> Integers:
        zoned = pc.assume_timezone(local, column.timezone, ambiguous=ambiguous, nonexistent=nonexistent)
        return np.asarray(zoned.cast(pa.int64()).to_numpy())

    early, late = instants("earliest", "earliest"), instants("latest", "earliest")
    skipped = early != instants("earliest", "latest")
    twice = (early != late) if column.ambiguous == "reject" else np.zeros(len(micros), bool)
    return (late if column.ambiguous == "latest" else early), skipped, twice
