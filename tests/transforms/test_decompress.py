from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam import storage
from highbeam.schemas.errors import UnreadableInput
from highbeam.schemas.split import Split
from highbeam.transforms.blocks import read_blocks
from highbeam.transforms.decompress import ENDINGS, MAGIC, decompressed
from highbeam.transforms.formats.text import compression_of


class _Kept(io.BytesIO):
    def close(self) -> None:
        """Arrow closes what it writes to."""


def zstd(data: bytes) -> bytes:
    sink = _Kept()
    with pa.CompressedOutputStream(pa.PythonFile(sink, "w"), "zstd") as stream:
        stream.write(data)
    return sink.getvalue()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "bz2": bz2.compress, "zstd": zstd, "xz": lzma.compress,
}  # fmt: skip
BODY = b"".join(b"%d,x%d\n" % (i, i * i * 7919 % 10007) for i in range(30_000))
KINDS = pytest.mark.parametrize("kind", COMPRESS)


def read(data: bytes, kind: str, size: int = 1 << 16) -> bytes:
    stream, found = decompressed(pa.BufferReader(data), kind), list[bytes]()
    while block := stream.read(size):
        assert len(block) <= size
        found.append(block)
    return b"".join(found)


@given(st.sampled_from(list(COMPRESS)), st.lists(st.binary(max_size=99), min_size=1, max_size=4), st.integers(1, 40))
def test_members_are_read_as_one(kind: str, parts: list[bytes], size: int) -> None:
    assert read(b"".join(map(COMPRESS[kind], parts)), kind, size) == b"".join(parts)


@pytest.mark.parametrize("kind", ["gzip", "bz2", "xz"])
def test_zero_bytes_after_a_member_are_padding(kind: str) -> None:
    member = COMPRESS[kind](BODY)
    assert read(member + b"\0" * 200_000 + member + b"\0" * 512, kind) == BODY + BODY


@KINDS
@pytest.mark.parametrize("rest", [b"x", b"not a stream at all", b"\0\0\0\0rows,that,were\n" * 9999])
def test_what_is_no_member_is_damage(kind: str, rest: bytes) -> None:
    with pytest.raises(OSError, match=f"(damaged|truncated) {kind}: "):
        read(COMPRESS[kind](BODY) + rest, kind)


@KINDS
@given(data=st.data())
def test_a_stream_cut_anywhere_says_so(kind: str, data: st.DataObject) -> None:
    whole = COMPRESS[kind](BODY[:3000]) * 2
    at = data.draw(st.integers(1, len(whole) - 1).filter(lambda at: at != len(whole) // 2))
    with pytest.raises(OSError, match=f"truncated {kind}"):
        read(whole[:at], kind)


@KINDS
@given(data=st.data())
def test_any_bytes_end_in_bytes_or_one_error(kind: str, data: st.DataObject) -> None:
    whole = bytearray(COMPRESS[kind](BODY[:2000]))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    with suppress(OSError):
        read(bytes(whole) + data.draw(st.binary(max_size=9)), kind)


@KINDS
def test_a_truncated_file_is_unreadable_and_says_how_far_it_went(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.{kind}"
    path.write_bytes(COMPRESS[kind](BODY) + COMPRESS[kind](BODY)[:-20])
    file = storage.stat(str(path))
    assert file is not None
    split, got = Split(0, file.path, path.name, file.size, file.mark, 5, None, kind), list[bytes]()
    said = rf"in\.{kind}: cannot be read past byte [1-9][0-9,]*: truncated"
    with pytest.raises(UnreadableInput, match=said) as caught:
        got.extend(read_blocks(split, 5))
    # `extend` keeps what came before the error
    assert (BODY + BODY)[5:].startswith(b"".join(got))
    assert f"past byte {5 + sum(map(len, got)):,}:" in str(caught.value)


@KINDS
def test_the_ending_tells_and_the_beginning_too(kind: str) -> None:
    ending = next(ending for ending, known in ENDINGS.items() if known == kind)
    assert compression_of(f"a/in.csv{ending}", "infer") == compression_of(f"IN.CSV{ending.upper()}", "infer") == kind
    assert compression_of("a/in.csv", kind) == kind
    assert compression_of(f"a/in.csv{ending}", "none") is compression_of(f"in{ending}.csv", "infer") is None
    assert [known for magic, known in MAGIC.items() if COMPRESS[kind](b"").startswith(magic)] == [kind]
