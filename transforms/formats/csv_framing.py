"""The records of a CSV file in UTF-8, whatever its options: framed as lines, or as a whole file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ...schemas.sources import Csv
from ...schemas.split import Split
from ..blocks import BLOCK_BYTES, check_unchanged, read_blocks
from ..framing import BATCH_BYTES, Records, frame_blocks, frame_split, grouped
from ..framing_whole import Form, frame_whole
from ..quoting import Dialect
from ..transcode import Encoding, encoding_of, transcoded
from ..verdict import Rows
from .base import BATCH_ROWS
from .lines import laid_lines, records_at


def dialect_of(options: Csv) -> Dialect:
    """How fields are set apart."""
    return Dialect(options.delimiter, options.quote, options.escape, options.comment or "")


def parse_options(options: Csv) -> pacsv.ParseOptions:
    """The same for pyarrow."""
    return pacsv.ParseOptions(
        delimiter=options.delimiter,
        quote_char=options.quote or False,
        escape_char=options.escape or False,
        newlines_in_values=options.multiline,
    )


def is_whole(options: Csv) -> bool:
    """Whether a file can only be read from its beginning."""
    return options.multiline or encoding_of(options.encoding).characters.width > 1


@dataclass(frozen=True)
class CsvFraming:
    """Frames the records of one file.

    Attributes:
      options: of the source.
      encoding: of the file.
      limit: most bytes of a record.
    """

    options: Csv
    encoding: Encoding
    limit: int

    def groups(
        self,
        split: Split,
        batch_rows: int = BATCH_ROWS,
        batch_bytes: int = BATCH_BYTES,
        block_bytes: int = BLOCK_BYTES,
    ) -> Iterator[Records]:
        """The records of a split in UTF-8, in groups fit for one Batch; see `frame_split`."""
        if is_whole(self.options):
            pieces = frame_whole(split, self.form, block_bytes)
            return grouped((transcoded(records, self.encoding) for records in pieces), batch_rows, batch_bytes)
        comment, sure = self.options.comment or "", self._begins(split, split.start)
        groups = frame_split(split, self.limit, batch_rows, batch_bytes, block_bytes, comment, sure)
        return (transcoded(records, self.encoding) for records in groups)

    def raw(self, offsets: Rows, split: Split, block_bytes: int = BLOCK_BYTES) -> tuple[pa.Array, Rows]:
        """The file's own bytes of some records; see `Format.raw`."""
        # Each of them begins a record, so the part between the first and the last frames as the whole split does.
        start, end = int(offsets[0]), int(offsets[-1]) + 1
        part = replace(split, start=start, end=end)
        if is_whole(self.options):
            return records_at(offsets, split, frame_whole(part, self.form, block_bytes))
        origin = start if self._begins(split, start) else max(start - 1, 0)
        blocks = read_blocks(part, origin, block_bytes)
        framed = frame_blocks(blocks, origin, self.limit, start, end, self.options.comment or "")
        found = records_at(offsets, split, framed)
        check_unchanged(split)
        return found

    def laid(self, raw: pa.Array, offsets: pa.Array) -> Records:
        """Records in UTF-8 from what `raw` gave."""
        characters = self.encoding.characters
        sizes = pc.binary_length(raw).to_numpy()
        if (
            half := sizes % characters.width != 0
        ).any():  # the file's last character: what follows must not complete it
            raw = pc.if_else(pa.array(half), pa.scalar(self.encoding.broken, raw.type), raw)
        records = transcoded(laid_lines(raw, offsets, characters.line_feed), self.encoding)
        return replace(records, lengths=sizes.astype(np.int64))

    def _begins(self, split: Split, start: int) -> bool:
        """Whether a file's first record begins there, behind a byte order mark: no line break stands before it."""
        mark = self.encoding.mark
        if self.options.header or not start or start != len(mark):
            return False
        return _beginning(split)[: len(mark)] == mark

    @property
    def form(self) -> Form:
        """How a whole file is written; without `multiline` a quote is a character like others."""
        dialect = dialect_of(self.options)
        dialect = dialect if self.options.multiline else replace(dialect, quote=None, escape=None)
        return Form(dialect, self.encoding.characters, self.limit)


def framing_of(split: Split, options: Csv, limit: int) -> CsvFraming:
    """What frames the file of a split."""
    encoding = encoding_of(options.encoding)
    if encoding.characters.width > 1:  # perhaps only its byte order mark says which one
        encoding = encoding_of(options.encoding, _beginning(split))
    return CsvFraming(options, encoding, limit)


def _beginning(split: Split) -> bytes:
    """The bytes of a byte order mark, if a file has one."""
    beginning = b""
    for block in read_blocks(split, 0, 4):
        beginning += block
        if len(beginning) >= 4:
            break
    return beginning
