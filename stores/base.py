"""What a store of objects is, and what an object being written is."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import RawIOBase
from typing import BinaryIO, Protocol

import pyarrow as pa

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class StorageError(ValueError):
    """A path that storage cannot serve, or a store that does not answer."""


@dataclass(frozen=True)
class FileInfo:
    """One object.

    Attributes:
      path: where it lies; opens as it is.
      size: bytes.
      mark: changes when the object does: locally its mtime in nanoseconds, else its ETag.
    """

    path: str
    size: int
    mark: str


class Store(Protocol):
    """Where objects lie. An object is written whole or not at all, so a reader never meets half of one."""

    def stat(self, path: str) -> FileInfo | None:
        """The object at `path`, or None where there is none (a folder is none)."""
        ...

    def children(self, folder: str) -> tuple[list[str], list[FileInfo]]:
        """Paths of the folders directly in a folder, and its objects; in any order."""
        ...

    def walk(self, folder: str) -> list[FileInfo]:
        """All objects in a folder and below, whatever their names, by path."""
        ...

    def open_input(self, path: str) -> pa.NativeFile:
        """Opens an object for random access."""
        ...

    def put(self, path: str, data: bytes | pa.Buffer) -> None:
        """Writes an object; replaces one that is there."""
        ...

    def create(self, path: str, data: bytes | pa.Buffer) -> bool:
        """Writes an object if there is none; of several that try at once exactly one does."""
        ...

    def remove(self, path: str) -> None:
        """Removes an object, if it is there."""
        ...

    def remove_tree(self, path: str) -> None:
        """Removes all objects in a folder and below; several may do so at once."""
        ...

    def writer(self, folder: str) -> AbstractContextManager[Sink]:
        """Writes an object whose name is known at its end."""
        ...

    def unwritable(self, folder: str) -> str | None:
        """Why a folder that may not exist yet cannot be written to, or None."""
        ...


class Sink(ABC):
    """An object being written, whose name is known only at its end.

    Attributes:
      file: what to write to; anything that takes a binary file does.
    """

    def __init__(self, folder: str, raw: BinaryIO) -> None:
        self.file = _HashingFile(raw)
        self._folder, self._raw = folder, raw

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
        self._raw.flush()
        os.fsync(self._raw.fileno())
        path = join(self._folder, name)
        there = self._there(path)
        if there and there.size != self.size:
            raise StorageError(
                f"{path} has {there.size} bytes where {self.size} belong: it was changed or damaged after "
                "it was written; remove it and run again"
            )
        if not there:
            self._finish(path)
        return path

    @abstractmethod
    def _there(self, path: str) -> FileInfo | None:
        """The object of that name, if there is one."""

    @abstractmethod
    def _finish(self, path: str) -> None:
        """Makes what was written the object at `path`."""


class _HashingFile(RawIOBase):
    """Passes bytes on and digests them."""

    def __init__(self, raw: BinaryIO) -> None:
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


def name_of(path: str) -> str:
    """The last segment of a path."""
    return posixpath.basename(path)
