"""Columns of text, looked at through their buffers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .verdict import Mask, as_mask


def bounds(texts: pa.Array) -> npt.NDArray[np.int32]:
    """Where each text begins in the buffer, and where the last one ends: int32[n + 1]."""
    return np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]


def content(texts: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of all texts, one after the other."""
    starts, data = bounds(texts), texts.buffers()[2]
    return np.frombuffer(data, np.uint8)[starts[0] : starts[-1]] if data else np.empty(0, np.uint8)


def trimmed(texts: pa.Array) -> pa.Array:
    """The texts without the spaces and tabs around them."""
    data = content(texts)
    return pc.ascii_trim(texts, " \t") if ((data == 32) | (data == 9)).any() else texts


def unlike(texts: pa.Array, plain: bytes) -> Mask:
    """Which texts are empty, or hold a byte that is not among `plain`."""
    usual = np.zeros(256, bool)
    usual[list(plain)] = True
    starts = bounds(texts)
    unlike: Mask = starts[1:] == starts[:-1]
    odd = np.flatnonzero(~usual[content(texts)]) + starts[0]
    unlike[np.searchsorted(starts, odd, "right") - 1] = True
    return unlike


def mismatches(texts: pa.Array, among: Mask, pattern: str) -> Mask:
    """Which of some texts do not match a pattern; a null does."""
    rows = np.flatnonzero(among)
    judged = texts if len(rows) == len(texts) else texts.take(pa.array(rows))
    matches = pc.match_substring_regex(judged.view(pa.binary()), pattern)
    guilty = np.zeros(len(texts), bool)
    guilty[rows] = as_mask(pc.invert(matches))
    return guilty


def without(texts: pa.Array, guilty: Mask) -> pa.Array:
    """The same texts, or bytes, on the same buffers, null where they are guilty.

    `pc.if_else` with a null gives other texts up to Arrow 23 when the first does not begin at the buffer's beginning.
    """
    if not guilty.any():
        return texts
    valid = np.packbits(~guilty & as_mask(texts.is_valid()), bitorder="little")
    starts = pa.py_buffer(np.ascontiguousarray(bounds(texts)))
    return pa.Array.from_buffers(texts.type, len(texts), [pa.py_buffer(valid), starts, texts.buffers()[2]])
