"""TFRecord files of tf.Examples: a plain file is cut between records, a compressed one is one split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ... import storage
from ...schemas.batch import Batch
from ...schemas.contract import Contract
from ...schemas.errors import Unconserved, UnreadableInput, UsageError
from ...schemas.sources import TfRecord
from ...schemas.split import Split
from ..blocks import read_blocks
from ..verdict import Rows
from .columns import in_order
from .kinds import LOOK_BYTES, misnamed, not_compressed
from .schema import column_problems
from .text import compression_of
from .tfrecord_examples import ExampleColumns, feature_problems
from .tfrecord_framing import HEADER, Group, cut_records, frame_records, framed, masked_crc, unframed


@dataclass(frozen=True)
class TfRecordFormat:
    """See `Format`. `_offset` is where a record's length stands."""

    options: TfRecord

    def problems(self, contract: Contract) -> Iterator[str]:
        """Columns that cannot be meant, and features that two columns want to be of different kinds."""
        yield from column_problems(contract)
        yield from feature_problems(contract)

    def can_cut(self, path: str) -> bool:
        """Whether it is not compressed."""
        return compression_of(path, self.options.compression) is None

    def splits(self, file: storage.FileInfo, name: str, contract: Contract, split_size: int) -> Iterator[Split]:
        """Goes from length to length where the file is plain, and more than one split.

        Raises:
          UnreadableInput: when a length does not match its checksum.
        """
        if not file.size:
            return
        compression = compression_of(file.path, self.options.compression)
        whole = Split(0, file.path, name, file.size, file.mark, 0, None if compression else file.size, compression)
        if not _begins_well(whole, self.options.compression):
            return
        if compression or file.size <= split_size:
            yield whole
        else:
            yield from cut_records(whole, split_size)

    def read(self, split: Split, contract: Contract, max_record_bytes: int) -> Iterator[Batch]:
        """Frames records, and decodes them a Batch at a time."""
        columns = ExampleColumns(contract)
        groups = frame_records(split, max_record_bytes)
        return in_order((columns.batch(split, group, max_record_bytes) for group in groups), split, contract)

    def raw(self, offsets: Rows, split: Split, max_record_bytes: int) -> tuple[pa.Array, Rows]:
        """The serialized Examples; of a record that does not match its checksum, all of the record."""
        part = replace(split, start=int(offsets[0]), end=int(offsets[-1]) + 1)
        wanted, found, lengths = set(offsets.tolist()), list[bytes](), list[int]()
        for group in frame_records(part, max_record_bytes):
            for at, offset in enumerate(group.offsets):
                if offset in wanted:
                    data = _shown(group, at)
                    found.append(data[:max_record_bytes])
                    lengths.append(max(group.lengths[at], len(data)))
        if len(found) != len(offsets):
            raise Unconserved(
                f"{split.file}: {len(offsets)} records were rejected, and {len(found)} of them are found again"
            )
        return pa.array(found, pa.binary()), np.array(lengths, np.int64)

    def again(self, split: Split, raw: pa.Array, offsets: pa.Array, contract: Contract, limit: int) -> Batch:
        """Decodes Examples a second time; a whole record must still match its checksum."""
        group = Group()
        for offset, record in zip(offsets.to_pylist(), raw.to_pylist(), strict=True):
            data, crc = unframed(record) or (record, None)
            if crc is not None and crc != masked_crc(data):
                group.damaged[len(group)] = crc
            group.offsets.append(offset)
            group.lengths.append(len(data))
            group.data.append(data)
        return ExampleColumns(contract).batch(split, group, limit)


def _shown(group: Group, at: int) -> bytes:
    data = group.data[at]
    return framed(group.lengths[at], group.damaged[at], data) if at in group.damaged else data


def _begins_well(whole: Split, compression: str) -> bool:
    """Whether there is a record at all; `compression` is as job.yaml says it.

    Raises:
      UsageError: when the file does not begin with one.
    """
    try:
        start = next(read_blocks(whole, 0, LOOK_BYTES), b"")
    except UnreadableInput as error:
        if said := not_compressed(whole.path, whole.compression, compression):
            raise UsageError(f"{whole.path}: {said}") from error
        raise
    if not start:
        return False
    if len(start) >= HEADER and masked_crc(start[:8]) == int.from_bytes(start[8:HEADER], "little"):
        return True
    raise UsageError(f"{whole.path}: {misnamed(start) or 'is no TFRecord: it begins with no length'}")
