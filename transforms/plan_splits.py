"""Cuts a night's input into splits, and finds before launch what cannot work."""

from __future__ import annotations

import difflib
import os
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from .. import storage
from ..schemas.contract import Column, Contract
from ..schemas.errors import UsageError
from ..schemas.job import Source
from ..schemas.split import Split
from .convert_times import time_format
from .csv_header import Header, read_header
from .list_files import check_ready, list_files

MIB = 1 << 20
_MAX_PROBLEMS = 5
_SPLITS = 64


def plan_splits(source: Source, contract: Contract, folder: str, date: str | None) -> list[Split]:
    """Plans what is read: files in plan order, each cut at multiples of `split_size`, or of a size that fits them all.

    Compressed files are one split each. A file without records has none. Reads every file's header and nothing more.

    Args:
      source: what the job says.
      contract: the columns that every file must have.
      folder: the job's; relative paths start there.
      date: the night's, as YYYY-MM-DD; None, or another text, when no path names the date.

    Returns:
      Splits, numbered from 0. The same files give the same splits.

    Raises:
      UsageError: when the night is not ready, a file or column is missing, or the contract cannot be read from CSV.
    """
    check_csv(source, contract)
    check_ready(source.ready, folder, date)
    files = list_files(source.csv.path, folder, date, may_be_empty=source.min_rows == 0)
    split_size = source.split_size or fitting_size(sum(f.size for f in files if not _compression(source, f.path)))
    splits: list[Split] = []
    problems: list[str] = []
    for file in files:
        compression = _compression(source, file.path)
        try:
            header = read_header(file, compression, source.csv.delimiter)
            _check_columns(file.path, header, contract)
        except UsageError as error:
            problems.append(str(error))
            continue
        splits += _cut(file, header, compression, folder, split_size)
    if problems:
        more = len(problems) - _MAX_PROBLEMS
        raise UsageError("\n".join(problems[:_MAX_PROBLEMS] + ([f"… and {more} more files"] if more > 0 else [])))
    return [replace(split, number=number) for number, split in enumerate(splits)]


def fitting_size(total: int) -> int:
    """Bytes of a split where the job says nothing: enough splits to share out among the cores, none tiny or huge.

    It goes by the input alone, so that the splits, and the predictions' last bits, are the same on every machine.

    Args:
      total: bytes of all files that can be cut.
    """
    return min(max(total // _SPLITS // MIB, 1), 32) * MIB


def _compression(source: Source, path: str) -> str | None:
    gzip = source.csv.compression == "gzip" or (source.csv.compression == "infer" and path.endswith(".gz"))
    return "gzip" if gzip else None


def _cut(
    file: storage.FileInfo, header: Header, compression: str | None, folder: str, split_size: int
) -> Iterator[Split]:
    name = pathlib.PurePath(os.path.relpath(file.path, folder)).as_posix()
    whole = Split(0, file.path, name, file.size, file.mark, header.end, None, compression, header.names)
    if compression:
        if header.names:
            yield whole
        return
    start = header.end
    while start < file.size:
        end = min(file.size, (start // split_size + 1) * split_size)
        yield replace(whole, start=start, end=end)
        start = end


def _check_columns(path: str, header: Header, contract: Contract) -> None:
    if not header.names:
        return
    wanted = {name: column.source or name for name, column in contract.columns.items() if not column.optional}
    lacking = [_lacking(name, source, header.names) for name, source in wanted.items() if source not in header.names]
    if lacking:
        raise UsageError(f"{path}: the header lacks {', '.join(lacking)}; it has {', '.join(header.names)}")


def _lacking(name: str, source: str, names: Sequence[str]) -> str:
    alike = {known.strip().casefold(): known for known in names}
    near = difflib.get_close_matches(source.strip().casefold(), alike, 1)
    hint = f" (is it {alike[near[0]]!r}? then write from: {alike[near[0]]})" if near else ""
    return f"{source!r}{'' if source == name else f' for column {name}'}{hint}"


def check_csv(source: Source, contract: Contract) -> None:
    """Makes sure that the contract can be read from CSV files at all.

    Raises:
      UsageError: naming every column that cannot, and a delimiter that cannot be one.
    """
    problems = [f"column {name}: {problem}" for name, column in contract.columns.items()
                if (problem := _unreadable(column))]  # fmt: skip
    if not source.csv.delimiter.isascii() or source.csv.delimiter in '"\r\n':
        problems.append(f"source.csv.delimiter: {source.csv.delimiter!r} cannot stand between fields; "
                        "write one ASCII character that is neither a quote nor a line break")  # fmt: skip
    if problems:
        raise UsageError("\n".join(problems))


def _unreadable(column: Column) -> str | None:
    """Why no CSV field can be read into a column, or None."""
    if column.typed.is_list:
        return f"a CSV file holds no {column.type}; read one value a column, or the list as a string"
    try:
        if column.type in ("timestamp", "date"):
            time_format(column)
        if column.timezone is not None:
            pc.assume_timezone(pa.array([0]).cast(pa.timestamp("us")), column.timezone)
        if column.pattern is not None:
            pc.match_substring_regex(pa.array([""]), column.pattern)
    except (ValueError, pa.ArrowInvalid) as error:
        return str(error)
    return None
