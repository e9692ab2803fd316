"""Every record becomes one row or one reject, by what it holds and nothing else, whatever the options and the bytes."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from highbeam import storage
from highbeam.schemas.errors import HighbeamError
from highbeam.schemas.sources import Csv
from highbeam.schemas.split import Split
from highbeam.transforms.formats.csv_files import CsvFormat
from highbeam.transforms.formats.csv_framing import framing_of, is_whole
from highbeam.transforms.formats.csv_options import option_problems
from highbeam.transforms.formats.csv_parser import CsvParser
from highbeam.transforms.formats.lines import batches
from highbeam.transforms.transcode import encoding_of

from tests.support.csv_files import contract, cut, rejected, rows
from tests.support.csv_model import Model

NAMES = ("a", "b")
TEXTS = contract({name: {"type": "string", "nullable": True} for name in NAMES})
ENCODINGS = (
    "utf-8",
    "latin-1",
    "cp1252",
    "ascii",
    "shift_jis",
    "gb18030",
    "euc_jp",
    "utf-16-le",
    "utf-16-be",
    "utf-32-le",
)


@st.composite
def options(draw: st.DrawFn, encodings: tuple[str, ...] = ENCODINGS) -> Csv:
    """Options that can be meant together."""
    found = Csv.model_validate({
        "path": "in.csv", "header": False, "columns": NAMES, "delimiter": draw(st.sampled_from(",;\t|x")),
        "quote": draw(st.sampled_from(['"', "'", None])), "escape": draw(st.sampled_from([None, None, "\\", "^"])),
        "comment": draw(st.sampled_from([None, "#", "//"])), "nulls": draw(st.sampled_from([(), ("N", "a b")])),
        "encoding": draw(st.sampled_from(encodings)), "multiline": draw(st.booleans()),
    })  # fmt: skip
    if list(option_problems(found)):
        found = found.model_copy(update={"multiline": False})
    assert list(option_problems(found)) == []
    return found


def file_of(folder: Path, data: bytes, start: int = 0, name: str = "in.csv") -> Split:
    """A whole file as one split."""
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    file = storage.stat(os.fspath(path))
    assert file is not None
    compression = "gzip" if name.endswith(".gz") else None
    end = None if compression else len(data)
    return Split(0, file.path, name, file.size, file.mark, start, end, compression, NAMES)


def fates(splits: list[Split], how: Csv, limit: int, **sizes: int) -> dict[int, Any]:
    """What became of every record, by its offset; checks `raw` and `again` of all of them."""
    found: dict[int, Any] = {}
    for split in splits:
        framing = framing_of(split, how, limit)
        parser = CsvParser(NAMES, how, TEXTS)
        read = list(batches(split, framing.groups(split, **sizes), parser, TEXTS, limit))
        mine = _fates(read)
        assert len(mine) == sum(batch.read for batch in read)
        assert list(mine) == sorted(mine)
        assert not mine.keys() & found.keys()
        _check_raw(split, how, limit, mine)
        found |= mine
    return found


def _fates(read: list[Any]) -> dict[int, Any]:
    alive = {row.pop("_offset"): tuple(row.values()) for row in rows(read).to_pylist()}
    gone = {row["offset"]: row["reason"] for row in rejected(read).to_pylist()}
    return dict(sorted((alive | gone).items()))


def _check_raw(split: Split, how: Csv, limit: int, mine: dict[int, Any]) -> None:
    if not mine:
        return
    format, offsets = CsvFormat(how), np.array(list(mine))
    raw, lengths = format.raw(offsets, split, limit)
    short = lengths <= limit
    if short.any():
        kept = pa.array(offsets[short])
        again = format.again(split, raw.filter(pa.array(short)), kept, TEXTS, limit)
        assert _fates([again]) == {offset: mine[offset] for offset in kept.to_pylist()}


def modelled(data: bytes, how: Csv, limit: int, base: int = 0) -> dict[int, Any]:
    model = Model(how, len(NAMES), limit)
    return {offset: model.fate(record) for offset, record in model.records(data, base)}


SIGNS = st.sampled_from([
    '"', '"', "'", ",", ",", ";", "\\", "^", "#", "//", "\n", "\n", "\r\n", "\r", "x", "N", "a b", "|", "\t", "é", "表",
    "ソ", "\U0001f600", "\ufeff", "\x00", '"a\nb"', 'p,"q\r\nr"\n', "1,2\n", "#c\"\n", "\\\n",
])  # fmt: skip


@st.composite
def texts(draw: st.DrawFn, encoding: str) -> bytes:
    """Text of what matters to CSV, with broken bytes in it now and then."""
    parts = [part.encode(encoding, "replace") for part in draw(st.lists(SIGNS, max_size=40))]
    for at in draw(st.lists(st.integers(0, 50), max_size=2)):
        parts.insert(at, draw(st.binary(min_size=1, max_size=3)))
    return b"".join(parts)


@settings(max_examples=150)
@given(data=st.data())
def test_any_text_is_read_as_the_model_reads_it(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    how = data.draw(options())
    text = data.draw(texts(how.encoding))
    limit = data.draw(st.sampled_from([1, 3, 8, 20, 1000]))
    sizes = {
        "batch_rows": data.draw(st.integers(1, 6)), "batch_bytes": data.draw(st.integers(1, 60)),
        "block_bytes": data.draw(st.sampled_from([1, 2, 3, 7, 64, 4096])),
    }  # fmt: skip
    mark = encoding_of(how.encoding).mark
    start = len(mark) if mark and text.startswith(mark) else 0  # as planning finds it
    if not text[start:]:
        return
    whole = file_of(tmp_path_factory.getbasetemp(), text, start)
    cuts = [] if is_whole(how) else data.draw(st.lists(st.integers(0, len(text)), max_size=4))
    assert fates(cut(whole, cuts), how, limit, **sizes) == modelled(text[start:], how, limit, start)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "gb18030", "utf-16-be"])
@pytest.mark.parametrize("multiline", [True, False])
@pytest.mark.parametrize(
    ("text", "given"),
    [
        ('1,é\n#"c\n2,x\n#"d\n\n3,"#y"\n', {"comment": "#"}),
        ('1,é\n2,"x\n3,y\n#"\n4,z', {"comment": "#"}),
        ('1,"é\r\n#x"\n2,"""\n"""\r\n3,"\r"\r\n4,y\rz\n', {"comment": "#"}),
        ('1,é\\\n2,x\\\\\n3,\\"y\n4,"a\\"b"\n', {"escape": "\\"}),
        ('N,"N"\n"",é\n\n ,\n5" pipe,x\n', {"nulls": ["N"]}),
    ],
)
def test_what_the_options_mean(
    tmp_path: Path, encoding: str, multiline: bool, text: str, given: dict[str, Any]
) -> None:
    how = Csv.model_validate({
        "path": "in.csv", "header": False, "columns": NAMES, "encoding": encoding, "multiline": multiline, **given,
    })  # fmt: skip
    if list(option_problems(how)):
        return  # in gb18030 an escape may be half of a character
    data = text.encode(encoding)
    for block_bytes, batch_rows in itertools.product((1, 5, 4096), (1, 100)):
        found = fates([file_of(tmp_path, data)], how, 1000, block_bytes=block_bytes, batch_rows=batch_rows)
        assert found == modelled(data, how, 1000)


# Whole files: header, byte order mark, compression

CELLS = st.text(
    st.one_of(
        st.sampled_from("\"',;\t|\\^# x\n\r"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),  # csv.writer of Python 3.10 refuses it
    ),
    max_size=6,
)


def written(records: list[tuple[str, str]], how: Csv, end: str, quote_all: bool) -> list[str]:
    """Records as Python's csv writes them, a text for each."""
    found = []
    for record in records:
        out = io.StringIO(newline="")
        # What Python's csv leaves bare, and means something here: a comment's beginning, a carriage return.
        bare = "\r" in "".join(record) or (how.comment is not None and record[0].startswith(how.comment))
        needs = quote_all or bare
        quoting = csv.QUOTE_NONE if how.quote is None else csv.QUOTE_ALL if needs else csv.QUOTE_MINIMAL
        csv.writer(
            out, delimiter=how.delimiter, quotechar=how.quote, escapechar=how.escape, lineterminator=end,
            quoting=quoting, doublequote=how.escape is None,  # type: ignore[arg-type]
        ).writerow(record)  # fmt: skip
        found.append(out.getvalue())
    return found


