"""pyarrow.csv, set up for one file's header and one contract: straight into types, or into text to be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from ...schemas.contract import Contract
from ...schemas.sources import Csv
from ..convert import FALSE, TRUE, convert
from ..framing import Records
from ..quoting import Dialect
from ..record_faults import blame_encoding, blame_framing, blame_structure, well_quoted
from ..transcode import encoding_of
from ..verdict import Rows, Verdict
from .csv_framing import dialect_of, parse_options
from .lines import missing

_BOM = b"\xef\xbb\xbf"
_TEXTS = pa.dictionary(pa.int32(), pa.binary())


class CsvParser:
    """Parses sound records into the columns of a contract.

    Args:
      header: the file's column names.
      csv: how fields are set apart, and spellings of null.
      contract: the columns wanted; those the header lacks are null.
    """

    def __init__(self, header: Sequence[str], csv: Csv, contract: Contract) -> None:
        self._header, self._contract = list(header), contract
        self._source = {name: column.source or name for name, column in contract.columns.items()}
        self._there = [name for name in contract.columns if self._source[name] in header]
        shared = Counter(self._source.values())
        self._as_text = [name for name in self._there if _needs_text(contract, name) or shared[self._source[name]] > 1]
        self._dialect, self._csv = dialect_of(csv), csv
        self._is_utf8 = encoding_of(csv.encoding).is_utf8
        self._parse = parse_options(csv)
        texts = {self._source[name]: _text_type(contract, name, shared[self._source[name]]) for name in self._there}
        straight = {self._source[name]: contract.arrow_type(name) for name in self._there if name not in self._as_text}
        self._has_integers = any(pa.types.is_integer(type) for type in straight.values())
        self._text_options = self._options(csv.nulls, texts)
        self._typed_options = self._options(csv.nulls, {**texts, **straight})

    def _options(self, nulls: Iterable[str], types: Mapping[str, pa.DataType]) -> pacsv.ConvertOptions:
        types = types or {self._header[0]: pa.binary()}  # with nothing to include, pyarrow would read everything
        return pacsv.ConvertOptions(
            column_types=types,
            include_columns=[name for name in self._header if name in types],
            null_values=["", *nulls],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=TRUE,
            false_values=FALSE,
        )

    def blame_framing(self, records: Records, verdict: Verdict) -> None:
        """Finds the records no parser may see."""
        if not self._is_utf8:
            blame_encoding(records, self._csv.encoding, verdict)
        blame_framing(records, self._dialect, self._csv.multiline, verdict)

    def blame_structure(self, records: Records, verdict: Verdict) -> None:
        """Finds the records with an open quote, or without a field for every column of the header."""
        blame_structure(records, self._dialect, len(self._header), verdict)

    def typed(self, records: Records, rows: Rows, verdict: Verdict) -> list[pa.Array] | None:
        """Parses straight into types: fast, and ends at the first wrong value.

        Args:
          records: framed records.
          rows: which of them to parse, at least one; none has a fault that framing finds.
          verdict: of `len(rows)` rows; hears of wrong times and the like, which are text at first in any case.

        Returns:
          The contract's columns, or None when something is wrong with a record or a value.
        """
        if self._has_integers and _may_be_hexadecimal(records.data):
            return None  # pyarrow reads hexadecimal, and 0xFF as an int8 is -1 to it
        return self._columns(self._parsed(records, rows, self._typed_options), len(rows), self._as_text, verdict)

    def text(self, records: Records, rows: Rows, verdict: Verdict) -> list[pa.Array] | None:
        """Parses into text and converts that, so that every wrong value is found. Arguments and results as above.

        None means that a record has an open quote, or not as many fields as the header.
        """
        return self._columns(self._parsed(records, rows, self._text_options), len(rows), self._there, verdict)

    def _parsed(self, records: Records, rows: Rows, options: pacsv.ConvertOptions) -> pa.Table | None:
        data = _laid_out(records, rows)
        read = pacsv.ReadOptions(column_names=self._header, use_threads=False, block_size=len(data) + 1)
        try:
            table = pacsv.read_csv(pa.BufferReader(data), read, self._parse, options)
        except pa.ArrowInvalid:
            return None
        # A quote left open swallows the following records, so it shows in the count; after the last there are none.
        sound = table.num_rows == len(rows) and _is_closed(records, int(rows[-1]), self._dialect)
        return table if sound else None

    def _columns(
        self, table: pa.Table | None, rows: int, convertible: Sequence[str], verdict: Verdict
    ) -> list[pa.Array] | None:
        if table is None:
            return None
        columns = []
        for name, column in self._contract.columns.items():
            type = self._contract.arrow_type(name)
            if name not in self._there:
                columns.append(missing(rows, type))
                continue
            values = _whole(table.column(self._source[name]))
            columns.append(convert(values, name, column, type, verdict) if name in convertible else values)
        return columns


def _needs_text(contract: Contract, name: str) -> bool:
    """Whether pyarrow.csv itself reads the type otherwise than we promise."""
    type = contract.arrow_type(name)
    return bool(pa.types.is_timestamp(type) or pa.types.is_date(type) or pa.types.is_decimal(type))


def _text_type(contract: Contract, name: str, uses: int) -> pa.DataType:
    return _TEXTS if uses == 1 and pa.types.is_dictionary(contract.arrow_type(name)) else pa.binary()


def _may_be_hexadecimal(data: bytes) -> bool:
    """Whether 0x or 0X is anywhere in it; asking `b"0x" in data` takes eight times as long, as zeros are many."""
    codes = np.frombuffer(data, np.uint8)
    return any(x in data and (codes[np.flatnonzero(codes[1:] == x)] == ord("0")).any() for x in b"xX")


def _laid_out(records: Records, rows: Rows) -> bytes:
    """Some records as text; where all are wanted, that is the buffer they lie on.

    It ends in a line feed: without one pyarrow takes an empty last field for quoted, and so for no null, where the
    field before it is.
    """
    data = records.data
    if len(rows) < len(records):
        gaps = np.flatnonzero(np.diff(rows) != 1) + 1
        firsts, lasts = rows[np.append(0, gaps)], rows[np.append(gaps, len(rows)) - 1]
        view = memoryview(data)
        runs = zip(records.starts[firsts].tolist(), records.ends[lasts].tolist(), strict=True)
        data = b"\n".join([*(view[start:end] for start, end in runs), b""])
    # A byte order mark is none in the middle of a file, but pyarrow drops it from every block's start.
    return b"\n" + data if data.startswith(_BOM) else data


def _is_closed(records: Records, row: int, dialect: Dialect) -> bool:
    text = records.data[records.starts[row] : records.ends[row]]
    if dialect.quote is None or dialect.quote.encode() not in text:
        return True
    return bool(well_quoted(pa.array([text], pa.binary()), dialect)[0])


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
