"""JSON files: JSON Lines, cut at any byte, or one array of objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from ... import storage
from ...schemas.batch import Batch
from ...schemas.contract import Contract
from ...schemas.sources import Json
from ...schemas.split import Split
from ..verdict import Rows
from .base import BATCH_ROWS
from .json_array import frame_elements, raw_elements
from .json_head import check_head, head_of, is_array
from .json_parser import JsonParser
from .lines import LineReader, batches, laid_lines, raw_lines, read_lines
from .text import compression_of, cut_text, unreadable


@dataclass(frozen=True)
class JsonFormat:
    """See `Format`."""

    options: Json

    def problems(self, contract: Contract) -> Iterator[str]:
        """Columns that no text of JSON can be read into."""
        for name, column in contract.columns.items():
            if problem := unreadable(column):
                yield f"column {name}: {problem}"

    def can_cut(self, path: str) -> bool:
        """Whether it is not compressed; an array turns out to be one when it is opened."""
        return compression_of(path, self.options.compression) is None

    def splits(self, file: storage.FileInfo, name: str, contract: Contract, split_size: int) -> Iterator[Split]:
        """Cuts JSON Lines at multiples of `split_size`; an array is one split, a blank file none."""
        if not file.size:
            return
        compression = compression_of(file.path, self.options.compression)
        whole = Split(0, file.path, name, file.size, file.mark, 0, None, compression)
        if head := check_head(whole, self.options.compression):
            yield from [whole] if is_array(head) else cut_text(whole, split_size)

    def read(self, split: Split, contract: Contract, max_record_bytes: int) -> Iterator[Batch]:
        """Reads the records of a split."""
        parser = JsonParser(contract)
        if not _holds_array(split):
            return read_lines(split, parser, contract, max_record_bytes)
        framed = frame_elements(split, max_record_bytes, BATCH_ROWS)
        return batches(split, framed, parser, contract, max_record_bytes)

    def raw(self, offsets: Rows, split: Split, max_record_bytes: int) -> tuple[pa.Array, Rows]:
        """The lines, or elements of the array, that begin at some offsets."""
        if _holds_array(split):
            return raw_elements(offsets, split, max_record_bytes)
        return raw_lines(offsets, split, max_record_bytes)

    def again(self, split: Split, raw: pa.Array, offsets: pa.Array, contract: Contract, limit: int) -> Batch:
        """Reads records a second time."""
        return LineReader(split, JsonParser(contract), contract, limit).batch(0, laid_lines(raw, offsets))


def _holds_array(split: Split) -> bool:
    """Whether a split is a whole file, and that an array."""
    return split.end is None and is_array(head_of(split))
