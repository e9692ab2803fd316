"""What of a column's description cannot be meant; found when the job is read."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from .types import parse_type

if TYPE_CHECKING:
    from .contract import Column


def inconsistency(column: Column) -> str | None:
    """The first thing about a column that cannot be meant, or None."""
    for problems in (_misplaced, _unknown_zone, _wrong_constants, _contradictions):
        if problem := next(problems(column), None):
            return problem
    return _broken_default(column)


def _misplaced(column: Column) -> Iterator[str]:
    """Keys that mean nothing for a column of its type."""
    typed = parse_type(column.type)
    item, listed = typed.item, typed.is_list
    timed = column.type in ("timestamp", "date")
    checks = [
        (column.optional and not (column.nullable or column.default is not None),
         "optional needs nullable: true or a default"),
        (column.size is not None and not listed, "size belongs to list<type>"),
        (column.ragged and not listed, "ragged belongs to list<type>"),
        (column.ragged and column.size is not None, "ragged and size exclude each other"),
        (column.pattern is not None and not pa.types.is_string(item), "pattern belongs to string"),
        (column.max_length is not None and not (listed or pa.types.is_string(item) or pa.types.is_binary(item)),
         "max_length belongs to string, binary and list<type>; a number has min and max"),
        (column.allow_nan and not pa.types.is_floating(item), "allow_nan belongs to float32 and float64"),
        (column.format is not None and not timed, "format belongs to timestamp and date"),
        (column.timezone is not None and column.type != "timestamp", "timezone belongs to timestamp"),
        (column.type == "timestamp" and column.format is not None and "%z" not in column.format
         and column.timezone is None, "a format without %z needs a timezone; write timezone: UTC"),
        ((column.min is not None or column.max is not None) and (pa.types.is_boolean(item) or pa.types.is_binary(item)),
         "min and max need values that have an order"),
    ]  # fmt: skip
    return (text for wrong, text in checks if wrong)


def _unknown_zone(column: Column) -> Iterator[str]:
    """A time zone that this machine knows nothing of."""
    if column.timezone is None:
        return
    try:
        pc.assume_timezone(pa.array([0]).cast(pa.timestamp("us")), column.timezone)
    except pa.ArrowInvalid:
        near = difflib.get_close_matches(column.timezone, zoneinfo.available_timezones(), 1)
        meant = f"did you mean {near[0]}?" if near else "write one such as America/New_York, UTC or +02:00"
        yield (
            f"timezone: no zone {column.timezone!r} is known here; {meant} "
            "(names such as US/Eastern may need the system's package tzdata-legacy)"
        )


def _wrong_constants(column: Column) -> Iterator[str]:
    """A default, bound or listed value that is not of the column's type (of a list: the items')."""
    typed = parse_type(column.type)
    one = typed.name[5:-1] if typed.is_list else typed.name
    constants = [("default", column.default, typed.name, typed.arrow)]
    constants += [(name, getattr(column, name), one, typed.item) for name in ("min", "max")]
    for name, value, type, arrow in constants:
        if value is not None and not _is_constant(value, arrow):
            yield f"{name}: {value!r} is not {_article(type)} {type}"
    for value in column.values or ():
        if value is None:
            yield "values: null is the absence of a value; leave it out and write nullable: true"
        elif not _is_constant(value, typed.item):
            quoted = "; write it in quotes" if pa.types.is_string(typed.item) else ""
            yield f"values: {value!r} is not {_article(one)} {one}{quoted}"


def _article(type: str) -> str:
    return "an" if type.startswith("int") else "a"


def _is_constant(value: Any, type: pa.DataType) -> bool:
    try:
        constant(value, type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, ValueError, TypeError):
        return False
    return True


def _contradictions(column: Column) -> Iterator[str]:
    """Rules that no value at all can keep."""
    item = parse_type(column.type).item
    both = column.min is not None and column.max is not None
    if both and pc.greater(constant(column.min, item), constant(column.max, item)).as_py():
        yield f"min {column.min} is above max {column.max}"
    if column.values is not None and not column.values:
        yield "values: an empty list allows no value; leave it out to allow all"
    if column.pattern is not None:
        try:
            pc.match_substring_regex(pa.array([""]), column.pattern)
        except pa.ArrowInvalid as error:
            why = str(error).removeprefix("Invalid regular expression: ")
            yield f"pattern: {column.pattern} is no RE2 pattern: {why}"
    if column.size is not None and column.max_length is not None and column.size > column.max_length:
        yield f"size {column.size} is above max_length {column.max_length}"


def _broken_default(column: Column) -> str | None:
    """Why the column's own rules would turn its default away, or None."""
    if column.default is None:
        return None
    typed = parse_type(column.type)
    if typed.is_list:
        items = [constant(value, typed.item) for value in column.default]
        said = _length_said(column, len(items), "items")
    else:
        items = [constant(column.default, typed.item)]
        said = "" if typed.item not in _UNITS else _length_said(column, _length(items[0]), _UNITS[typed.item])
    said = said or next((broken for item in items if (broken := _item_said(column, item))), "")
    return f"default: {column.default!r} {said}, so every row it fills would be turned away" if said else None


