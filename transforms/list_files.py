"""The files a night's paths mean: dates filled in, globs matched, each file once."""

from __future__ import annotations

from collections.abc import Sequence

from .. import storage
from ..schemas.errors import UsageError
from ..schemas.layout import fill_date, has_date, resolve


def list_files(
    paths: Sequence[str], folder: str, date: str | None, may_be_empty: bool = False
) -> list[storage.FileInfo]:
    """Lists the files of a night in plan order: paths in the order given, a glob's files by name, each file once.

    Args:
      paths: files and globs, relative to `folder` unless they are absolute; may name the date.
      folder: the job's.
      date: the night's, as YYYY-MM-DD.
      may_be_empty: whether a glob may match nothing.

    Raises:
      UsageError: when there is nothing, with every path that names nothing.
    """
    found: dict[str, storage.FileInfo] = {}
    problems = []
    for path in paths:
        full = dated(path, folder, date)
        files = _find(path, folder, date)
        if not files and not storage.has_wildcard(path):
            problems.append(f"{full}: no such file; correct the path, or wait for the file")
        elif not files and not may_be_empty:
            a_night = ", or say min_rows: 0 if a night may be empty" if date else ""  # training and joins have none
            problems.append(f"{full}: matches no file; correct the path{a_night}")
        for file in files:
            found.setdefault(file.path, file)
    if problems:
        raise UsageError("\n".join(problems))
    return list(found.values())


def check_ready(ready: str | None, folder: str, date: str | None) -> None:
    """Makes sure that the night is due.

    Raises:
      UsageError: when the file that says so does not exist.
    """
    if ready and not _find(ready, folder, date):
        full = dated(ready, folder, date)
        raise UsageError(f"{full}: not there, so the night is not ready (source.ready); run again when it is")


def dated(path: str, folder: str, date: str | None) -> str:
    """A path of the job with the night's date in it.

    Raises:
      UsageError: when the path names the date, and `date` is none.
    """
    if has_date(path):
        try:
            path = fill_date(path, date or "")
        except ValueError:
            found = f"{date!r} is not a date" if date else "no date is given"
            raise UsageError(f"{path}: the path needs the night's date, and {found}; say --date YYYY-MM-DD") from None
    return resolve(folder, path)


def _find(path: str, folder: str, date: str | None) -> list[storage.FileInfo]:
    """The files of one path; only what the job says is a pattern, not the name of the folder it lies in."""
    try:
        if storage.has_wildcard(path):
            return storage.find(dated(path, storage.escape(folder), date))
        found = storage.stat(dated(path, folder, date))
        return [found] if found else []
    except storage.StorageError as error:
        raise UsageError(str(error)) from error
