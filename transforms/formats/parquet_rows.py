"""The rows of a split of a Parquet file, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ... import storage
from ...schemas.contract import Contract
from ...schemas.errors import Unconserved, UnreadableInput, first_line
from ...schemas.split import Split
from ..blocks import check_unchanged
from ..framing import BATCH_BYTES
from ..verdict import Rows
from .base import BATCH_ROWS
from .castable import is_bytes, is_text
from .json_rows import json_rows, taken
from .schema import FieldPath, paths_of, type_at, unpacked

FAILURES = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError)
"""What pyarrow raises for a file that is no Parquet, or damaged."""
_NO_LIST = "Expected all lists to be of size"
_FIXED_LISTS = "Arrow cannot read a null among lists of a fixed size: write that column as lists of any length"
_BUFFER_BYTES = 1 << 20
_COUNT = np.arange(BATCH_ROWS)
_SMALL_BYTES = 64 << 20  # a file that may lie in memory, a column of a row group at a time
_BATCHES = 25  # to read at one go; with 8 or 16 the columns, of a power of two, crowd each other out of caches
_DECODED_BYTES = 48 << 20  # of what is read at one go; encoded, a column of one value takes next to nothing
_INDEX = 4  # bytes of an index into a dictionary
_LONG = 256  # bytes that a text or list is taken to have


class ParquetRows:
    """Reads the columns of a contract from a split's row groups.

    Args:
      split: of row groups `start` to `end`.
      contract: the columns wanted; None for all that the file has.

    Attributes:
      paths: where each column of the contract lies, None for those that are not there.
    """

    paths: Sequence[FieldPath | None] = ()

    def __init__(self, split: Split, contract: Contract | None) -> None:
        self._split = split
        self._columns: list[str] | None = None
        self._dictionaries: list[str] = []
        schema = unpacked(split.header)
        # Arrow cannot join the dictionaries of two row groups inside of records and lists.
        self._apart = any(_holds_dictionary(field.type) for field in schema)
        self._width = sum(_width(field.type) for field in schema)
        if contract is None:
            return
        self.paths = paths_of(schema, contract)
        wanted = list(zip(contract.columns, self.paths, strict=True))
        self._columns = sorted({".".join(path) for _, path in wanted if path})
        self._dictionaries = sorted(
            {path[0] for name, path in wanted if path and _as_dictionary(contract, name, type_at(schema, path), path)}
        )
        plain = [type_at(schema, path) for path in self.paths if path and path[0] not in self._dictionaries]
        self._width = sum(_width(type) for type in plain) + _INDEX * len(self._dictionaries)

    def batches(self, among: Rows | None = None) -> Iterator[tuple[Rows, pa.RecordBatch]]:
        """Reads the split.

        Args:
          among: ascending row numbers; only row groups that hold one of them are read.

        Yields:
          Row numbers in the file, and the rows, in order; some BATCH_ROWS at a time, or what BATCH_BYTES hold.

        Raises:
          InputChanged: when the file is not the one that was planned.
          UnreadableInput: when its pages cannot be read; names the last row that could.
        """
        check_unchanged(self._split)
        row = self._split.first_row
        try:
            with storage.open_input(self._split.path) as source, self._open(source) as file:
                for row, groups in self._runs(file.metadata, among):
                    size = _batch_rows(file.metadata, groups, self._width)
                    for rows in file.iter_batches(size, row_groups=groups, columns=self._columns, use_threads=False):
                        _check_indices(rows)
                        yield row_numbers(row, rows.num_rows), rows
                        row += rows.num_rows
        except FAILURES as error:
            check_unchanged(self._split)
            last = f"after row {row - 1:,}" if row else "from its first row on"
            remedy = _FIXED_LISTS if _NO_LIST in str(error) else "put the whole file in place and run again"
            raise UnreadableInput(
                f"{self._split.file}: cannot be read {last} (rows count from 0): {first_line(error)}; {remedy}"
            ) from error
        check_unchanged(self._split)  # not while it was read, either

    def _open(self, source: pa.NativeFile) -> pq.ParquetFile:
        return pq.ParquetFile(
            source,
            metadata=_footer(self._split.path, self._split.size, self._split.mark),
            read_dictionary=self._dictionaries,
            pre_buffer=False,  # or all of a row group would lie in memory at once
            buffer_size=_BUFFER_BYTES if self._split.size > _SMALL_BYTES else 0,
            page_checksum_verification=True,
        )

    def _runs(self, metadata: pq.FileMetaData, among: Rows | None) -> Iterator[tuple[int, list[int]]]:
        """First row and numbers of the row groups to read together: such as hold a Batch, since joining costs."""
        first = row = self._split.first_row
        held: list[int] = []
        for group in range(self._split.start, self._split.end or 0):
            end = row + metadata.row_group(group).num_rows
            if among is None or np.searchsorted(among, row) < np.searchsorted(among, end):
                held.append(group)
            row = end
            if held and (among is not None or self._apart or row - first >= BATCH_ROWS):
                yield first, held
                held = []
            first = first if held else row
        if held:
            yield first, held


@lru_cache(maxsize=8)
def _footer(path: str, size: int, mark: str) -> pq.FileMetaData:
    """What a file says of itself, parsed once for all of its splits that a worker reads."""
    with storage.open_input(path) as source:
        return pq.read_metadata(source)


def raw_rows(offsets: Rows, split: Split, max_record_bytes: int) -> tuple[pa.Array, Rows]:
    """Some rows as JSON, and how long that is; see `Format.raw`."""
    found: list[bytes] = []
    for numbers, rows in ParquetRows(split, None).batches(offsets):
        at = np.flatnonzero(np.isin(numbers, offsets, assume_unique=True))
        found += json_rows(taken(rows, pa.array(at)))
    if len(found) != len(offsets):
        raise Unconserved(f"{split.file}: {len(offsets)} rows were rejected, and {len(found)} of them are found again")
    return pa.array([row[:max_record_bytes] for row in found], pa.binary()), np.array([len(row) for row in found])


def _as_dictionary(contract: Contract, name: str, type: pa.DataType, path: FieldPath) -> bool:
    text = len(path) == 1 and (is_text(type) or is_bytes(type))
    return bool(text and pa.types.is_dictionary(contract.arrow_type(name)))


def _holds_dictionary(type: pa.DataType) -> bool:
    """Whether the fields of a record, or the items of a list, are encoded by a dictionary."""
    inside = [type.field(at).type for at in range(type.num_fields)]
    return any(pa.types.is_dictionary(part) or _holds_dictionary(part) for part in inside)


def _check_indices(rows: pa.RecordBatch) -> None:
    """Makes sure that no index of a damaged page points past its dictionary: Arrow's reader does not look.

    Raises:
      ValueError: one does.
    """
    for column in rows.columns:
        if pa.types.is_dictionary(column.type):
            bounds = pc.min_max(column.indices).as_py()
            if bounds["max"] is not None and not 0 <= bounds["min"] <= bounds["max"] < len(column.dictionary):
                raise ValueError("an index points past its dictionary")
        elif _holds_dictionary(column.type):
            column.validate(full=True)


def row_numbers(first: int, count: int) -> Rows:
    """int64[count], counting on from `first`; in Arrow's memory, which is at hand again where NumPy's is given back."""
    parts = -(-count // BATCH_ROWS)
    numbers = np.frombuffer(pa.allocate_buffer(parts * _COUNT.nbytes), np.int64)
    firsts = first + BATCH_ROWS * np.arange(parts)
    np.add(firsts[:, None], _COUNT, out=numbers.reshape(parts, BATCH_ROWS))
    return numbers[:count]


def _width(type: pa.DataType) -> int:
    """Bytes of a value in memory; of texts and lists, whose length nobody knows before, a guess on the safe side."""
    if pa.types.is_fixed_size_list(type):
        return int(type.list_size) * _width(type.value_type)
    if pa.types.is_struct(type):
        return sum(_width(field.type) for field in type)
    try:
        return int(type.bit_width) // 8
    except ValueError:
        return _LONG


def _batch_rows(metadata: pq.FileMetaData, groups: list[int], width: int) -> int:
    """How many rows to read and cast at a time: the more, the faster. It depends on the split and contract alone.

    Args:
      metadata: of the file.
      groups: the row groups read together.
      width: bytes of a row's values in memory.
    """
    sizes = [(metadata.row_group(group).num_rows, metadata.row_group(group).total_byte_size) for group in groups]
    widest = max((size / rows for rows, size in sizes if rows), default=0)
    rows = min(_BATCHES * BATCH_ROWS, int(BATCH_BYTES // max(widest, 1)), _DECODED_BYTES // max(width, 1))
    return rows // BATCH_ROWS * BATCH_ROWS or max(1, rows)
