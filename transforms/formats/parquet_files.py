"""Parquet files: row groups are what they are cut at; the footer is read at planning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from ... import storage
from ...schemas.batch import Batch
from ...schemas.contract import Contract
from ...schemas.errors import UsageError, first_line
from ...schemas.sources import Parquet
from ...schemas.split import Split
from ..verdict import Rows
from .columns import column_batch, in_order, in_parts
from .parquet_rows import FAILURES, ParquetRows, raw_rows
from .rows_again import rows_again
from .schema import check_schema, column_problems, packed, values_at


@dataclass(frozen=True)
class ParquetFormat:
    """See `Format`. A split's `start` and `end` are numbers of row groups."""

    options: Parquet

    def problems(self, contract: Contract) -> Iterator[str]:
        """Columns that cannot be meant."""
        return column_problems(contract)

    def can_cut(self, path: str) -> bool:
        """Always: at row groups."""
        return True

    def splits(self, file: storage.FileInfo, name: str, contract: Contract, split_size: int) -> Iterator[Split]:
        """Reads the footer, and takes row groups together until they hold `split_size` bytes as they lie there."""
        if not file.size:
            return
        metadata, schema = read_footer(file.path)
        check_schema(file.path, schema, contract)
        split = Split(0, file.path, name, file.size, file.mark, 0, 0, header=packed(schema))
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        # What the columns take in the file would be exact, but asking a damaged footer for it ends the process.
        encoded = sum(group.total_byte_size for group in groups)
        first_row, rows, held = 0, 0, 0
        for number, group in enumerate(groups):
            rows += group.num_rows
            held += group.total_byte_size
            last = number + 1 == len(groups)
            if rows and (last or held * file.size >= split_size * encoded):
                yield replace(split, end=number + 1, first_row=first_row)
                split = replace(split, start=number + 1)
                first_row, rows, held = first_row + rows, 0, 0

    def read(self, split: Split, contract: Contract, max_record_bytes: int) -> Iterator[Batch]:
        """Reads the columns wanted, batch by batch; `_offset` is the number of the row in the file."""
        return in_order(_batches(split, contract), split, contract)

    def raw(self, offsets: Rows, split: Split, max_record_bytes: int) -> tuple[pa.Array, Rows]:
        """Whole rows, as JSON."""
        return raw_rows(offsets, split, max_record_bytes)

    def again(self, split: Split, raw: pa.Array, offsets: pa.Array, contract: Contract, limit: int) -> Batch:
        """Reads rows as JSON."""
        return rows_again(split, raw, offsets, contract)


def _batches(split: Split, contract: Contract) -> Iterator[Batch]:
    reader = ParquetRows(split, contract)
    for numbers, rows in reader.batches():
        whole = column_batch(split, contract, numbers, [path and values_at(rows, path) for path in reader.paths])
        yield from in_parts(whole, numbers)


def read_footer(path: str) -> tuple[pq.FileMetaData, pa.Schema]:
    """Reads what a Parquet file says of itself.

    Raises:
      UsageError: when it cannot be read.
    """
    try:
        with storage.open_input(path) as source, pq.ParquetFile(source, pre_buffer=False) as file:
            return file.metadata, file.schema_arrow
    except FAILURES as error:
        raise UsageError(
            f"{path}: cannot be read as Parquet: {first_line(error)}; put the whole file in place"
        ) from error
