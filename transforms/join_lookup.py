"""A side table that can be searched: sorted by the hashes of its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.errors import Refused
from ..schemas.join import Side
from ..schemas.keys import key_text
from .join_hash import Hashes, hashes
from .verdict import Rows, as_mask

HASH = "_hash"
_SEED = b"highbeam.seed"
_SEEDS = 8
NOWHERE = -1


def sorted_by_hash(rows: pa.Table, side: Side) -> pa.Table:
    """A side table ready to be searched; rows whose key is null are left out, since nothing equals them.

    Args:
      rows: the side's columns.
      side: names the key.

    Returns:
      The same columns and `_hash`, by which it is sorted; no two rows have the same. The metadata name the seed.

    Raises:
      Refused: when two rows have the same key.
    """
    known = [rows[name].is_valid() for name in side.keys]
    for mask in known:
        if not pc.all(mask, min_count=0).as_py():
            rows = rows.filter(_all(known))
            break
    keys = [_array(rows[name]) for name in side.keys]
    for seed in range(_SEEDS):
        numbers = hashes(keys, seed)
        order = np.argsort(numbers, kind="stable")
        twins = np.flatnonzero(numbers[order[1:]] == numbers[order[:-1]])
        if not len(twins):
            table = rows.take(pa.array(order)).append_column(HASH, pa.array(numbers[order]))
            return table.replace_schema_metadata({_SEED: str(seed).encode()})
        _check_distinct(rows, side, keys, order, twins)
    raise Refused(f"join.{side.name}: no way was found to tell its keys apart; this is a bug of Highbeam")


def _all(masks: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    whole = masks[0]
    for mask in masks[1:]:
        whole = pc.and_(whole, mask)
    return whole


def _array(values: pa.ChunkedArray) -> pa.Array:
    whole = values.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def _check_distinct(rows: pa.Table, side: Side, keys: Sequence[pa.Array], order: Rows, twins: Rows) -> None:
    """Refuses when of rows with equal hashes two are equal: `order[twins]` and the one after each."""
    first, second = order[twins], order[twins + 1]
    same = np.ones(len(twins), bool)
    for key in keys:
        same &= as_mask(pc.equal(key.take(pa.array(first)), key.take(pa.array(second))))
    if not same.any():
        return
    at = int(second[same].min())
    row = rows.slice(at, 1).combine_chunks().to_batches()[0]
    more = f"; {same.sum():,} rows repeat a key" if same.sum() > 1 else ""
    raise Refused(
        f"join.{side.name}: {', '.join(side.join.paths)}: the key {key_text(row, tuple(side.keys))[0].as_py()} of "
        f"{', '.join(side.join.by.values())} stands there twice{more}; keep one row of each key",
        "side_table",
    )


@dataclass(frozen=True, eq=False)
class Loaded:
    """A side table in memory, or mapped into it.

    Attributes:
      side: what it is of.
      rows: what `sorted_by_hash` made, as one record batch.
      numbers: its `_hash`.
      starts: of all numbers with the same first bits, where the first stands; there are one or two of each.
    """

    side: Side
    rows: pa.RecordBatch
    numbers: Hashes
    starts: npt.NDArray[np.int32]

    @classmethod
    def of(cls, side: Side, table: pa.Table) -> Loaded:
        """A table that `sorted_by_hash` made."""
        whole = table.combine_chunks().to_batches()
        empty = [pa.array([], field.type) for field in table.schema]
        rows = whole[0] if whole else pa.RecordBatch.from_arrays(empty, schema=table.schema)
        numbers = rows.column(HASH).to_numpy()
        bits = max(len(numbers).bit_length() - 1, 1)
        counts = np.bincount((numbers >> np.uint64(64 - bits)).astype(np.int64), minlength=1 << bits)
        return cls(side, rows, numbers, np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))

    def places(self, rows: pa.RecordBatch) -> Rows:
        """Where the key of each row stands.

        Args:
          rows: of the night, with the key's columns.

        Returns:
          int64[rows], positions in `self.rows`, NOWHERE where there is none.
        """
        keys = [rows.column(name) for name in self.side.keys]
        if len(keys) == 1 and pa.types.is_dictionary(keys[0].type) and len(keys[0].dictionary) <= len(keys[0]):
            found = np.append(self._find([keys[0].dictionary]), NOWHERE)  # each text once
            return np.asarray(found[keys[0].indices.fill_null(len(found) - 1).to_numpy()])
        return self._find([_plain(key) for key in keys])

    def _find(self, keys: Sequence[pa.Array]) -> Rows:
        if not len(self.numbers):
            return np.full(len(keys[0]), NOWHERE)
        seed = int(self.rows.schema.metadata[_SEED])
        wanted = hashes(keys, seed)
        at = self._first_not_below(wanted)
        found = self.numbers[at] == wanted
        places = pa.array(at)
        for name, key in zip(self.side.keys, keys, strict=True):
            found &= as_mask(pc.equal(self.rows.column(name).take(places), key))
        return np.where(found, at, NOWHERE)

    def _first_not_below(self, wanted: Hashes) -> Rows:
        """Where the numbers would stand, at most the last place; many times faster than halving a large table."""
        bits = (len(self.starts) - 1).bit_length() - 1
        last = len(self.numbers) - 1
        at = np.minimum(self.starts[(wanted >> np.uint64(64 - bits)).astype(np.int64)], last).astype(np.int64)
        left = np.flatnonzero(self.numbers[at] < wanted)
        while len(left):
            at[left] += 1
            left = left[(at[left] < last) & (self.numbers[np.minimum(at[left], last)] < wanted[left])]
        return np.asarray(np.minimum(at, last))

    def values(self, name: str, places: Rows) -> pa.Array:
        """A column's values at some places; null at NOWHERE."""
        taken = self.rows.column(name).take(pa.array(places, mask=places == NOWHERE))
        if pa.types.is_dictionary(taken.type) and len(taken.dictionary) > len(taken):
            return taken.dictionary_decode().dictionary_encode()  # what follows looks at every text of a dictionary
        return taken


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