def _writable(text: str, how: Csv) -> str:
    """What of a text the options can say."""
    lines = text if how.multiline else text.replace("\n", "").replace("\r", "")
    if how.quote is None:  # then nothing protects a delimiter; nor is a carriage return told from that of a line's end
        lines = "".join(sign for sign in lines if sign not in (how.delimiter, how.escape, "\r", "\n", '"', "#", "/"))
    return lines.encode(how.encoding, "ignore").decode(how.encoding)


@settings(max_examples=80)
@given(data=st.data())
def test_what_python_writes_comes_back_from_whole_files(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    how = data.draw(options()).model_copy(update={"header": data.draw(st.booleans()), "delimiter": ","})
    how = how.model_copy(update={"columns": () if how.header else NAMES, "nulls": ()})
    cells = CELLS.map(lambda text: _writable(text, how))
    records = data.draw(st.lists(st.tuples(cells.filter(bool), cells), max_size=12))
    end, quote_all = data.draw(st.sampled_from(["\n", "\r\n"])), data.draw(st.booleans())
    lines = written(records, how, end, quote_all)
    before = [how.comment + ' of "what"' + end, end] if how.comment else [end]
    parts = [*before, *([",".join(NAMES) + end] if how.header else []), *lines]
    codec = how.encoding
    mark = "\ufeff".encode(codec) if data.draw(st.booleans()) and codec.startswith("utf") else b""
    offsets = list(itertools.accumulate((len(part.encode(codec)) for part in parts), initial=len(mark)))
    folder = tmp_path_factory.getbasetemp()
    name = data.draw(st.sampled_from(["whole.csv", "whole.csv.gz"]))
    split = file_of(folder, mark + "".join(parts).encode(codec), name=name)
    found = read_whole(folder / name, how, data.draw(st.sampled_from([64, 200, 10_000])))
    expected = [
        (a, b or (None if line.rstrip("\r\n").endswith(",") else ""))
        for (a, b), line in zip(records, lines, strict=True)
    ]
    assert found == dict(zip(offsets[len(parts) - len(lines) : -1], expected, strict=True)), split


def read_whole(path: Path, how: Csv, split_size: int) -> dict[int, Any]:
    """Plans a file and reads it, as a run does."""
    format, file = CsvFormat(how), storage.stat(os.fspath(path))
    assert file is not None
    found: dict[int, Any] = {}
    for split in format.splits(file, path.name, TEXTS, split_size):
        found |= _fates(list(format.read(split, TEXTS, 1 << 20)))
    return found


@settings(max_examples=80)
@given(how=options((*ENCODINGS, "utf-16", "utf-32")), body=st.binary(max_size=60), header=st.booleans(),
       start=st.sampled_from([b"", b"a,b\n", b"\xff\xfea\0", b"\x1f\x8b", b'"a","b\n']),
       name=st.sampled_from(["x.csv", "x.csv.bz2"]))  # fmt: skip
@example(Csv(path=("x",)), b"a,b\n1,2", True, b"", "x.csv")
def test_a_file_of_any_bytes_is_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, how: Csv, body: bytes, header: bool, start: bytes, name: str
) -> None:
    how = how.model_copy(update={"header": header, "columns": () if header else NAMES})
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(start + body)
    try:
        read_whole(path, how, 64)
    except HighbeamError as error:
        assert name in str(error)  # noqa: PT017 - not every such file is refused
