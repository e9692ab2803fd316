"""Log files: one record a line, taken apart by a pattern; cut at any byte."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from ... import storage
from ...schemas.batch import Batch
from ...schemas.contract import Contract
from ...schemas.errors import UsageError
from ...schemas.sources import Log
from ...schemas.split import Split
from ..decompress import decompressed
from ..verdict import Rows
from .kinds import LOOK_BYTES, misnamed, not_compressed
from .lines import LineReader, laid_lines, raw_lines, read_lines
from .log_parser import LogParser, timed
from .log_patterns import LinePattern, line_pattern, pattern_problem
from .text import compression_of, cut_text, unreadable

_WIDE = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class LogFormat:
    """See `Format`."""

    options: Log

    def problems(self, contract: Contract) -> Iterator[str]:
        """A pattern that is none, columns that are no field of it, and those that no text can be read into."""
        if self.options.pattern is not None and (problem := pattern_problem(self.options.pattern)):
            yield f"source.log.pattern: {problem}"
            return
        line = line_pattern(self.options)
        for name, column in timed(line, contract).items():
            if column.typed.is_list:
                yield f"column {name}: a log field holds no {column.type}; read it as a string"
            elif problem := unreadable(column):
                yield f"column {name}: {problem}"
        yield from lacking(line, contract)

    def can_cut(self, path: str) -> bool:
        """Whether it is not compressed."""
        return compression_of(path, self.options.compression) is None

    def splits(self, file: storage.FileInfo, name: str, contract: Contract, split_size: int) -> Iterator[Split]:
        """Cuts at multiples of `split_size`; a compressed file is one split."""
        if not file.size:
            return
        compression = compression_of(file.path, self.options.compression)
        check_text(file.path, compression, self.options.compression)
        whole = Split(0, file.path, name, file.size, file.mark, 0, None, compression)
        yield from cut_text(whole, split_size)

    def read(self, split: Split, contract: Contract, max_record_bytes: int) -> Iterator[Batch]:
        """Reads the lines of a split."""
        return read_lines(split, self._parser(contract), contract, max_record_bytes)

    def raw(self, offsets: Rows, split: Split, max_record_bytes: int) -> tuple[pa.Array, Rows]:
        """The lines that begin at some offsets."""
        return raw_lines(offsets, split, max_record_bytes)

    def again(self, split: Split, raw: pa.Array, offsets: pa.Array, contract: Contract, limit: int) -> Batch:
        """Reads lines a second time."""
        return LineReader(split, self._parser(contract), contract, limit).batch(0, laid_lines(raw, offsets))

    def _parser(self, contract: Contract) -> LogParser:
        return LogParser(line_pattern(self.options), self.options.nulls, contract)


def check_text(path: str, compression: str | None, option: str) -> None:
    """Looks at how a file begins; `option` is what job.yaml says of its compression.

    Raises:
      UsageError: when it is no text of single bytes.
    """
    try:
        with storage.open_input(path) as file:
            start = bytes(decompressed(file, compression).read(LOOK_BYTES))
    except OSError as error:
        said = not_compressed(path, compression, option) or f"cannot be read: {error}"
        raise UsageError(f"{path}: {said}") from error
    if start.startswith(_WIDE):
        raise UsageError(f"{path}: is UTF-16; Highbeam reads UTF-8, so convert it, for example with iconv")
    if problem := misnamed(start):
        raise UsageError(f"{path}: {problem}")


def lacking(line: LinePattern, contract: Contract) -> Iterator[str]:
    """A sentence about each column that is no field of a line, but for optional ones."""
    for name, column in contract.columns.items():
        field = column.source or name
        if field in line.fields or column.optional:
            continue
        near = difflib.get_close_matches(field, line.fields, 1)
        hint = f" (is it {near[0]!r}? then write from: {near[0]})" if near else ""
        yield f"column {name}: {line.title} has no field {field!r}{hint}; its fields are {', '.join(line.fields)}"
