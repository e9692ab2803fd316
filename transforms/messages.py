"""Sentences about rejected rows, made for many rows at once."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

MAX_SHOWN = 80
"""Characters of a value that a message shows; the whole record stands in `raw`."""


def sentence(*parts: str | pa.Array) -> pa.Array:
    """Joins texts and columns into one sentence a row; a null becomes `null`.

    Args:
      parts: at least one column among them.

    Returns:
      string[rows].
    """
    texts = [part if isinstance(part, str) else part.cast(pa.string()).fill_null("null") for part in parts]
    return pc.binary_join_element_wise(*texts, "")


def shown(values: pa.Array) -> pa.Array:
    """Values as a message shows them: texts in quotes and cut, bytes that are no UTF-8 in hexadecimal.

    Returns:
      string[len(values)], `null` for a null.
    """
    if pa.types.is_dictionary(values.type):
        return shown(values.dictionary).take(values.indices).fill_null("null")
    if pa.types.is_binary(values.type):
        values = _decoded(values)
    if pa.types.is_string(values.type):
        cut = pc.if_else(pc.greater(pc.utf8_length(values), MAX_SHOWN), "…'", "'")
        text = pc.binary_join_element_wise("'", pc.utf8_slice_codeunits(values, 0, MAX_SHOWN), cut, "")
        return text.fill_null("null")
    if pa.types.is_list(values.type):
        return pa.array([str(value.as_py())[:MAX_SHOWN] for value in values], pa.string())
    return values.cast(pa.string()).fill_null("null")


def _decoded(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        start = pc.binary_slice(values, 0, 4 * MAX_SHOWN)
        texts = [None if v is None else v.decode("utf-8", "backslashreplace") for v in start.to_pylist()]
        return pa.array(texts, pa.string())
