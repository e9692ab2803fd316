"""What Highbeam knows of a kind of files: how they are checked, cut, read, and read a second time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

from ... import storage
from ...schemas.batch import Batch
from ...schemas.contract import Contract
from ...schemas.split import Split
from ..verdict import Rows

BATCH_ROWS = 16384
"""Most records of a Batch."""


class Format(Protocol):
    """One kind of files, with the options of job.yaml; the only thing the rest of the pipeline knows of them."""

    def problems(self, contract: Contract) -> Iterator[str]:
        """What of the options or of a contract cannot be read from such files at all, a sentence each."""
        ...

    def can_cut(self, path: str) -> bool:
        """Whether the bytes of a file can be cut into splits of any size."""
        ...

    def splits(self, file: storage.FileInfo, name: str, contract: Contract, split_size: int) -> Iterator[Split]:
        """Cuts one file; reads as little of it as that needs.

        Args:
          file: as it lies there now.
          name: its name relative to the job's folder.
          contract: the columns it must have.
          split_size: bytes a split should hold.

        Yields:
          Splits numbered 0; none where there are no records.

        Raises:
          UsageError: when the file is none of the kind, or lacks a column; names the file.
        """
        ...

    def read(self, split: Split, contract: Contract, max_record_bytes: int) -> Iterator[Batch]:
        """Reads the records of a split, row-exact: every one becomes a row or a reject of stage `read`.

        Args:
          split: one that `splits` made.
          contract: the columns wanted.
          max_record_bytes: a longer record is rejected.

        Yields:
          At least one Batch, the last one marked; rows have the columns of `contract.schema` and `_offset`. They
          depend on the split alone, and hold at most BATCH_ROWS records.

        Raises:
          InputChanged: when the file is not the one that was planned.
          UnreadableInput: when the file cannot be read to the split's end.
        """
        ...

    def raw(self, offsets: Rows, split: Split, max_record_bytes: int) -> tuple[pa.Array, Rows]:
        """Reads the bytes of some records again, for their rejects.

        Args:
          offsets: int64[n], where they begin, ascending; all in the split.
          split: which they came from.
          max_record_bytes: of a longer record only this much is kept.

        Returns:
          binary[n], and int64[n], how long the records truly are. Where a file holds no such bytes (Parquet, Avro),
          the row as JSON.

        Raises:
          InputChanged, UnreadableInput: as `read`.
          Unconserved: when no record begins at an offset.
        """
        ...

    def again(self, split: Split, raw: pa.Array, offsets: pa.Array, contract: Contract, limit: int) -> Batch:
        """Reads records from what `raw` gave, as `read` would from the file.

        Args:
          split: names the file, and its header where it has one.
          raw: binary[n], n > 0, at most BATCH_ROWS; not truncated.
          offsets: int64[n], where the records began.
          contract: the columns wanted.
          limit: most bytes of a record.

        Returns:
          One Batch of index 0, not marked as the last.
        """
        ...
