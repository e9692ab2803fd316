"""Cuts a night's input into splits, and finds before launch what cannot work."""

from __future__ import annotations

import os
import pathlib
from dataclasses import replace

from ..schemas.contract import Contract
from ..schemas.errors import UsageError
from ..schemas.layout import is_url
from ..schemas.sources import Inputs, Source
from ..schemas.split import Split
from .formats.choose import format_of
from .list_files import check_ready, list_files

MIB = 1 << 20
_MAX_PROBLEMS = 5
_SPLITS = 64


def plan_splits(source: Source, contract: Contract, folder: str, date: str | None) -> list[Split]:
    """Plans what is read: files in plan order, each cut by its format to about `split_size`, or a size that fits them.

    A file without records has no split. Of a file is read what cutting it needs: headers and footers.

    Args:
      source: what the job says.
      contract: the columns that every file must have.
      folder: the job's; relative paths start there.
      date: the night's, as YYYY-MM-DD; None, or another text, when no path names the date.

    Returns:
      Splits, numbered from 0. The same files give the same splits.

    Raises:
      UsageError: when the night is not ready, a file or column is missing, or the contract cannot be read from such
        files.
    """
    check_source(source, contract)
    check_ready(source.ready, folder, date)
    format = format_of(source)
    files = list_files(source.files.path, folder, date, may_be_empty=source.min_rows == 0)
    split_size = source.split_size or fitting_size(sum(file.size for file in files if format.can_cut(file.path)))
    splits: list[Split] = []
    problems: list[str] = []
    for file in files:
        try:
            splits += format.splits(file, _name(file.path, folder), contract, split_size)
        except UsageError as error:
            problems.append(str(error))
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


def _name(path: str, folder: str) -> str:
    if is_url(path):
        return path
    return pathlib.PurePath(os.path.relpath(path, folder)).as_posix()


def check_source(source: Inputs, contract: Contract) -> None:
    """Makes sure that the contract can be read from such files at all.

    Raises:
      UsageError: naming every column that cannot, and every option that cannot be meant.
    """
    if problems := list(format_of(source).problems(contract)):
        raise UsageError("\n".join(problems))