_UNITS = {pa.string(): "characters", pa.binary(): "bytes"}


def _length(value: pa.Scalar) -> int:
    measure = pc.utf8_length if pa.types.is_string(value.type) else pc.binary_length
    return int(measure(value).as_py())


def _length_said(column: Column, length: int, unit: str) -> str:
    if column.size is not None and length != column.size:
        return f"does not have {column.size} {unit}"
    return f"is longer than {column.max_length} {unit}" if length > (column.max_length or length) else ""


def _item_said(column: Column, value: pa.Scalar) -> str:
    """What rule of a column one value breaks, or ""."""
    rules: list[tuple[Any, Callable[[], Any], str]] = [
        (None if column.allow_nan or not pa.types.is_floating(value.type) else True,
         lambda: pc.invert(pc.is_finite(value)), "is not finite"),
        (column.min, lambda: pc.less(value, constant(column.min, value.type)), f"is below the min, {column.min}"),
        (column.max, lambda: pc.greater(value, constant(column.max, value.type)), f"is above the max, {column.max}"),
        (column.values, lambda: pa.scalar(value.as_py() not in _plain(column.values or (), value.type)),
         "is not among the values"),
        (column.pattern, lambda: pc.invert(pc.match_substring_regex(value, whole(column.pattern or ""))),
         f"does not match the pattern {column.pattern}"),
    ]  # fmt: skip
    return next((said for rule, broken, said in rules if rule is not None and broken().as_py()), "")


def _plain(values: tuple[Any, ...], type: pa.DataType) -> list[Any]:
    return [constant(value, type).as_py() for value in values]


def whole(pattern: str) -> str:
    """A pattern that only whole values match."""
    return rf"\A(?:{pattern})\z"


def constant(value: Any, type: pa.DataType) -> pa.Scalar:
    """A value of job.yaml as an Arrow scalar; text is parsed where YAML has no such type.

    Raises:
      ValueError: when it is not a value of that type (pa.ArrowInvalid is one).
    """
    if pa.types.is_list(type):
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{value!r} is not a list")
        return pa.scalar([constant(item, type.value_type).as_py() for item in value], type)
    if pa.types.is_boolean(type) != isinstance(value, bool):
        raise ValueError(f"{value!r} is not a {type}")
    if isinstance(value, float) and pa.types.is_integer(type) and not value.is_integer():
        raise ValueError(f"{value!r} is not a whole number")  # pyarrow would cut it off
    textual = pa.types.is_string(type) or pa.types.is_binary(type)
    if isinstance(value, str) and not textual:
        return pa.scalar(value).cast(type)
    if pa.types.is_decimal(type) and isinstance(value, (int, float)):
        return pa.scalar(str(value)).cast(type)
    return pa.scalar(value, type)
