"""Versions that lie in a bucket, as folders of this machine: TensorFlow loads those best."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .. import storage
from ..schemas.layout import is_url

CLAIM = ".claimed"
"""The object that claims a number in a bucket, where no folder can be renamed in; no file of the version."""


def cache_folder(*parts: str) -> str:
    """A folder for what can be fetched or made again: below XDG_CACHE_HOME, else ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(root, "highbeam", *parts)


def here(folder: str) -> str:
    """A folder of this machine with the same files: the folder itself, or a copy of one in a bucket.

    A copy is kept for the next process. It is one of exactly the objects that are there now, since their marks decide
    where it lies; so it never has to be looked at again.

    Args:
      folder: of a version, which never changes once written.
    """
    if not is_url(folder):
        return folder
    found = [file for file in storage.walk(folder) if not file.path.endswith(f"/{CLAIM}")]
    whole = hashlib.sha256(repr([(file.path, file.size, file.mark) for file in found]).encode()).hexdigest()
    copy = Path(cache_folder("versions", whole[:32]))
    if not copy.is_dir():
        _fetch(folder, found, copy)
    return str(copy)


def _fetch(folder: str, files: Sequence[storage.FileInfo], copy: Path) -> None:
    """Copies objects into a folder that appears whole; of several processes that try, any may win."""
    building = copy.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        for file in files:
            target = building / file.path.removeprefix(f"{folder}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with storage.open_input(file.path) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
        with suppress(OSError):  # another one's is as good
            building.rename(copy)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def send(building: str, folder: str, last: Sequence[str]) -> None:
    """Copies a folder of this machine to a bucket.

    Args:
      building: the folder.
      folder: where its files go.
      last: names of the files without which nobody takes it for complete; they are written last, in this order.
    """
    names = [path.relative_to(building).as_posix() for path in sorted(Path(building).rglob("*")) if path.is_file()]
    for name in [*(name for name in names if name not in last), *(name for name in last if name in names)]:
        place, _, base = storage.join(folder, name).rpartition("/")
        with Path(building, name).open("rb") as source, storage.writer(place) as sink:
            shutil.copyfileobj(source, sink.file, 1 << 20)
            sink.commit(base)
