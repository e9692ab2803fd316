"""Bytes written as base64 text (RFC 4648, with padding)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..messages import sentence, shown
from ..text_columns import bounds, content, without
from ..verdict import Verdict, as_mask

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SIX_BITS = np.zeros(256, np.uint8)
_SIX_BITS[list(_ALPHABET)] = np.arange(64)
_WHOLE = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


def decode_base64(texts: pa.Array, name: str, verdict: Verdict) -> pa.Array:
    """Decodes texts, all at once.

    Args:
      texts: string[n] or list<string>[n].
      name: the column's name, for messages.
      verdict: is told of rows whose text is no base64.

    Returns:
      binary[n] or list<binary>[n], null where the text is, or where it is none.
    """
    if pa.types.is_list(texts.type):
        return _of_lists(texts, name, verdict)
    bad = as_mask(pc.invert(pc.match_substring_regex(texts, _WHOLE)))
    if bad.any():
        rows = np.flatnonzero(bad)
        found = sentence(f"column {name}: ", shown(texts.take(pa.array(rows))), " is not base64, as a binary has to be")
        verdict.blame(rows, "bad_value", found)
        texts = without(texts, bad)
    return _decoded(texts)


def _of_lists(lists: pa.Array, name: str, verdict: Verdict) -> pa.Array:
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy()
    of_items = Verdict(int(lengths.sum()))
    items = decode_base64(lists.flatten(), name, of_items)
    if of_items:
        at, reasons, messages = of_items.findings()
        rows, first = np.unique(np.repeat(np.arange(len(lists)), lengths)[at], return_index=True)
        verdict.blame(rows, reasons[0].as_py(), messages.take(pa.array(first)))
    ends = pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32))
    return pa.ListArray.from_arrays(ends, items, mask=lists.is_null() if lists.null_count else None)


def _decoded(texts: pa.Array) -> pa.Array:
    """Decodes well-formed texts: each is a whole number of fours of characters, so they can be laid end to end."""
    full = pc.fill_null(texts, "")
    characters = content(full).reshape(-1, 4)
    pads = characters == ord("=")
    six = _SIX_BITS[characters].astype(np.uint32)
    words = six[:, 0] << 18 | six[:, 1] << 12 | six[:, 2] << 6 | six[:, 3]
    octets = np.stack([words >> 16, words >> 8 & 255, words & 255], axis=1).astype(np.uint8)
    kept = np.stack([~pads[:, 0], ~pads[:, 2], ~pads[:, 3]], axis=1)
    fours = np.append(0, np.cumsum(kept.sum(axis=1)))
    ends = fours[(bounds(full) - bounds(full)[0]) // 4].astype(np.int32)
    valid = np.packbits(as_mask(texts.is_valid()), bitorder="little")
    data = np.ascontiguousarray(octets[kept])
    return pa.Array.from_buffers(pa.binary(), len(texts), [pa.py_buffer(each) for each in (valid, ends, data)])
