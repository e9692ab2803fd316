"""Where objects lie and how they are written: one thin layer over files and buckets.

An object is written whole or not at all, so a reader never meets half of one. A path is one of this machine, or
`s3://bucket/name` or `gs://bucket/name`.
"""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager

import pyarrow as pa

from .stores import globs, options
from .stores.base import FileInfo, Sink, StorageError, Store, join, name_of, scheme
from .stores.globs import has_wildcard
from .stores.local import LocalStore
from .stores.objects import SCHEMES, ObjectStore

__all__ = ["SCHEMES", "FileInfo", "Sink", "StorageError", "has_wildcard", "join", "scheme"]

_LOCAL = LocalStore()


def escape(path: str) -> str:
    """The pattern that matches just this path, whatever characters its names hold."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def stat(path: str) -> FileInfo | None:
    """The object at `path`, or None where there is none (a folder is none)."""
    return _store(path).stat(path)


def exists(path: str) -> bool:
    """Whether an object lies at `path`."""
    return stat(path) is not None


def listing(folder: str) -> list[FileInfo]:
    """The objects directly in a folder, by path; none where there is no folder.

    Names with a leading dot are left out: they are objects still being written.
    """
    _, found = _store(folder).children(folder)
    return sorted((f for f in found if not name_of(f.path).startswith(".")), key=lambda f: f.path)


def folders(folder: str) -> list[str]:
    """Names of the folders directly in a folder, sorted; none where there is no folder."""
    return sorted(name_of(path) for path in _store(folder).children(folder)[0])


def walk(folder: str) -> list[FileInfo]:
    """All objects in a folder and below, whatever their names, by path; none where there is no folder."""
    return _store(folder).walk(folder)


def find(pattern: str) -> list[FileInfo]:
    """The objects a glob matches, by path.

    Args:
      pattern: `*`, `?` and `[…]` match within a segment, a segment `**` any number of folders. Names with a
        leading `.` or `_` match only where the pattern's segment begins with that character too. A path
        without wildcards matches the object it names.
    """
    return globs.find(_store(pattern), pattern)


def open_input(path: str) -> pa.NativeFile:
    """Opens an object for random access."""
    return _store(path).open_input(path)


def read(path: str) -> bytes:
    """All bytes of an object."""
    with open_input(path) as file:
        return bytes(file.read())


def read_text(path: str) -> str:
    """The text of an object that a person wrote, without the byte order mark that some editors put before it.

    Raises:
      StorageError: a sentence that begins with the path.
    """
    try:
        return read(path).decode("utf-8-sig")
    except FileNotFoundError:
        said = "no such file"
    except UnicodeDecodeError as error:
        said = f"is not UTF-8, at byte {error.start:,}"
    except OSError as error:
        told = os.strerror(error.errno) if error.errno else str(error)
        said = "is a folder; name a file" if os.path.isdir(path) else f"cannot be read: {told}"
    raise StorageError(f"{path}: {said}")


def put(path: str, data: bytes | pa.Buffer) -> None:
    """Writes an object, whole or not at all; replaces one that is there. Makes the folders."""
    _store(path).put(path, data)


def create(path: str, data: bytes | pa.Buffer) -> bool:
    """Writes an object if there is none; of several that try at once exactly one does.

    Returns:
      Whether this call wrote it.
    """
    return _store(path).create(path, data)


def remove(path: str) -> None:
    """Removes an object, if it is there."""
    _store(path).remove(path)


def remove_tree(path: str) -> None:
    """Removes a folder and all in it, if it is there; two may do so at once."""
    _store(path).remove_tree(path)


def writer(folder: str) -> AbstractContextManager[Sink]:
    """Writes a new object into a folder under a name chosen at the end, in bounded memory.

    Nothing is left behind unless `Sink.commit` was called.

    Example:
      with storage.writer(folder) as sink:
          pq.write_table(table, sink.file)
          path = sink.commit(f"{sink.sha256[:16]}.parquet")
    """
    return _store(folder).writer(folder)


def delta_options(path: str) -> dict[str, str]:
    """What delta-rs has to be told of the store that a table lies in, to reach it as this module does."""
    return options.for_delta(path)


def unwritable(folder: str) -> str | None:
    """Why a folder that may not exist yet cannot be written to, or None."""
    return _store(folder).unwritable(folder)


def _store(path: str) -> Store:
    name = scheme(path)
    if name is None:
        return _LOCAL
    if name not in SCHEMES:
        raise StorageError(f"{path}: no store is known for {name}://; give a local path, s3:// or gs://")
    return ObjectStore("/".join(path.split("/")[:3]))
