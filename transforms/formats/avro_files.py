"""Avro container files: cut between blocks, whose headers are walked at planning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ... import storage
from ...schemas.batch import Batch
from ...schemas.contract import Contract
from ...schemas.errors import Unconserved, UsageError
from ...schemas.sources import Avro
from ...schemas.split import Split
from ..verdict import Rows, Verdict
from .arrays import WRONG, array_of, canonical
from .avro_blocks import CODECS, Header, read_header, walk
from .avro_rows import Row, avro_rows, decoded, unreadable
from .avro_types import arrow_schema, as_it_is, branch_of, stored_value
from .castable import is_bytes, is_extension, is_list
from .columns import column_batch, in_order
from .json_rows import encoded, plain_value, shown_value, shown_values
from .object_columns import object_columns
from .rows_again import rows_again
from .schema import check_schema, column_problems, packed, unpacked


@dataclass(frozen=True)
class AvroFormat:
    """See `Format`."""

    options: Avro

    def problems(self, contract: Contract) -> Iterator[str]:
        """Columns that cannot be meant."""
        return column_problems(contract)

    def can_cut(self, path: str) -> bool:
        """Always: between blocks."""
        return True

    def splits(self, file: storage.FileInfo, name: str, contract: Contract, split_size: int) -> Iterator[Split]:
        """Reads the header, and takes blocks together until they hold `split_size` bytes.

        Raises:
          UnreadableInput: when it does not go from sync marker to sync marker to the end.
        """
        if not file.size:
            return
        with storage.open_input(file.path) as source:
            header, schema = _described(source, file.path)
            check_schema(file.path, schema, contract)
            split = Split(0, file.path, name, file.size, file.mark, header.end, header.end, header=packed(schema))
            row = 0
            try:
                for block in walk(source, header, header.end, file.size):
                    row += block.rows
                    split = replace(split, end=block.end)
                    if row > split.first_row and (block.end == file.size or block.end - split.start >= split_size):
                        yield split
                        split = replace(split, start=block.end, first_row=row)
            except (ValueError, OSError) as error:
                raise unreadable(name, row, error) from error
            if row > split.first_row:  # blocks without rows follow
                yield split

    def read(self, split: Split, contract: Contract, max_record_bytes: int) -> Iterator[Batch]:
        """Decodes the rows, batch by batch; `_offset` is the number of the row in the file."""
        return in_order(_batches(split, contract), split, contract)

    def raw(self, offsets: Rows, split: Split, max_record_bytes: int) -> tuple[pa.Array, Rows]:
        """Whole rows, as JSON."""
        schema = unpacked(split.header)
        found: list[bytes] = []
        for first, rows, _ in decoded(split, offsets):
            low, high = np.searchsorted(offsets, [first, first + len(rows)])
            found += _json_rows([rows[at] for at in (offsets[low:high] - first).tolist()], schema)
        if len(found) != len(offsets):
            raise Unconserved(f"{split.file}: {len(offsets)} rows were rejected, {len(found)} of them are found again")
        lengths = np.array([len(row) for row in found], np.int64)
        return pa.array([row[:max_record_bytes] for row in found], pa.binary()), lengths

    def again(self, split: Split, raw: pa.Array, offsets: pa.Array, contract: Contract, limit: int) -> Batch:
        """Reads rows as JSON."""
        return rows_again(split, raw, offsets, contract)


def _described(source: pa.NativeFile, path: str) -> tuple[Header, pa.Schema]:
    """A file's header, and its schema in Arrow."""
    try:
        header = read_header(source)
    except (ValueError, OSError) as error:
        raise UsageError(f"{path}: {error}; put the whole file in place") from error
    if header.codec not in CODECS:
        raise UsageError(
            f"{path}: its blocks are compressed with {header.codec!r}, which is not read; write them with one of "
            f"{', '.join(CODECS)}"
        )
    try:
        return header, arrow_schema(header.schema)
    except Exception as error:  # fastavro raises whatever comes up in a schema that is none
        raise UsageError(f"{path}: its Avro schema cannot be read: {error}") from error


def _batches(split: Split, contract: Contract) -> Iterator[Batch]:
    schema = unpacked(split.header)
    for first, rows in avro_rows(split):
        records = Verdict(len(rows))
        columns = object_columns(rows, schema, contract, stored_value, records, as_it_is)
        yield column_batch(split, contract, np.arange(first, first + len(rows)), columns, records)


def _json_rows(rows: list[Row], schema: pa.Schema) -> list[bytes]:
    columns = [_json_values([row[field.name] for row in rows], field.type) for field in schema]
    return [encoded(dict(zip(schema.names, row, strict=True))) for row in zip(*columns, strict=True)]


def _json_values(values: list[Any], type: pa.DataType) -> list[Any]:
    """Values of one column as JSON has them; at one go where all are as the type says."""
    if pa.types.is_integer(type) or pa.types.is_boolean(type):
        return values
    if _is_plain(type):
        return [plain_value(value) for value in values]
    if is_extension(type) or pa.types.is_nested(type):
        return [_json(value, type) for value in values]
    try:
        return shown_values(array_of([v if v is None else stored_value(v, type) for v in values], canonical(type)))
    except WRONG:
        return [_json(value, type) for value in values]


def _is_plain(type: pa.DataType) -> bool:
    """Whether the decoder's objects are what JSON writes, but for bytes and infinities."""
    number = pa.types.is_integer(type) or pa.types.is_floating(type) or pa.types.is_boolean(type)
    return number or is_bytes(type) or pa.types.is_null(type)


def _json(value: Any, type: pa.DataType) -> Any:
    """A value of the decoder as JSON has it."""
    if value is None:
        return None
    if pa.types.is_union(type):
        return _json(value, type.field(branch_of(value, type)).type)
    if pa.types.is_struct(type):
        known = {type.field(at).name: type.field(at).type for at in range(type.num_fields)}
        return {name: _json(item, known.get(name, pa.null())) for name, item in value.items()}
    if pa.types.is_map(type):
        return {name: _json(item, type.item_type) for name, item in value.items()}
    if is_list(type):
        return [_json(item, type.value_type) for item in value]
    if isinstance(value, str) or _is_plain(type):
        return plain_value(value)
    try:
        return shown_value(array_of([stored_value(value, type)], canonical(type))[0])
    except WRONG:
        return plain_value(value)
