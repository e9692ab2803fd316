"""CSV files: cut at any byte where their options allow it, the header read at planning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from ... import storage
from ...schemas.batch import Batch
from ...schemas.contract import Column, Contract
from ...schemas.errors import UsageError
from ...schemas.sources import Csv
from ...schemas.split import Split
from ..verdict import Rows
from .csv_framing import framing_of, is_whole
from .csv_header import Header, read_header
from .csv_options import column_problems, option_problems
from .csv_parser import CsvParser
from .lines import LineReader, batches
from .near_names import is_it, other_delimiter
from .text import compression_of, cut_text, unreadable


@dataclass(frozen=True)
class CsvFormat:
    """See `Format`."""

    options: Csv

    def problems(self, contract: Contract) -> Iterator[str]:
        """Options that cannot be meant, and columns that no field of such files can hold."""
        for name, column in contract.columns.items():
            if problem := _unreadable(column):
                yield f"column {name}: {problem}"
        yield from column_problems(self.options, contract)
        yield from option_problems(self.options)

    def can_cut(self, path: str) -> bool:
        """Whether records can be found from anywhere in it: not if it is compressed, multiline or UTF-16."""
        return compression_of(path, self.options.compression) is None and not is_whole(self.options)

    def splits(self, file: storage.FileInfo, name: str, contract: Contract, split_size: int) -> Iterator[Split]:
        """Reads the header, and cuts at multiples of `split_size`, or not at all."""
        compression = compression_of(file.path, self.options.compression)
        header = read_header(file, compression, self.options)
        if self.options.header:
            check_columns(file.path, header, contract)
        if not header.names:
            return
        whole = Split(0, file.path, name, file.size, file.mark, header.end, None, compression, header.names)
        if compression is None and header.end >= file.size:
            return
        yield from cut_text(whole, split_size) if self.can_cut(file.path) else [whole]

    def read(self, split: Split, contract: Contract, max_record_bytes: int) -> Iterator[Batch]:
        """Reads the records of a split."""
        framed = framing_of(split, self.options, max_record_bytes).groups(split)
        return batches(split, framed, CsvParser(split.header, self.options, contract), contract, max_record_bytes)

    def raw(self, offsets: Rows, split: Split, max_record_bytes: int) -> tuple[pa.Array, Rows]:
        """The file's own bytes of the records that begin at some offsets."""
        return framing_of(split, self.options, max_record_bytes).raw(offsets, split)

    def again(self, split: Split, raw: pa.Array, offsets: pa.Array, contract: Contract, limit: int) -> Batch:
        """Reads records a second time."""
        parser = CsvParser(split.header, self.options, contract)
        records = framing_of(split, self.options, limit).laid(raw, offsets)
        return LineReader(split, parser, contract, limit).batch(0, records)


def check_columns(path: str, header: Header, contract: Contract) -> None:
    """Makes sure that a header names all columns of a contract, but for optional ones.

    Raises:
      UsageError: naming those it lacks, with the nearest names.
    """
    if not header.names:
        return
    wanted = {name: column.source or name for name, column in contract.columns.items() if not column.optional}
    lacking = {name: source for name, source in wanted.items() if source not in header.names}
    if lacking:
        delimiter = other_delimiter(header.names)
        near = {source: "" if delimiter else is_it(source, header.names) for source in lacking.values()}
        asked = [_asked(name, source) + near[source] for name, source in lacking.items()]
        known = f"{', '.join(header.names)}{delimiter}"
        raise UsageError(f"{path}: the header lacks {', '.join(asked)}; it has {known}")


def _asked(name: str, source: str) -> str:
    return f"{source!r}{'' if source == name else f' for column {name}'}"


def _unreadable(column: Column) -> str | None:
    if column.typed.is_list:
        return f"a CSV file holds no {column.type}; read one value a column, or the list as a string"
    return unreadable(column)
