"""Objects on this machine: files."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pyarrow import fs

from .base import FileInfo, Sink, name_of

ABANDONED_SECONDS = 3600.0
"""A passing file that was not written to for so long has no writer any more: who writes does so all the time."""
_LOCAL = fs.LocalFileSystem()
_PASSING = re.compile(r"\.[0-9a-f]{32}\.tmp")


class LocalStore:
    """See `Store`; paths are those of this machine."""

    def stat(self, path: str) -> FileInfo | None:
        """The file, with its mtime in nanoseconds as mark."""
        return _described(_LOCAL.get_file_info(path))

    def children(self, folder: str) -> tuple[list[str], list[FileInfo]]:
        """Folders and files directly in a folder."""
        with suppress(NotADirectoryError):
            infos = _LOCAL.get_file_info(fs.FileSelector(folder or ".", allow_not_found=True))
            if not folder:  # "./name" is not what was asked for
                infos = _LOCAL.get_file_info([name_of(info.path) for info in infos])
            folders = [info.path for info in infos if info.type == fs.FileType.Directory]
            return folders, [found for info in infos if (found := _described(info))]
        return [], []

    def walk(self, folder: str) -> list[FileInfo]:
        """All files in a folder and below."""
        selected = fs.FileSelector(folder or ".", recursive=True, allow_not_found=True)
        found = [_described(info) for info in _LOCAL.get_file_info(selected)]
        return sorted((file for file in found if file), key=lambda file: file.path)

    def open_input(self, path: str) -> pa.NativeFile:
        """Opens a file for random access."""
        return _LOCAL.open_input_file(path)

    def put(self, path: str, data: bytes | pa.Buffer) -> None:
        """Writes beside the path under a passing name, then renames."""
        with _temporary(path, data) as temporary:
            temporary.replace(path)

    def create(self, path: str, data: bytes | pa.Buffer) -> bool:
        """Writes beside the path under a passing name, then links, which fails where there is something."""
        with _temporary(path, data) as temporary:
            try:
                Path(path).hardlink_to(temporary)
            except FileExistsError:
                return False
        return True

    def remove(self, path: str) -> None:
        """Removes a file, if it is there."""
        Path(path).unlink(missing_ok=True)

    def remove_tree(self, path: str) -> None:
        """Removes a folder; two may do so at once."""
        folder = Path(path)
        while folder.is_dir():
            with suppress(FileNotFoundError):  # the other remover was faster with some of it
                shutil.rmtree(folder)

    @contextmanager
    def writer(self, folder: str) -> Iterator[Sink]:
        """Writes into the folder under a passing name, then renames; removes what killed writers left there."""
        temporary = _temporary_name(folder)
        _remove_abandoned(temporary.parent)
        try:
            with temporary.open("xb") as raw:
                yield LocalSink(self, folder, temporary, raw)
        finally:
            temporary.unlink(missing_ok=True)

    def unwritable(self, folder: str) -> str | None:
        """Why a folder that may not exist yet cannot be written to, or None."""
        place = Path(folder)
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir():
            return f"{place} is a file, not a folder"
        try:  # whether it may be written to shows only in writing: not all that looks like a folder takes files
            tempfile.TemporaryFile(dir=place).close()
        except OSError as error:
            return f"{place} is not writable: {error.strerror}"
        return None


class LocalSink(Sink):
    """A file being written."""

    def __init__(self, store: LocalStore, folder: str, temporary: Path, raw: BinaryIO) -> None:
        super().__init__(folder, raw)
        self._store, self._temporary = store, temporary

    def _there(self, path: str) -> FileInfo | None:
        return self._store.stat(path)

    def _finish(self, path: str) -> None:
        self._temporary.replace(path)


@contextmanager
def _temporary(path: str, data: bytes | pa.Buffer) -> Iterator[Path]:
    """The bytes, safe on disk under a passing name beside `path`."""
    temporary = _temporary_name(os.path.dirname(path))
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_name(folder: str) -> Path:
    """A name nobody else has; begins with a dot, so that neither listings nor globs show it."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    return place / f".{uuid.uuid4().hex}.tmp"


def _remove_abandoned(folder: Path) -> None:
    """Removes passing files of writers that were killed; another remover may be faster, or they may not be ours."""
    before = time.time() - ABANDONED_SECONDS
    with suppress(OSError):
        left = [name for name in os.listdir(folder) if _PASSING.fullmatch(name)]
        for name in left:
            with suppress(OSError):
                if os.path.getmtime(folder / name) < before:
                    os.unlink(folder / name)


def _described(info: fs.FileInfo) -> FileInfo | None:
    return FileInfo(info.path, info.size, str(info.mtime_ns)) if info.type == fs.FileType.File else None
