"""What all text files share: compression, cutting, and the columns that no text can be read into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...schemas.contract import Column
from ...schemas.split import Split
from ..convert_times import time_format
from ..decompress import ENDINGS


def compression_of(path: str, option: str) -> str | None:
    """How a file is compressed: gzip, bz2, zstd, xz or None.

    Args:
      path: the file's; with `infer` its ending decides.
      option: as job.yaml says it.
    """
    if option == "infer":
        return next((known for ending, known in ENDINGS.items() if path.lower().endswith(ending)), None)
    return None if option == "none" else option


def cut_text(whole: Split, split_size: int) -> Iterator[Split]:
    """Cuts a split of a whole file at multiples of `split_size`; one that is compressed stays whole."""
    if whole.compression:
        yield whole
        return
    start = whole.start
    while start < whole.size:
        end = min(whole.size, (start // split_size + 1) * split_size)
        yield replace(whole, start=start, end=end)
        start = end


def unreadable(column: Column) -> str | None:
    """Why no text can be read into a column, or None: a time format that is none."""
    try:
        if column.type in ("timestamp", "date"):
            time_format(column)
    except ValueError as error:
        return str(error)
    return None
