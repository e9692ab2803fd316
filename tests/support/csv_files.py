"""CSV files on disk, and their splits, without a planner."""

from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from highbeam import storage
from highbeam.schemas.batch import Batch
from highbeam.schemas.contract import Column, Contract
from highbeam.schemas.sources import Csv
from highbeam.schemas.split import Split
from highbeam.transforms.formats.csv_files import CsvFormat
from highbeam.transforms.formats.csv_framing import framing_of
from highbeam.transforms.formats.csv_parser import CsvParser
from highbeam.transforms.formats.lines import batches
from highbeam.transforms.verdict import Rows

MAX = 1 << 20
CSV = CsvFormat(Csv(path=("in.csv",)))


class InBlocks(CsvFormat):
    """The format, reading raw bytes in blocks of a given size."""

    def __init__(self, block_bytes: int) -> None:
        super().__init__(CSV.options)
        object.__setattr__(self, "block_bytes", block_bytes)

    def raw(self, offsets: Rows, split: Split, max_record_bytes: int) -> tuple[pa.Array, Rows]:
        """The lines that begin at some offsets."""
        return framing_of(split, self.options, max_record_bytes).raw(offsets, split, self.block_bytes)  # type: ignore[attr-defined]


def contract(columns: Mapping[str, str | dict[str, object]], key: tuple[str, ...] = ()) -> Contract:
    """A contract as job.yaml would say it."""
    spelled = {name: {"type": spec} if isinstance(spec, str) else spec for name, spec in columns.items()}
    return Contract({name: Column.model_validate(spec) for name, spec in spelled.items()}, key)


def write(folder: Path, body: bytes, header: str = "a,b", name: str = "in.csv") -> list[Split]:
    """Writes a file and gives the one split that holds all its records; gzipped where the name says so."""
    text = header.encode() + b"\n" + body
    path = folder / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    file = storage.stat(os.fspath(path))
    assert file is not None
    compression = "gzip" if name.endswith(".gz") else None
    end = None if compression else len(text)
    start = len(header) + 1
    return [Split(0, file.path, name, file.size, file.mark, start, end, compression, tuple(header.split(",")))]


def cut(split: Split, at: list[int]) -> list[Split]:
    """Cuts a split at some offsets within its range."""
    assert split.end is not None
    bounds = sorted({split.start, split.end, *(offset for offset in at if split.start < offset < split.end)})
    ranges = itertools.pairwise(bounds)
    return [
        Split(n, split.path, split.file, split.size, split.mark, start, end, None, split.header)
        for n, (start, end) in enumerate(ranges)
    ]


def read(splits: list[Split], what: Contract, **options: object) -> list[Batch]:
    """Reads splits one after the other; the options of csv and the reader's own may be given."""
    names = [name for name in options if name in Csv.model_fields]
    csv = Csv.model_validate({"path": "in.csv", **{name: options.pop(name) for name in names}})
    limit = options.pop("max_record_bytes", MAX)
    found = []
    for split in splits:
        framed = framing_of(split, csv, limit).groups(split, **options)  # type: ignore[arg-type]
        mine = list(batches(split, framed, CsvParser(split.header, csv, what), what, limit))  # type: ignore[arg-type]
        assert [batch.index for batch in mine] == list(range(len(mine)))
        assert [batch.last for batch in mine] == [False] * (len(mine) - 1) + [True]
        found += mine
    return found


def rows(batches: list[Batch]) -> pa.Table:
    """All rows alive, dictionaries decoded."""
    table = pa.Table.from_batches([batch.rows for batch in batches])
    plain = [pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(plain))


def rejected(batches: list[Batch]) -> pa.Table:
    """All rejects."""
    return pa.Table.from_batches([batch.rejected for batch in batches])
