"""Keys as 64-bit numbers, whole columns at once: what a side table is sorted and searched by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]
_CHUNK = 1 << 16
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hashes(columns: Sequence[pa.Array], seed: int) -> Hashes:
    """A number for each row; equal rows have equal ones, and others hardly ever.

    A text's is the sum of its bytes, each times a number of its place (modulo 2^64): sums of whole columns are
    differences of one running sum, so that no text is looked at alone.

    Args:
      columns: at least one, integers, bools, dates, timestamps or texts, no dictionaries; a null counts as zero.
      seed: another gives other numbers.

    Returns:
      uint64[rows].
    """
    made = np.empty(len(columns[0]), np.uint64)
    for start in range(0, len(made), _CHUNK):
        parts = [column.slice(start, _CHUNK) for column in columns]
        whole = np.full(len(parts[0]), _mixed(np.array([seed], np.uint64))[0])
        for part in parts:
            own = _of_texts(part, seed) if pa.types.is_string(part.type) else _of_numbers(part)
            whole = _mixed(whole ^ own)
        made[start : start + _CHUNK] = whole
    return made


def _of_numbers(values: pa.Array) -> Hashes:
    if pa.types.is_date(values.type):
        values = values.cast(pa.int32())
    numbers = values.cast(pa.int64()).fill_null(0).to_numpy()
    return cast("Hashes", numbers.view(np.uint64))


def _of_texts(texts: pa.Array, seed: int) -> Hashes:
    texts = texts.fill_null("")
    _, places, data = texts.buffers()
    ends = np.frombuffer(places, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    octets = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]] if data is not None else np.empty(0, np.uint8)
    ends -= ends[0]
    lengths = np.diff(ends)
    place = np.arange(len(octets)) - np.repeat(ends[:-1], lengths)
    weights = _mixed(np.arange(lengths.max(initial=0) + 1, dtype=np.uint64) + np.uint64(seed + 1)) | np.uint64(1)
    sums = np.zeros(len(octets) + 1, np.uint64)
    np.cumsum((octets.astype(np.uint64) + np.uint64(1)) * weights[place], out=sums[1:])
    return cast("Hashes", (sums[ends[1:]] - sums[ends[:-1]]) ^ lengths.astype(np.uint64))


def _mixed(numbers: Hashes) -> Hashes:
    """Spreads every bit over all others; no two numbers become one (the steps of splitmix64)."""
    numbers = numbers + _GOLDEN
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return cast("Hashes", numbers ^ (numbers >> np.uint64(31)))
