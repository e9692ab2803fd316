"""Arrow arrays of Python values, one type's worth at a time; for rows that come as Python objects in any case."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from .castable import is_bytes, is_list, is_text, is_uuid, plain

_T = pa.types
_EPOCH = date(1970, 1, 1)
_MILLIS_A_DAY = 86_400_000
WRONG = (ValueError, TypeError, OverflowError, ArithmeticError, NotImplementedError)
"""What `stored` and `array_of` raise for a value that is none of the type."""


def canonical(type: pa.DataType) -> pa.DataType:
    """The type that arrays of a file's type are made of: one text, one bytes, one list, no dictionaries."""
    type = plain(type)
    if is_text(type):
        return pa.string()
    if is_list(type):
        return pa.list_(canonical(type.value_type))
    return pa.binary() if is_bytes(type) else type


def array_of(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    """An array of stored values.

    Args:
      values: as `stored` gives them; None for what is missing. Text is bytes, which need be no UTF-8.
      type: a canonical type.
    """
    if _T.is_union(type):
        return _union(values, type)
    if is_list(type):
        return _lists(values, type)
    if is_text(type):
        return pa.array(values, pa.binary()).view(pa.string())
    if is_uuid(type):
        return pa.ExtensionArray.from_storage(type, pa.array(values, pa.binary(16)))
    if _T.is_float16(type):
        return pa.array([None if value is None else np.float16(value) for value in values], type)
    if _T.is_temporal(type) and not _T.is_interval(type):
        return pa.array(values, pa.int32() if type.bit_width == 32 else pa.int64()).view(type)
    return pa.array(values, type)


def _lists(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    lengths = [0 if value is None else len(value) for value in values]
    items = array_of([item for value in values for item in value or ()], type.value_type)
    ends = pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32))
    return pa.ListArray.from_arrays(ends, items, type, mask=pa.array([value is None for value in values], pa.bool_()))


def _union(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    """A dense union of pairs (branch, stored value)."""
    pairs = [(0, None) if value is None else value for value in values]
    codes = np.array([branch for branch, _ in pairs], np.int8)
    children = [[value for at, value in pairs if at == branch] for branch in range(type.num_fields)]
    places = np.zeros(len(pairs), np.int32)
    for branch in range(type.num_fields):
        mine = codes == branch
        places[mine] = np.arange(mine.sum())
    arrays = [array_of(child, type.field(at).type) for at, child in enumerate(children)]
    names = [type.field(at).name for at in range(type.num_fields)]
    return pa.UnionArray.from_dense(pa.array(codes), pa.array(places), arrays, names)


def stored(value: Any, type: pa.DataType) -> Any:
    """What `array_of` takes for a value of JSON; a number with a fraction is a Decimal.

    Raises:
      One of WRONG: when it is none of the type.
    """
    if value is None:
        return None
    if _T.is_union(type):
        return _branch(value, type)
    if is_list(type):
        return [stored(item, type.value_type) for item in _checked(value, list)]
    convert = next((convert for test, convert in _STORED if test(type)), None)
    if convert is None:
        raise TypeError(f"no value of JSON is {type}")
    made = convert(value, type)
    array_of([made], type)
    return made


def _branch(value: Any, type: pa.DataType) -> tuple[int, Any]:
    """The first branch of a union that a value can be, and what is stored there."""
    for at in range(type.num_fields):
        try:
            return at, stored(value, type.field(at).type)
        except WRONG:
            continue
    raise ValueError(f"no branch of {type} takes it")


def _checked(value: Any, *types: type) -> Any:
    if isinstance(value, bool) != (bool in types) or not isinstance(value, types):
        raise TypeError(f"{value!r} is none of {types}")
    return value


def _float(value: Any, type: pa.DataType) -> float:
    if isinstance(value, str) and value not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value!r} is no number")
    return float(_checked(value, int, float, Decimal, str))


def _date(value: Any, type: pa.DataType) -> int:
    if isinstance(value, str):
        days = (date.fromisoformat(value) - _EPOCH).days
        return days if _T.is_date32(type) else days * _MILLIS_A_DAY
    return int(_checked(value, int))


def _time(value: Any, type: pa.DataType) -> int:
    if not isinstance(value, str):
        return int(_checked(value, int))
    if _T.is_time(type):
        at = time.fromisoformat(value)
        return ((at.hour * 60 + at.minute) * 60 + at.second) * (10**9 // _NANOS[type.unit]) + (
            at.microsecond * 1000 // _NANOS[type.unit]
        )
    read = "ns" if type.unit == "ns" else "us"
    micros = pa.scalar(value).cast(pa.timestamp(read, type.tz and "UTC")).value
    return int(micros) // (_NANOS[type.unit] // _NANOS[read])


_NANOS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_STORED: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], Any]], ...] = (
    (is_text, lambda value, _: _checked(value, str).encode("utf-8", "surrogateescape")),
    (is_uuid, lambda value, _: UUID(_checked(value, str)).bytes),
    (is_bytes, lambda value, _: base64.b64decode(_checked(value, str), validate=True)),
    (_T.is_boolean, lambda value, _: _checked(value, bool)),
    (_T.is_integer, lambda value, _: _checked(value, int)),
    (_T.is_floating, _float),
    (_T.is_decimal, lambda value, _: Decimal(_checked(value, str, int, Decimal))),
    (_T.is_date, _date),
    (_T.is_time, _time),
    (_T.is_timestamp, _time),
)
