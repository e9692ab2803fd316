"""Log files on disk, read without a planner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from highbeam import storage
from highbeam.schemas.batch import Batch
from highbeam.schemas.contract import Contract
from highbeam.schemas.reasons import REASONS
from highbeam.schemas.sources import Log
from highbeam.schemas.split import Split
from highbeam.transforms.formats.log_files import LogFormat

from tests.support.csv_files import contract, rejected, rows

MAX = 1 << 20
NAMES = ("host", "ident", "user", "time", "request", "method", "path", "protocol", "status", "bytes", "referer",
         "user_agent")  # fmt: skip
TEXTS = contract({name: {"type": "string", "nullable": True} for name in NAMES})
USUAL = (
    '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 '
    '"http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"'
)
HEAD, TAIL = '::1 - - [10/Oct/2000:13:55:36 -0700] "', '" 400 - "-" "-"'


def log(format: str | None = "combined", pattern: str | None = None, **options: Any) -> LogFormat:
    return LogFormat(Log(path=("a.log",), format=format, pattern=pattern, **options))


def write(folder: Path, body: bytes, format: LogFormat, what: Contract = TEXTS, name: str = "a.log") -> list[Split]:
    path = folder / name
    path.write_bytes(body)
    file = storage.stat(str(path))
    assert file is not None
    return list(format.splits(file, name, what, 1 << 20))


def read(splits: list[Split], format: LogFormat, what: Contract = TEXTS, limit: int = MAX) -> list[Batch]:
    return [batch for split in splits for batch in format.read(split, what, limit)]


def fates(batches: list[Batch]) -> dict[int, Any]:
    """Offset of each record -> its values, or why it was turned away."""
    found: dict[int, Any] = {row.pop("_offset"): row for row in rows(batches).to_pylist()} if batches else {}
    for row in rejected(batches).to_pylist() if batches else []:
        assert row["offset"] not in found
        assert row["reason"] in REASONS
        found[row["offset"]] = (row["reason"], row["message"], row["key"])
    assert sum(batch.read for batch in batches) == len(found)
    return dict(sorted(found.items()))


def fate(folder: Path, line: str | bytes, format: LogFormat | None = None, what: Contract = TEXTS) -> Any:
    """What becomes of one line."""
    format = format or log()
    body = line.encode() if isinstance(line, str) else line
    (found,) = fates(read(write(folder, body, format, what), format, what)).values()
    return found


def reason(found: Any) -> Any:
    return found[0] if isinstance(found, tuple) else found
