"""Where objects lie and how they are written: one thin layer on pyarrow.fs.

An object is written whole or not at all, so a reader never meets half of one. Paths are those of this
machine; object stores (`s3://…`) are recognised and refused until they are built.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import posixpath
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pyarrow import fs

_LOCAL = fs.LocalFileSystem()
_WILDCARD = re.compile(r"[*?\[]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class StorageError(ValueError):
    """A path that storage cannot serve."""


@dataclass(frozen=True)
class FileInfo:
    """One object.

    Attributes:
      path: where it lies; opens as it is.
      size: bytes.
      mark: changes when the object does (locally its mtime in nanoseconds).
    """

    path: str
    size: int
    mark: str


def scheme(path: str) -> str | None:
    """The `s3` of `s3://…`, or None for a path of this machine."""
    match = _SCHEME.match(path)
    return match[1] if match else None


def join(base: str, *parts: str) -> str:
    """Joins path segments; a part that is absolute or a URL starts afresh."""
    path = base
    for part in parts:
        path = part if scheme(part) else posixpath.join(path, part)
    return path


def has_wildcard(path: str) -> bool:
    """Whether `find` treats the path as a pattern."""
    return bool(_WILDCARD.search(path))


def escape(path: str) -> str:
    """The pattern that matches just this path, whatever characters its names hold."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def stat(path: str) -> FileInfo | None:
    """The object at `path`, or None where there is none (a folder is none)."""
    return _described(_LOCAL.get_file_info(_local(path)))


def exists(path: str) -> bool:
    """Whether an object lies at `path`."""
    return stat(path) is not None


def listing(folder: str) -> list[FileInfo]:
    """The objects directly in a folder, by path; none where there is no folder.

    Names with a leading dot are left out: they are objects still being written.
    """
    found = [_described(info) for info in _children(_local(folder))]
    return sorted((f for f in found if f and not _name(f.path).startswith(".")), key=lambda f: f.path)


def find(pattern: str) -> list[FileInfo]:
    """The objects a glob matches, by path.

    Args:
      pattern: `*`, `?` and `[…]` match within a segment, a segment `**` any number of folders. Names with a
        leading `.` or `_` match only where the pattern's segment begins with that character too. A path
        without wildcards matches the object it names.
    """
    root, segments = _fixed_root(_local(pattern))
    found = {path: stat(path) for path in _expand(root, segments)}
    return [found[path] for path in sorted(found) if found[path]]  # type: ignore[misc]


def open_input(path: str) -> pa.NativeFile:
    """Opens an object for random access."""
    return _LOCAL.open_input_file(_local(path))


def read(path: str) -> bytes:
    """All bytes of an object."""
    with open_input(path) as file:
        return bytes(file.read())


def put(path: str, data: bytes | pa.Buffer) -> None:
    """Writes an object, whole or not at all; replaces one that is there. Makes the folders."""
    with _temporary(path, data) as temporary:
        temporary.replace(path)


def create(path: str, data: bytes | pa.Buffer) -> bool:
    """Writes an object if there is none; of several that try at once exactly one does.

    Returns:
      Whether this call wrote it.
    """
    with _temporary(path, data) as temporary:
        try:
            Path(path).hardlink_to(temporary)
        except FileExistsError:
            return False
    return True


def remove(path: str) -> None:
    """Removes an object, if it is there."""
    Path(_local(path)).unlink(missing_ok=True)


def remove_tree(path: str) -> None:
    """Removes a folder and all in it, if it is there; two may do so at once."""
    folder = Path(_local(path))
    while folder.is_dir():
        with suppress(FileNotFoundError):  # the other remover was faster with some of it
            shutil.rmtree(folder)


