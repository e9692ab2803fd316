"""Columns of a file's own types as columns of a contract; the rows whose value is no such thing are named."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.contract import Column
from ..convert import blame_times, blame_value, convert
from ..messages import shown
from ..verdict import Mask, Rows, Verdict, as_mask, at_indices
from .castable import castable, is_extension, is_list, is_number, is_text, is_uuid, item_column
from .exact import exact_bools, exact_dates, exact_decimals, exact_instants, exact_integers, nearest_floats
from .lines import missing

_HYPHENS = (8, 12, 16, 20)


def cast_values(values: pa.Array, name: str, column: Column, type: pa.DataType, verdict: Verdict) -> pa.Array:
    """Casts what a file holds to what a contract says, value by value and exactly.

    An integer that is out of range, a float with a fraction in an integer column, a time finer than microseconds, a
    decimal that would lose digits and bytes that are no UTF-8 are blamed, and so is every value of a type that
    `castable` refuses. A text is read as the text of a CSV field is. Floats are the one thing that may be rounded: a
    float column takes the nearest float of what it gets, and infinity (which `validate` finds) of what is too large.

    Args:
      values: of any Arrow type.
      name: the column's name, for messages.
      column: what it must be.
      type: the Arrow type wanted, that of `Contract.arrow_type`.
      verdict: is told of rows whose value is none of the column's, with `bad_value`, `not_utf8` or a reason of times.

    Returns:
      type[n], null where the value is missing or was blamed.
    """
    if values.type == type and is_number(type):
        return values
    if is_extension(values.type) and not is_uuid(values.type):
        return cast_values(values.storage, name, column, type, verdict)
    if pa.types.is_null(values.type):
        return missing(len(values), type)
    if pa.types.is_dictionary(values.type):
        return _of_dictionary(values, name, column, type, verdict)
    if pa.types.is_run_end_encoded(values.type):
        return cast_values(pc.run_end_decode(values), name, column, type, verdict)
    if pa.types.is_union(values.type):
        return _of_union(values, name, column, type, verdict)
    if castable(values.type, column):
        blame_value(_showable(values), name, column, np.flatnonzero(as_mask(values.is_valid())), verdict)
        return missing(len(values), type)
    if is_list(values.type):
        return _of_list(values, name, column, type, verdict)
    if is_text(values.type):
        return convert(values.cast(pa.binary()), name, column, type, verdict)
    return _of_value(values, name, column, type, verdict)


def _of_value(values: pa.Array, name: str, column: Column, type: pa.DataType, verdict: Verdict) -> pa.Array:
    """Casts plain values that are neither lists nor text."""
    kind = column.typed.arrow
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return convert(_as_bytes(values), name, column, type, verdict)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        times = exact_dates(values) if pa.types.is_date(kind) else exact_instants(values, column)
        blame_times(values, times, name, column, verdict)
        return times.values
    if pa.types.is_floating(kind):
        return nearest_floats(values, kind)
    made, guilty = _numbers(values, kind)
    blame_value(values, name, column, np.flatnonzero(guilty), verdict)
    return made


def _numbers(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Mask]:
    if pa.types.is_integer(kind):
        return exact_integers(values, kind)
    return exact_bools(values) if pa.types.is_boolean(kind) else exact_decimals(values, kind)


def _as_bytes(values: pa.Array) -> pa.Array:
    if is_uuid(values.type):
        return _uuid_text(values.storage).cast(pa.binary())
    return (values.cast(pa.string()) if pa.types.is_time(values.type) else values).cast(pa.binary())


def _uuid_text(values: pa.Array) -> pa.Array:
    """UUIDs as they are written: 32 hexadecimal digits in five groups."""
    data = values.fill_null(bytes(16)).cast(pa.binary())
    octets = np.frombuffer(b"".join(data.to_pylist()), np.uint8).reshape(-1, 16)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    hexadecimal = digits[np.stack([octets >> 4, octets & 15], axis=2).reshape(-1, 32)]
    text = np.insert(hexadecimal, _HYPHENS, ord("-"), axis=1)
    starts = pa.py_buffer(np.arange(0, 36 * len(values) + 1, 36, dtype=np.int32))
    made = pa.StringArray.from_buffers(len(values), starts, pa.py_buffer(np.ascontiguousarray(text)))
    return pc.if_else(values.is_valid(), made, pa.scalar(None, pa.string()))


def _of_dictionary(values: pa.Array, name: str, column: Column, type: pa.DataType, verdict: Verdict) -> pa.Array:
    """Casts each value of a dictionary once, unless it has more of them than there are rows."""
    if len(values.dictionary) > len(values):
        return cast_values(values.dictionary_decode(), name, column, type, verdict)
    if values.type == type and _is_sound_text(values.dictionary):
        return values
    of_values = Verdict(len(values.dictionary))
    kind = type.value_type if pa.types.is_dictionary(type) else type
    made = cast_values(values.dictionary, name, column, kind, of_values)
    indices = values.indices if values.indices.type == pa.int32() else values.indices.cast(pa.int32())
    if of_values:
        rows = np.flatnonzero(at_indices(of_values.guilty, indices))
        _pass_on(of_values, rows, indices.take(pa.array(rows)).to_numpy(), verdict)
    if not pa.types.is_dictionary(type):
        return made.take(indices)
    return _dictionary(indices, made)


def _is_sound_text(values: pa.Array) -> bool:
    """Whether these are strings, well-formed and not null: what most dictionaries hold, and nothing is to be done."""
    if not pa.types.is_string(values.type) or values.null_count:
        return False
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _dictionary(indices: pa.Array, values: pa.Array) -> pa.Array:
    """A dictionary array without null entries: what stands for none of the rows left, or for nulls, is dropped."""
    if values.null_count:
        kept = as_mask(values.is_valid())
        indices = pa.array((np.cumsum(kept) - 1).astype(np.int32), mask=~kept).take(indices)
        values = values.drop_null()
    return pa.DictionaryArray.from_arrays(indices, values, safe=False)  # the indices were checked when they were made


def _of_list(values: pa.Array, name: str, column: Column, type: pa.DataType, verdict: Verdict) -> pa.Array:
    """Casts the items of all lists at once."""
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy().astype(np.int64)
    items = values.flatten()
    of_items = Verdict(len(items))
    made = cast_values(items, name, item_column(column.type), type.value_type, of_items)
    empty = as_mask(values.is_null())
    if of_items:
        found = np.flatnonzero(of_items.guilty)
        rows, first = np.unique(np.repeat(np.arange(len(values)), lengths)[found], return_index=True)
        _pass_on(of_items, rows, found[first], verdict)
        empty[rows] = True
    ends = pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32))
    return pa.ListArray.from_arrays(ends, made, type, mask=pa.array(empty) if empty.any() else None)


def _of_union(values: pa.Array, name: str, column: Column, type: pa.DataType, verdict: Verdict) -> pa.Array:
    """Casts the values of each branch for themselves."""
    kind = type.value_type if pa.types.is_dictionary(type) else type
    codes, places = np.asarray(values.type_codes), np.asarray(values.offsets)
    parts, order = [pa.array([], kind)], [np.empty(0, np.int64)]
    for branch in range(values.type.num_fields):
        rows = np.flatnonzero(codes == branch)
        inner = Verdict(len(rows))
        of_branch = values.field(branch).take(pa.array(places[rows]))
        parts.append(cast_values(of_branch, name, column, kind, inner))
        order.append(rows)
        if inner:
            guilty = np.flatnonzero(inner.guilty)
            _pass_on(inner, rows[guilty], guilty, verdict)
    made = pa.concat_arrays(parts).take(pa.array(np.argsort(np.concatenate(order))))
    return made if kind == type else made.dictionary_encode()


def _pass_on(inner: Verdict, rows: Rows, places: Rows, verdict: Verdict) -> None:
    """Blames rows for what was found at some places of the inner verdict, which are guilty there."""
    found, reasons, messages = inner.findings()
    at = pa.array(np.searchsorted(found, places))
    reasons, messages = reasons.take(at), messages.take(at)
    for reason in reasons.unique().to_pylist():
        same = as_mask(pc.equal(reasons, reason))
        verdict.blame(rows[same], reason, messages.filter(pa.array(same)))


def _showable(values: pa.Array) -> pa.Array:
    """Values of any type as something that a message can show."""
    try:
        shown(values[:1])
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.string())
    return values
