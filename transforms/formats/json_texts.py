"""Values of records that were read one by one, as columns."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa

from ...schemas.contract import Column
from ..messages import MAX_SHOWN
from ..verdict import Verdict
from .base64_text import decode_base64
from .cast import cast_values
from .json_record import Number, Stray, kind_of
from .json_shape import Field, is_textual


class _Misfit(Exception):
    """A value that no text of the column's type can stand for."""


def column_of(values: list[Any], field: Field, type: pa.DataType, verdict: Verdict) -> pa.Array:
    """The values of a field, converted.

    Args:
      values: as `find` finds them in records; are not to be used again.
      field: which they are of.
      type: the Arrow type wanted.
      verdict: is told of values that are none of the column's type.
    """
    texts, misfits = _texts(values, field.column)
    if misfits:
        messages = pa.array([f"column {field.name}: {said}" for said in misfits.values()], pa.string())
        verdict.blame(np.array(list(misfits)), "bad_value", messages)
    text = pa.list_(pa.string()) if field.column.typed.is_list else pa.string()
    return converted(pa.array(texts, text), field, type, verdict)


def converted(texts: pa.Array, field: Field, type: pa.DataType, verdict: Verdict) -> pa.Array:
    """Texts, or lists of texts, as values of a column; `verdict` is told of those that are none."""
    if pa.types.is_binary(field.column.typed.item):
        texts = decode_base64(texts, field.name, verdict)
    return cast_values(texts, field.name, field.column, type, verdict)


def _texts(values: list[Any], column: Column) -> tuple[list[Any], dict[int, str]]:
    """Values as texts, or lists as lists of texts; and what is wrong with those that are none, which are null then."""
    textual = is_textual(column.typed.item)
    usual: Collection[type] = (str, type(None)) if textual else (str, Number, type(None))
    if column.typed.is_list:
        odd = [at for at, value in enumerate(values) if not _is_usual_list(value, usual)]
    else:
        if not textual:
            values = [str(value) if type(value) is int else value for value in values]
        odd = [at for at, value in enumerate(values) if type(value) not in usual]
    misfits = {}
    for at in odd:
        try:
            values[at] = _text(values[at], column)
        except _Misfit as misfit:
            values[at], misfits[at] = None, str(misfit)
    return values, misfits


def _is_usual_list(value: Any, usual: Collection[type]) -> bool:
    return value is None or (type(value) is list and all(type(item) in usual for item in value))


def _text(value: Any, column: Column) -> Any:
    """A value as text, or a list as a list of texts."""
    if isinstance(value, Stray):
        raise _Misfit(value.said)
    if not column.typed.is_list:
        return _plain(value, column)
    if not isinstance(value, list):
        raise _misfit(value, column.type)
    return [None if item is None else _plain(item, column) for item in value]


def _plain(value: Any, column: Column) -> str:
    textual = is_textual(column.typed.item)
    if isinstance(value, (dict, list)) or (textual and not _is_text(value)):
        raise _misfit(value, column.type)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _misfit(value: Any, type: str) -> _Misfit:
    shown = kind_of(value)
    if isinstance(value, bool):
        shown = "true" if value else "false"
    elif isinstance(value, (Number, int)):
        shown = f"the number {str(value)[:MAX_SHOWN]}"
    elif isinstance(value, str):
        shown = repr(value[:MAX_SHOWN])
    return _Misfit(f"{shown} is not {'an' if type.startswith('int') else 'a'} {type}")
