"""JSON files, and what becomes of their records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from highbeam.schemas.contract import Contract
from highbeam.schemas.reasons import REASONS
from highbeam.schemas.sources import Json
from highbeam.transforms.formats.json_files import JsonFormat

from tests.support.csv_files import contract
from tests.support.reading import Found, read_whole

JSON = JsonFormat(Json(path=("in.json",)))
A = contract({"a": {"type": "int64", "nullable": True}})
BOM = b"\xef\xbb\xbf"


def read(folder: Path, body: bytes, what: Contract = A, name: str = "in.json", split_size: int = 1 << 20) -> Found:
    path = folder / name
    path.write_bytes(body)
    return read_whole(JSON, path, what, split_size)


def fates(found: Found) -> list[Any]:
    """What became of each record, in order: its values, or its reason."""
    assert set(found.reasons.values()) <= set(REASONS)
    rows = {offset: tuple(row.values()) for offset, row in found.rows.items()}
    return [fate for _, fate in sorted((rows | found.reasons).items())]


def fate(folder: Path, record: bytes, what: Contract = A) -> Any:
    """What becomes of one record: alone, among sound ones, and among unsound ones, as a line and as an element."""
    found = [fates(read(folder, record, what))] if not record.lstrip().startswith(b"[") else []
    found += [fates(read(folder, b"{}\n" + record + rest, what))[1:2] for rest in (b"\n{}", b"\r\n!\n{}", b"")]
    assert all(repr(one) == repr(found[0]) for one in found)
    return found[0][0]
