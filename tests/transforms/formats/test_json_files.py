"""JSON files: lines and arrays, plain and compressed, whole and broken."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from highbeam import storage
from highbeam.schemas.errors import UnreadableInput, UsageError

from tests.support.json_files import BOM, JSON, A, fates, read
from tests.support.reading import cut


def test_lines_end_and_begin_as_they_may(tmp_path: Path) -> None:
    body = BOM + b'{"a":1}\r\n\r\n\n{"a":2}\n   \n{"a":3}'
    found = read(tmp_path, body)
    assert (found.rows, found.reasons) == ({0: {"a": 1}, 15: {"a": 2}, 27: {"a": 3}}, {23: "bad_json"})
    assert read(tmp_path, b"\n" * 70 + b" " * 200 + b'{"a":1}' + b" " * 200).rows == {70: {"a": 1}}


def test_elements_of_an_array_are_found_to_the_byte(tmp_path: Path) -> None:
    body = BOM + b'\n [ {"a": 1,\n "b": "],\\"}[" }\n,{"a":2} , 3,, "x,]", [1,{}],null,{"a":,},{"a":"\\\\"},]\n'
    found = read(tmp_path, body)
    assert {offset: body[offset : offset + len(raw)] for offset, raw in found.raw.items()} == found.raw
    assert list(found.raw.values()) == [b"3", b'"x,]"', b"[1,{}]", b"null", b'{"a":,}', b'{"a":"\\\\"}']
    assert fates(found) == [(1,), (2,), *["not_an_object"] * 4, "bad_json", "bad_value"]
    assert list(found.rows) == [body.index(b'{"a": 1'), body.index(b'{"a":2')]
    (split,) = found.splits
    assert (split.start, split.end) == (0, None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'[{"a":1},{"a":2}', "in.json: the array is not closed where the file ends; .* is before byte 9;"),
        (b'[{"a":"1},{"a":2}]', "in.json: the array is not closed"),
        (b'[{"a":1}]\n{"a":2}', "in.json: something follows the array at byte 10; a file is one array, or JSON Lines"),
    ],
)
def test_an_array_that_does_not_end_refuses_the_run(tmp_path: Path, body: bytes, said: str) -> None:
    with pytest.raises(UnreadableInput, match=said):
        read(tmp_path, body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"a":1}'.encode("utf-16"), "in.json: is UTF-16; Highbeam reads UTF-8"),
        ('{"a":1}'.encode("utf-16-le"), "in.json: is UTF-16"),
        (gzip.compress(b"{}", mtime=0), "in.json: is gzip; write compression: gzip"),
    ],
)
def test_what_is_no_json_at_all_is_found_at_planning(tmp_path: Path, body: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(tmp_path, body)


@pytest.mark.parametrize("body", [b"", BOM, b"\n\r\n", b"[]", b"[ ,\n]"])
def test_a_file_without_records(tmp_path: Path, body: bytes) -> None:
    assert read(tmp_path, body).offsets == []


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
@pytest.mark.parametrize("body", [b'{"a":1}\n{"a":"x"}\n{"a":3}', b'[{"a":1},\n{"a":"x"}, {"a":3}]'])
def test_compressed_files_read_as_plain_ones_do(
    tmp_path: Path, body: bytes, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    plain = read(tmp_path, body)
    packed = read(tmp_path, pack(body), name=f"in.json.{ending}")
    assert (packed.rows, packed.reasons, packed.raw) == (plain.rows, plain.reasons, plain.raw)


def test_a_long_record_is_cut_and_turned_away(tmp_path: Path) -> None:
    long = b'{"a":"' + b"x," * 500_000 + b'"}'
    for body in (b'{"a":1}\n' + long + b'\n{"a":3}', b'[{"a":1},' + long + b'  ,{"a":3}]'):
        path = tmp_path / "in.json"
        path.write_bytes(body)
        (split,) = cut(JSON, path, A, 1 << 30)
        (batch,) = JSON.read(split, A, 1000)
        assert batch.rows.column("a").to_pylist() == [1, 3]
        assert batch.rejected["reason"].to_pylist() == ["record_too_long"]
        raw, lengths = JSON.raw(batch.rejected["offset"].to_numpy(), split, 1000)
        assert (raw.to_pylist(), lengths.tolist()) == ([long[:1000]], [len(long)])


def test_a_file_is_only_looked_into_at_planning(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(b'{"a":1}\n' * 100)
    file = storage.stat(str(path))
    assert file is not None
    splits = list(JSON.splits(file, "in.json", A, 300))
    assert [(split.start, split.end) for split in splits] == [(0, 300), (300, 600), (600, 800)]
    assert JSON.can_cut("in.json")
    assert not JSON.can_cut("in.json.gz")
