"""Objects in a bucket: Amazon S3 and Google Cloud Storage, and whatever speaks their protocols."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from . import options
from .base import FileInfo, Sink, StorageError, join

SCHEMES = ("s3", "gs")
_BUFFER = 1 << 20
_AT_ONCE = 1000
_METADATA = "169.254.169.254"
"""Where a machine of either cloud is told its own credentials: the last place that is asked for some."""


class ObjectStore:
    """See `Store`; a folder is a prefix of names, and comes and goes with the objects in it.

    Args:
      bucket: `s3://name` or `gs://name`. Credentials, region and endpoint come from the environment, by the names
        the services' own tools use (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS and so on), or
        from the machine the process runs on.
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._store = _opened(bucket)

    def stat(self, path: str) -> FileInfo | None:
        """The object, with its ETag as mark."""
        if not self._key(path):
            return None
        with self._asked(path) as obstore:
            try:
                return self._described(obstore.head(self._store, self._key(path)))
            except FileNotFoundError:
                return None

    def children(self, folder: str) -> tuple[list[str], list[FileInfo]]:
        """Prefixes and objects directly below a prefix."""
        with self._asked(folder) as obstore:
            found = obstore.list_with_delimiter(self._store, self._key(folder) or None)
            return [join(self._bucket, name) for name in found["common_prefixes"]], [
                self._described(meta) for meta in found["objects"]
            ]

    def walk(self, folder: str) -> list[FileInfo]:
        """All objects below a prefix."""
        with self._asked(folder) as obstore:
            pages = obstore.list(self._store, self._key(folder) + "/", chunk_size=_AT_ONCE)
            return sorted((self._described(meta) for page in pages for meta in page), key=lambda file: file.path)

    def open_input(self, path: str) -> pa.NativeFile:
        """Opens an object for random access; reads ahead some megabytes."""
        with self._asked(path) as obstore:
            reader = obstore.open_reader(self._store, self._key(path), buffer_size=_BUFFER)
            return pa.PythonFile(_Input(reader), "r")

    def put(self, path: str, data: bytes | pa.Buffer) -> None:
        """One put of the finished bytes."""
        with self._asked(path) as obstore:
            obstore.put(self._store, self._key(path), memoryview(data).cast("B"), use_multipart=False)

    def create(self, path: str, data: bytes | pa.Buffer) -> bool:
        """One put on the condition that nothing is there."""
        with self._asked(path) as obstore:
            try:
                obstore.put(
                    self._store, self._key(path), memoryview(data).cast("B"), mode="create", use_multipart=False
                )
            except obstore.exceptions.AlreadyExistsError:
                return False
            return True

    def remove(self, path: str) -> None:
        """Removes an object; that there is none is a mistake to Cloud Storage alone, and not to us."""
        with self._asked(path) as obstore, suppress(FileNotFoundError):
            obstore.delete(self._store, self._key(path))

    def remove_tree(self, path: str) -> None:
        """Removes all objects below a prefix."""
        with self._asked(path) as obstore:
            for page in obstore.list(self._store, self._key(path) + "/", chunk_size=_AT_ONCE):
                names = [meta["path"] for meta in page]
                try:
                    obstore.delete(self._store, names)
                except FileNotFoundError:  # another remover was faster with some of them
                    for name in names:
                        self.remove(join(self._bucket, name))

    @contextmanager
    def writer(self, folder: str) -> Iterator[Sink]:
        """Writes a file of this machine, then puts it whole: a broken upload in parts leaves nothing that is seen."""
        with tempfile.NamedTemporaryFile(prefix="highbeam-") as raw:
            yield ObjectSink(self, folder, raw)  # type: ignore[arg-type]

    def upload(self, path: str, file: Path) -> None:
        """Puts a file of this machine, in parts where it is large."""
        with self._asked(path) as obstore:
            obstore.put(self._store, self._key(path), file)

    def unwritable(self, folder: str) -> str | None:
        """Why the bucket cannot be used, or None; whether it may be written to shows only in writing."""
        try:
            self.children(folder)
        except (StorageError, OSError) as error:
            return str(error)
        return None

    def _key(self, path: str) -> str:
        return path.removeprefix(self._bucket).strip("/")

    def _described(self, meta: Any) -> FileInfo:
        # A listing gives the ETag alone, so that a version or generation would differ from what a listing said.
        mark = (meta.get("e_tag") or "").strip('"') or str(meta["last_modified"])
        return FileInfo(join(self._bucket, meta["path"]), meta["size"], mark)

    @contextmanager
    def _asked(self, path: str) -> Iterator[Any]:
        """The library, its errors as ours; one about a name that is not there as it comes."""
        import obstore.exceptions

        try:
            yield obstore
        except FileNotFoundError:  # the library's own text goes over many lines
            raise FileNotFoundError(errno.ENOENT, "no such object", path) from None
        except (obstore.exceptions.BaseError, PermissionError) as error:
            raise StorageError(f"{path}: {_told(error)}") from error


class _Input(RawIOBase):
    """What pyarrow asks of a file, of the library's reader."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._reader.read(len(buffer))
        buffer[: len(data)] = memoryview(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())


class ObjectSink(Sink):
    """A file of this machine that becomes an object."""

    def __init__(self, store: ObjectStore, folder: str, raw: BinaryIO) -> None:
        super().__init__(folder, raw)
        self._store = store

    def _there(self, path: str) -> FileInfo | None:
        return self._store.stat(path)

    def _finish(self, path: str) -> None:
        self._store.upload(path, Path(self._raw.name))


@lru_cache(maxsize=16)
def _opened(bucket: str) -> Any:
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        return from_url(bucket, **options.for_obstore(bucket))
    except BaseError as error:  # credentials that cannot be read, for one
        raise StorageError(f"{bucket}: {_told(error)}") from error


def _told(error: Exception) -> str:
    """The first line of an error that came with many; or that the library looked for credentials to the last."""
    text = str(error)
    if _METADATA in text:
        return (
            "no credentials in the environment, and this machine has none of its own; set "
            "GOOGLE_APPLICATION_CREDENTIALS for gs://, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://"
        )
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
