"""The one element of every pipeline: some rows of a split, and the rows it has lost so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from .errors import Unconserved
from .keys import key_text
from .rejected import EMPTY, SCHEMA, Stage, Text, rejects
from .split import Split

OFFSET = "_offset"
"""Column of `rows`: int64, the byte offset of the record in its file (row number in Parquet and Avro)."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Consecutive records of one split, those alive and those turned away.

    The law `read == rows.num_rows + rejected.num_rows` is checked here, so a step cannot lose a row quietly.

    Attributes:
      split: the range the records came from.
      index: place in the split, from 0.
      last: whether nothing follows it in the split.
      read: records the reader framed for it.
      rows: rows still alive, with `_offset`; strictly increasing offsets.
      rejected: rows turned away so far, as `rejected.SCHEMA`.

    Raises:
      Unconserved: when the law does not hold.
    """

    split: Split
    index: int
    last: bool
    read: int
    rows: pa.RecordBatch
    rejected: pa.RecordBatch = field(default_factory=lambda: EMPTY)

    def __post_init__(self) -> None:
        if self.read != self.rows.num_rows + self.rejected.num_rows:
            raise Unconserved(
                f"{self.split.file} split {self.split.number} batch {self.index}: read {self.read} records, but "
                f"{self.rows.num_rows} rows and {self.rejected.num_rows} rejects stand"
            )

    def __len__(self) -> int:
        """Rows alive; RunInference asks for it."""
        return int(self.rows.num_rows)

    def __bool__(self) -> bool:
        """Always true: an empty Batch still counts its rejects and may be the last."""
        return True

    def with_rows(self, rows: pa.RecordBatch) -> Batch:
        """The same records with other columns; `rows` must hold as many rows as before."""
        return replace(self, rows=rows)

    def turn_away(
        self,
        guilty: pa.Array,
        stage: Stage,
        reason: Text,
        message: Text,
        key: Sequence[str] = (),
        keep: pa.RecordBatch | None = None,
    ) -> Batch:
        """Moves rows from `rows` to `rejected`.

        Args:
          guilty: bool[rows], true for the rows to turn away; no nulls.
          stage: the step that asks.
          reason: short code, one for all or string[guilty rows].
          message: a sentence, one for all or string[guilty rows].
          key: the key's columns, to name the rejected rows by.
          keep: the rows to go on with, if they are not `rows` without the guilty ones.

        Returns:
          A Batch of the same `read`.
        """
        gone = self.rows.filter(guilty)
        kept = self.rows.filter(pc.invert(guilty)) if keep is None else keep
        more = rejects(self.split.file, gone.column(OFFSET), stage, reason, message, key_text(gone, key))
        return replace(self, rows=kept, rejected=concat_rejected([self.rejected, more]))


def concat_rejected(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Joins rejects into one record batch, in the order given."""
    full = [part for part in parts if part.num_rows]
    if len(full) < 2:
        return full[0] if full else EMPTY
    return pa.Table.from_batches(full, SCHEMA).combine_chunks().to_batches()[0]