class Sink:
    """An object being written, whose name is known only at its end.

    Attributes:
      file: what to write to; anything that takes a binary file does.
    """

    def __init__(self, folder: str, temporary: Path, raw: BinaryIO):
        self.file = _HashingFile(raw)
        self._folder, self._temporary, self._raw = folder, temporary, raw

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes written so far."""
        return self.file.digest.hexdigest()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self.file.size

    def commit(self, name: str) -> str:
        """Makes the object visible as `name`, which ought to carry its digest.

        An object of that name and size is taken for the same one and left alone.

        Returns:
          Its path.

        Raises:
          StorageError: when an object of that name and another size is there.
        """
        _sync(self._raw)
        path = join(self._folder, name)
        there = stat(path)
        if there and there.size != self.size:
            raise StorageError(
                f"{path} has {there.size} bytes where {self.size} belong: it was changed or damaged after "
                "it was written; remove it and run again"
            )
        if not there:
            self._temporary.replace(path)
        return path


@contextmanager
def writer(folder: str) -> Iterator[Sink]:
    """Writes a new object into a folder under a name chosen at the end, in bounded memory.

    Nothing is left behind unless `Sink.commit` was called.

    Example:
      with storage.writer(folder) as sink:
          pq.write_table(table, sink.file)
          path = sink.commit(f"{sink.sha256[:16]}.parquet")
    """
    temporary = _temporary_name(_local(folder))
    try:
        with temporary.open("xb") as raw:
            yield Sink(folder, temporary, raw)
    finally:
        temporary.unlink(missing_ok=True)


class _HashingFile(RawIOBase):
    """Passes bytes on and digests them."""

    def __init__(self, raw: BinaryIO):
        self.digest, self.size, self._raw = hashlib.sha256(), 0, raw

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        view = memoryview(data).cast("B")
        self._raw.write(view)
        self.digest.update(view)
        self.size += view.nbytes
        return view.nbytes


def unwritable(folder: str) -> str | None:
    """Why a folder that may not exist yet cannot be written to, or None."""
    place = Path(_local(folder))
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return f"{place} is a file, not a folder"
    return None if os.access(place, os.W_OK | os.X_OK) else f"{place} is not writable"


def _local(path: str) -> str:
    if name := scheme(path):
        raise StorageError(f"{path}: object stores ({name}://) are not available yet; give a local path")
    return path


@contextmanager
def _temporary(path: str, data: bytes | pa.Buffer) -> Iterator[Path]:
    """The bytes, safe on disk under a passing name beside `path`."""
    temporary = _temporary_name(posixpath.dirname(_local(path)))
    try:
        with temporary.open("xb") as file:
            file.write(data)
            _sync(file)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_name(folder: str) -> Path:
    """A name nobody else has; begins with a dot, so that neither listings nor globs show it."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    return place / f".{uuid.uuid4().hex}.tmp"


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _name(path: str) -> str:
    return posixpath.basename(path)


def _described(info: fs.FileInfo) -> FileInfo | None:
    return FileInfo(info.path, info.size, str(info.mtime_ns)) if info.type == fs.FileType.File else None


def _children(folder: str) -> list[fs.FileInfo]:
    infos = _LOCAL.get_file_info(fs.FileSelector(folder or ".", allow_not_found=True))
    if not folder:  # "./name" is not what was asked for
        return _LOCAL.get_file_info([_name(info.path) for info in infos])  # type: ignore[no-any-return]
    return infos  # type: ignore[no-any-return]


def _fixed_root(pattern: str) -> tuple[str, list[str]]:
    """Cuts a pattern into the folder before its first wildcard and the segments after."""
    segments = pattern.split("/")
    first = next((i for i, segment in enumerate(segments) if has_wildcard(segment)), len(segments))
    root = "/".join(segments[:first])
    return root or ("/" if pattern.startswith("/") else ""), segments[first:]


def _expand(path: str, segments: list[str]) -> Iterator[str]:
    """Paths below `path` that the segments match; only their names, not whether they are objects."""
    if not segments:
        yield path
        return
    segment, rest = segments[0], segments[1:]
    if not has_wildcard(segment):
        yield from _expand(join(path, segment), rest)
        return
    if segment == "**":
        yield from _expand(path, rest or ["*"])
    for child in _matching(path, segment):
        is_folder = child.type == fs.FileType.Directory
        if segment == "**" and is_folder:
            yield from _expand(child.path, segments)
        elif segment != "**" and (is_folder or not rest):
            yield from _expand(child.path, rest)


def _matching(folder: str, segment: str) -> list[fs.FileInfo]:
    wanted = re.compile(fnmatch.translate("*" if segment == "**" else segment))
    children: list[fs.FileInfo] = []
    with suppress(NotADirectoryError):
        children = _children(folder)
    hidden = tuple({".", "_"} - {segment[0]})
    return [c for c in children if wanted.match(_name(c.path)) and not _name(c.path).startswith(hidden)]
