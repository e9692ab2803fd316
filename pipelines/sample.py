"""The beginning of a file as a table, read by pyarrow's own inference: what `infer` drafts a job from."""

from __future__ import annotations

import codecs
import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .. import storage
from ..schemas.errors import UsageError
from ..transforms.decompress import decompressed
from ..transforms.formats.json_head import WIDE
from ..transforms.formats.kinds import LOOK_BYTES, compression_by, kind_of, misnamed, not_compressed
from ..transforms.formats.text import compression_of
from .sample_avro import read_avro
from .sample_csv import read_csv
from .sample_text import Read, read_json, read_log
from .sample_tfrecord import is_tfrecord, read_examples

HEAD_BYTES = 4 << 20
"""How much of a file is looked at, after decompression."""
HEAD_ROWS = 1 << 16
_STEP = 1 << 18
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\ufeff\ufffe\uffff]")
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",  # with which that of UTF-32 begins
    codecs.BOM_UTF16_BE: "utf-16",
}
_CP1252 = re.compile(rb"[\x80-\x9f]")  # control characters in latin-1, letters and quotes on Windows


@dataclass(frozen=True)
class Sample:
    """The beginning of one file.

    Attributes:
      format: the kind of file, as `source` names it.
      options: what `source` must say of it beside its path.
      table: its first rows; a nested field is a column of its own, named by its path.
      whole: whether these are all rows of the file.
      wrong: a column -> how many of its values are not of its type, and one of them.
      remarks: what of the file is no row.
      notes: a column -> what is worth a second look.
    """

    format: str
    options: Mapping[str, Any]
    table: pa.Table
    whole: bool
    wrong: Mapping[str, tuple[int, Any]] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


def sample(path: str) -> Sample:
    """Reads the beginning of a file; of what kind it is, its first bytes say.

    Raises:
      UsageError: when it cannot be read, holds no rows, or is of no kind that is known.
    """
    head, whole = _head(path)
    kind = kind_of(head[:LOOK_BYTES])
    if kind is None and is_tfrecord(head):
        return Sample("tfrecord", {}, _rows(path, read_examples(path, head, HEAD_ROWS)), whole)
    if kind not in _TYPED:
        return _text(path, head, whole)
    try:
        return _TYPED[kind](path)
    except (OSError, ValueError, EOFError, KeyError, pa.ArrowException) as error:  # whatever fastavro meets
        raise UsageError(f"{path}: cannot be read: {error}") from error


def _head(path: str) -> tuple[bytes, bool]:
    """The first bytes of a file, decompressed, and whether they are all."""
    if storage.stat(path) is None:
        raise UsageError(f"{path}: is a folder; name its files" if os.path.isdir(path) else f"{path}: no such file")
    text, step, compression = bytearray(), b"-", compression_of(path, "infer")
    try:
        with storage.open_input(path) as raw:
            stream = decompressed(raw, compression)
            while step and len(text) <= HEAD_BYTES:
                step = stream.read(_STEP)
                text += step
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        raise UsageError(f"{path}: {not_compressed(path, compression) or f'cannot be read: {error}'}") from error
    if not text:
        raise UsageError(f"{path}: is empty; name a file with some rows")
    return bytes(text), not step


def _text(path: str, head: bytes, whole: bool) -> Sample:
    if found := compression_by(head):
        raise UsageError(f"{path}: is {found}, and its name does not say so; rename it, or decompress it")
    if said := misnamed(head[:LOOK_BYTES]):
        raise UsageError(f"{path}: {said}")
    end = len(head) if whole else head.rfind(b"\n") + 1
    if (wide := _wide(head)) is not None:
        text, encoding = wide if whole else (wide[0][: wide[0].rfind("\n") + 1], wide[1])
    else:
        text, encoding = _decoded(path, head[:end]) if end else (head.decode("utf-8-sig", "ignore"), {})
    if not text.strip():
        raise UsageError(f"{path}: holds no line within {HEAD_BYTES:,} bytes")
    _check_json(path, head, text, encoding)
    for name, read in _TEXTS.items():
        if (name == "csv" or not encoding) and (made := read(path, text, whole)) is not None:
            rows = _rows(path, made.table)
            return Sample(name, {**made.options, **encoding}, rows, whole, made.wrong, made.remarks, made.notes)
    raise UsageError(f"{path}: is no file that Highbeam reads")


def _check_json(path: str, head: bytes, text: str, encoding: Mapping[str, str]) -> None:
    """Finds JSON that is not in UTF-8; CSV may be in any encoding."""
    unmarked = head[:2] in WIDE
    if unmarked or (encoding and read_json(path, text, False) is not None):
        found = "UTF-16" if unmarked else encoding["encoding"].upper()
        raise UsageError(f"{path}: is JSON in {found}; JSON is read in UTF-8, so convert it, for example with iconv")


def _wide(data: bytes) -> tuple[str, dict[str, str]] | None:
    """The text of data that begins with a byte order mark of wide characters, and its encoding."""
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    if encoding is None:
        return None
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return None
    return None if _NO_TEXT.search(text) else (text, {"encoding": encoding})


def _decoded(path: str, data: bytes) -> tuple[str, dict[str, str]]:
    """The text, and its encoding where that must be said; only CSV may be in another than UTF-8."""
    try:
        return data.decode("utf-8-sig"), {}
    except UnicodeDecodeError:
        pass
    if _BINARY.search(data):
        raise UsageError(f"{path}: is no file that Highbeam reads: neither Parquet, Avro nor text")
    encoding = "cp1252" if _CP1252.search(data) else "latin-1"
    return data.decode(encoding, "replace"), {"encoding": encoding}


def _parquet(path: str) -> Sample:
    with storage.open_input(path) as source:
        file = pq.ParquetFile(source)
        batches = list(itertools.islice(file.iter_batches(HEAD_ROWS), 1))
        table = pa.Table.from_batches(batches, file.schema_arrow)
        return Sample("parquet", {}, _rows(path, table), table.num_rows == file.metadata.num_rows)


def _avro(path: str) -> Sample:
    table, wrong, whole = read_avro(path, HEAD_ROWS)
    return Sample("avro", {}, _rows(path, table), whole, wrong)


_TYPED: Mapping[str | None, Callable[[str], Sample]] = {"Parquet": _parquet, "Avro": _avro}
_TEXTS: Mapping[str, Callable[[str, str, bool], Read | None]] = {"json": read_json, "log": read_log, "csv": read_csv}


def _rows(path: str, table: pa.Table) -> pa.Table:
    if not table.num_rows:
        raise UsageError(f"{path}: holds no rows; name a file with some")
    while any(pa.types.is_struct(type) for type in table.schema.types):
        table = table.flatten()
    return table
