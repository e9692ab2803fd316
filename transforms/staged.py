"""The staged object: one split's sorted rows, its rejects and its counts, complete or not there.

    | rows: IPC file | rejects: IPC stream | sketch: IPC stream | footer: JSON | its length: uint64 LE | magic |

The rows stand first, so that a merge opens them as an Arrow file with `footer_offset` and reads only the record batches
it needs. The sketch holds the first row's key and offset of each record batch and, as its last entry, those of the last
row. The footer holds a SHA-256 of all before it, and is the mark that the object is whole.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from .. import storage
from ..schemas.batch import OFFSET
from ..schemas.order import sort_rows
from ..schemas.replay import INPUT

BATCH_ROWS = 8192
WEIGHT = "_rows"
SPLIT = "_split"
"""Column of merged rows: int32, the position of their split in the plan."""
_MAGIC = b"HIGHBM01"
_TAIL = struct.Struct("<Q8s")
_GUESS = 64 << 10


@dataclass(frozen=True)
class Footer:
    """What a staged object says of itself.

    Attributes:
      read: records framed in the split.
      rows: rows alive.
      rejected: rows turned away.
      rejected_by: stage -> reason -> count.
      ends: byte positions where rows, rejects and sketch end.
      row_bytes: Arrow bytes of the rows, to size merges by.
      sha256: of all bytes before the footer.
    """

    read: int
    rows: int
    rejected: int
    rejected_by: dict[str, dict[str, int]]
    ends: tuple[int, int, int]
    row_bytes: int
    sha256: str


def encode_staged(
    rows: pa.Table, rejected: pa.RecordBatch, read: int, key: Sequence[str], number: int = 0
) -> pa.Buffer:
    """Makes a staged object.

    Args:
      rows: what survived, in order of `_offset`; sorted by `key` here.
      rejected: what did not, as `schemas.rejected.SCHEMA`.
      read: records framed; `read == rows + rejected`.
      key: the key's columns; may be empty.
      number: the split's place in the plan; see `batch_starts`.
    """
    rows = sort_rows(rows, key).unify_dictionaries().combine_chunks()
    starts = batch_starts(rows.num_rows, number)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        for start, end in pairwise([*starts, rows.num_rows]):
            writer.write_table(rows.slice(start, end - start))
    ends = [sink.tell()]
    for part in (rejected, sketch(rows, key, starts)):
        with pa.ipc.new_stream(sink, part.schema) as writer:
            writer.write(part)
        ends.append(sink.tell())
    body = sink.getvalue()
    digest = hashlib.sha256(body).hexdigest()
    footer = Footer(
        read,
        rows.num_rows,
        rejected.num_rows,
        count_reasons(rejected),
        (ends[0], ends[1], ends[2]),
        rows.nbytes,
        digest,
    )
    text = json.dumps(asdict(footer)).encode()
    return pa.py_buffer(b"".join([memoryview(body), text, _TAIL.pack(len(text), _MAGIC)]))


def batch_starts(rows: int, number: int) -> list[int]:
    """Where the record batches of a split begin: at 0, then every BATCH_ROWS rows after a first one of another length.

    The first length differs from split to split (by the golden ratio, so evenly). Else, over splits that hold like
    keys, all samples would fall on the same few keys, and cuts could not lie between them.
    """
    first = 1 + int(number * 0.6180339887 % 1 * (BATCH_ROWS - 1)) if number else BATCH_ROWS
    return [0, *range(first, rows, BATCH_ROWS)] if rows else []


def sketch(rows: pa.Table, key: Sequence[str], starts: Sequence[int]) -> pa.Table:
    """Where each record batch of sorted rows begins, and where the last one ends.

    Each entry carries the weight of half the rows before and half the rows after it: with all of a batch's weight at
    its beginning, cuts over many splits would come too early, and the last range would hold far too much.
    """
    n = rows.num_rows
    counts = np.diff([*starts, n]) if n else np.array([], np.int64)
    at = pa.array([*starts, n - 1] if n else [], pa.int64())
    weights = np.append(counts - counts // 2, 0) + np.append(0, counts // 2) if n else counts
    names = [*key, OFFSET, *(name for name in (SPLIT, INPUT) if name in rows.column_names)]
    return rows.select(names).take(at).append_column(WEIGHT, pa.array(weights, pa.int64()))


def count_reasons(rejected: pa.RecordBatch) -> dict[str, dict[str, int]]:
    """Counts rejects by stage and reason."""
    counts: dict[str, dict[str, int]] = {}
    grouped = pa.Table.from_batches([rejected]).group_by(["stage", "reason"], use_threads=False)
    for row in (
        grouped.aggregate([([], "count_all")]).sort_by([("stage", "ascending"), ("reason", "ascending")]).to_pylist()
    ):
        counts.setdefault(row["stage"], {})[row["reason"]] = row["count_all"]
    return counts


def add_reasons(parts: Sequence[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """Adds up counts by stage and reason."""
    total: dict[str, Counter[str]] = {}
    for part in parts:
        for stage, reasons in part.items():
            total.setdefault(stage, Counter()).update(reasons)
    return {stage: dict(sorted(total[stage].items())) for stage in sorted(total)}


class Staged:
    """A staged object, opened for reading.

    Args:
      path: where it lies.

    Raises:
      FileNotFoundError: when there is none.
      ValueError: when it is not whole.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = storage.open_input(path)
        self.footer = self._footer()

    def __enter__(self) -> Staged:
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    def _footer(self) -> Footer:
        size = self._file.size()
        tail = self._file.read_at(min(size, _GUESS), max(0, size - _GUESS))
        if len(tail) < _TAIL.size or tail[-8:] != _MAGIC:
            raise ValueError(f"{self.path}: not a whole staged object; remove it and run again")
        length = _TAIL.unpack(tail[-_TAIL.size :])[0] + _TAIL.size
        if length > len(tail):
            tail = self._file.read_at(length, size - length)
        stored = json.loads(tail[-length : -_TAIL.size])
        return Footer(**{**stored, "ends": tuple(stored["ends"])})

    def batches(self, first: int = 0, end: int | None = None) -> pa.Table:
        """Rows of the record batches from `first` to before `end`."""
        reader = pa.ipc.open_file(self._file, footer_offset=self.footer.ends[0])
        stop = reader.num_record_batches if end is None else end
        return pa.Table.from_batches([reader.get_batch(i) for i in range(first, stop)], reader.schema)

    def each(self) -> Iterator[pa.RecordBatch]:
        """Rows, a record batch at a time; at least one, which may be empty."""
        reader = pa.ipc.open_file(self._file, footer_offset=self.footer.ends[0])
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)
        if not reader.num_record_batches:
            yield pa.RecordBatch.from_arrays([pa.array([], type) for type in reader.schema.types], schema=reader.schema)

    def rejected(self) -> pa.RecordBatch:
        """The split's rejects."""
        table = self._stream(0)
        return (
            table.combine_chunks().to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], table.schema)
        )

    def sketch(self) -> pa.Table:
        """The key sketch, see `sketch`."""
        return self._stream(1)

    def verify(self) -> bool:
        """Whether the bytes are those that were written; reads them all."""
        body = self._file.read_at(self.footer.ends[2], 0)
        return hashlib.sha256(body).hexdigest() == self.footer.sha256

    def _stream(self, part: int) -> pa.Table:
        start, end = self.footer.ends[part], self.footer.ends[part + 1]
        return pa.ipc.open_stream(self._file.read_at(end - start, start)).read_all()


def is_staged(path: str) -> bool:
    """Whether a whole staged object lies there, its bytes as they were written."""
    try:
        with Staged(path) as staged:
            return staged.verify()
    except (FileNotFoundError, ValueError, pa.ArrowInvalid):
        return False
