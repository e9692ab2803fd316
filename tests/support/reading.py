"""What must hold when a file of any kind is cut and read: every record once, in order, and to be found again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from highbeam import storage
from highbeam.schemas.batch import OFFSET
from highbeam.schemas.contract import Contract
from highbeam.schemas.errors import HighbeamError, UnreadableInput, UsageError
from highbeam.schemas.split import Split
from highbeam.transforms.formats.base import BATCH_ROWS, Format
from highbeam.transforms.raw import fill_raw

LIMIT = 1 << 20


@dataclass(frozen=True)
class Found:
    """What a file holds, by offset.

    Attributes:
      rows: rows, without `_offset`.
      reasons: why others were turned away.
      raw: the bytes of the latter.
      splits: how it was cut.
    """

    rows: dict[int, dict[str, Any]]
    reasons: dict[int, str]
    raw: dict[int, bytes]
    splits: list[Split]

    @property
    def offsets(self) -> list[int]:
        """Where all records begin."""
        return sorted([*self.rows, *self.reasons])


def cut(format: Format, path: Path, contract: Contract, split_size: int) -> list[Split]:
    """A file's splits."""
    file = storage.stat(str(path))
    assert file is not None
    return list(format.splits(file, path.name, contract, split_size))


def read_whole(format: Format, path: Path, contract: Contract, split_size: int = 1 << 20) -> Found:
    """Reads a file split by split, and checks what holds for any file; rejected records are read a second time."""
    found = Found({}, {}, {}, cut(format, path, contract, split_size))
    seen: list[int] = []
    for split in found.splits:
        batches = list(format.read(split, contract, LIMIT))
        assert [batch.index for batch in batches] == list(range(len(batches)))
        assert [batch.last for batch in batches] == [False] * (len(batches) - 1) + [True]
        for batch in batches:
            assert batch.rows.schema == contract.schema.append(pa.field(OFFSET, pa.int64()))
            batch.rows.validate(full=True)
            assert batch.read <= BATCH_ROWS
            offsets = batch.rows.column(OFFSET).to_pylist()
            assert offsets == sorted(offsets)
            plain = batch.rows.drop_columns([OFFSET]).to_pylist()
            found.rows.update(zip(offsets, plain, strict=True))
            rejected = fill_raw(batch.rejected, split, format, LIMIT)
            found.reasons.update(zip(rejected["offset"].to_pylist(), rejected["reason"].to_pylist(), strict=True))
            found.raw.update(zip(rejected["offset"].to_pylist(), rejected["raw"].to_pylist(), strict=True))
            here = sorted([*offsets, *rejected["offset"].to_pylist()])
            assert not seen or not here or seen[-1] < here[0]
            seen += here
            read_again(format, split, contract, batch.rows, batch.rejected)
    assert seen == found.offsets
    assert len(set(seen)) == len(seen)
    return found


def reads_or_says_why(format: Format, path: Path, contract: Contract, split_size: int) -> bool:
    """Whether a file can be read; if not, it must be said in one error that names the file."""
    failure: HighbeamError | None = None
    try:
        read_whole(format, path, contract, split_size)
    except HighbeamError as error:
        failure = error
    assert failure is None or (isinstance(failure, UsageError | UnreadableInput) and path.name in str(failure))
    return failure is None


def read_again(
    format: Format, split: Split, contract: Contract, rows: pa.RecordBatch, rejected: pa.RecordBatch
) -> None:
    """Makes sure that the raw bytes of records are read as the file was, rows and rejects alike."""
    offsets = pa.concat_arrays([rows.column(OFFSET), rejected["offset"]]).sort()
    if not len(offsets):
        return
    raw, lengths = format.raw(offsets.to_numpy(), split, LIMIT)
    assert [len(text) for text in raw.to_pylist()] == lengths.tolist()
    again = format.again(split, raw, offsets, contract, LIMIT)
    assert (again.index, again.last, again.read) == (0, False, len(offsets))
    assert repr(again.rows.to_pylist()) == repr(rows.to_pylist())  # NaN equals itself so
    assert again.rejected.drop_columns(["message"]).equals(rejected.drop_columns(["message"]))
