"""The header of a CSV file: its column names, and where the records begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pacsv

from ... import storage
from ...schemas.errors import UsageError
from ...schemas.sources import Csv
from ..decompress import Stream, decompressed
from ..framing import Records
from ..framing_whole import frame_text
from ..record_faults import blame_framing, count_fields, well_quoted
from ..transcode import WIDE, Encoding, encoding_of, transcoded
from ..verdict import Verdict
from .csv_framing import CsvFraming, dialect_of, parse_options
from .kinds import LOOK_BYTES, misnamed, not_compressed
from .lines import laid_lines

_STEP = 64 << 10
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Header:
    """A file's header.

    Attributes:
      names: the columns, in file order; empty for a file with nothing but line breaks and comments.
      end: where records begin, after decompression: behind the header's line, or behind the byte order mark.
    """

    names: tuple[str, ...]
    end: int


def read_header(file: storage.FileInfo, compression: str | None, options: Csv, max_bytes: int = MAX_BYTES) -> Header:
    """Reads the first record of a file; where the job names the columns, only whether a byte order mark stands there.

    Args:
      file: the file.
      compression: of the file, or None.
      options: how it is written.
      max_bytes: what is not found in so many bytes is no header.

    Raises:
      UsageError: when there is no header that could be one, or the file is of another kind or encoding.
    """
    if not file.size:
        return Header((), 0)
    try:
        with storage.open_input(file.path) as raw:
            return _read(_Beginning(decompressed(raw, compression), max_bytes), options)
    except OSError as error:
        said = not_compressed(file.path, compression, options.compression) or f"cannot be read: {error}"
        raise UsageError(f"{file.path}: {said}") from error
    except ValueError as error:
        raise UsageError(f"{file.path}: {error}") from error


class _Beginning:
    """The first bytes of a stream, read as they are needed."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream, self._left = stream, size
        self.first = self._block(4)

    def _block(self, least: int) -> bytes:
        block = b""
        while len(block) < least and (more := self._stream.read(_STEP)):
            block += more
        self._left -= len(block)
        return block

    def behind(self, mark: bytes) -> Iterator[bytes]:
        """What follows a byte order mark; it ends before the stream does when too much would be read."""
        if block := self.first[len(mark) :]:
            yield block
        while block := self._block(1):
            if self._left < 0:
                raise ValueError(f"has no header within {MAX_BYTES:,} bytes; is it a CSV file?")
            yield block


def _read(beginning: _Beginning, options: Csv) -> Header:
    encoding = encoding_of(options.encoding, beginning.first)
    _check_kind(beginning.first, encoding)
    mark = encoding.mark if encoding.mark and beginning.first.startswith(encoding.mark) else b""
    if not options.header:
        return Header(options.columns, len(mark))
    framing = CsvFraming(options, encoding, MAX_BYTES)
    for records in frame_text(beginning.behind(mark), len(mark), framing.form):
        first = records.part(0, 1)
        return Header(_names(transcoded(first, encoding), encoding, options), _behind(first, encoding))
    return Header((), len(mark))


def _check_kind(first: bytes, encoding: Encoding) -> None:
    """Finds what is no text in the encoding by how it begins."""
    if said := misnamed(first[:LOOK_BYTES]):
        raise ValueError(said)
    found = next((codec for codec in WIDE if first.startswith(encoding_of(codec).mark)), None)
    if found not in (None, encoding.codec):
        written = found[: len("utf-16")]
        raise ValueError(f"is {written.upper()}; write encoding: {written}")


def _names(record: Records, encoding: Encoding, options: Csv) -> tuple[str, ...]:
    """The names in a record of UTF-8."""
    if record.lengths[0] > MAX_BYTES:
        raise ValueError(f"has no header within {MAX_BYTES:,} bytes; is it a CSV file?")
    text = pa.array([record.data[int(record.starts[0]) : int(record.ends[0])]], pa.binary())
    _check_header(text[0].as_py(), text, encoding, options)
    names = _fields(text, options)
    if twice := sorted(name for name, uses in Counter(names).items() if uses > 1):
        raise ValueError(f"the header names {', '.join(map(repr, twice))} twice; rename one of them")
    return names


def _check_header(line: bytes, text: pa.Array, encoding: Encoding, options: Csv) -> None:
    """Finds what no parser may see."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding.is_utf8 else options.encoding
        raise ValueError(f"the header is not valid {name} ({error}); write the file's encoding") from error
    if b"\0" in line:
        raise ValueError("the header holds zero bytes; if it is UTF-16 without a byte order mark, write utf-16-le")
    dialect, verdict = dialect_of(options), Verdict(1)
    blame_framing(laid_lines(text, pa.array([0])), dialect, options.multiline, verdict)
    reason = verdict.findings()[1].to_pylist()
    if reason == ["line_break"]:
        raise ValueError("its lines end in carriage returns alone; convert them to line feeds")
    if reason == ["open_escape"]:
        raise ValueError("the header ends in an escape character")
    if reason or not well_quoted(text, dialect)[0]:
        raise ValueError("a quoted name in the header is not closed on its line")


def _fields(text: pa.Array, options: Csv) -> tuple[str, ...]:
    names = [str(n) for n in range(int(count_fields(text, dialect_of(options))[0]))]
    read = pacsv.ReadOptions(column_names=names, use_threads=False, block_size=2 * MAX_BYTES)
    convert = pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    data = pa.BufferReader(b"\n" + text[0].as_py() + b"\n")  # at the beginning pyarrow would drop a byte order mark
    (row,) = pacsv.read_csv(data, read, parse_options(options), convert).to_pylist()
    return tuple(row.values())


def _behind(first: Records, encoding: Encoding) -> int:
    """Where the next line begins."""
    width = encoding.characters.width
    rest = encoding.characters.narrow(first.data[int(first.ends[0]) :][: 2 * width], last=False).tobytes()
    breaks = 2 if rest.startswith(b"\r\n") else int(rest[:1] in (b"\r", b"\n"))
    return int(first.offsets[0] + first.lengths[0]) + breaks * width
