"""Numbered versions in a folder: `<root>/<version>/`, for models and for transform graphs alike.

A model's version is laid out as TensorFlow Serving wants it, with the transform graph it was trained behind beside it.
That layout cannot tell a version that is complete from one still being copied, so `model.yaml`, written last, may list
the files; a version of ours appears whole, by renaming its folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .. import storage
from ..schemas.errors import NotAvailable, UsageError
from ..schemas.layout import is_url
from .mirror import CLAIM, cache_folder, here, send

MANIFEST = "model.yaml"
TRANSFORM = "transform_fn"
"""The folder of a tft.TFTransformOutput, or of a model's version, in which the graph lies."""


@dataclass(frozen=True)
class Kind:
    """What is numbered.

    Attributes:
      noun: what messages call it.
      marker: the file without which it is not complete.
      remedy: what makes one.
    """

    noun: str
    marker: str
    remedy: str


MODELS = Kind("model", "saved_model.pb", "run `highbeam package`, or copy a SavedModel to <version>/")
TRANSFORMS = Kind("transform graph", f"{TRANSFORM}/saved_model.pb", "run `highbeam analyze`")


@dataclass(frozen=True)
class Version:
    """One version, complete.

    Attributes:
      path: its folder.
      number: its number.
      meta: what its model.yaml says; empty without one.
    """

    path: str
    number: int
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def transform(self) -> str | None:
        """The tft.TFTransformOutput folder in it, or None: the version's own folder."""
        return self.path if storage.exists(storage.join(self.path, TRANSFORM, "saved_model.pb")) else None

    @property
    def digest(self) -> str:
        """SHA-256 of what is in it, model.yaml apart; see `digest`."""
        return digest(self.path, self.meta.get("files", {}))


def versions(root: str, kind: Kind = MODELS) -> list[Version]:
    """The complete versions in a folder, by number."""
    found = (_version(root, number, kind) for number in _numbers(root))
    return [version for version in found if isinstance(version, Version)]


def resolve(root: str, version: str = "latest", kind: Kind = MODELS) -> Version:
    """Finds a version.

    Args:
      root: the folder of versions.
      version: a number, or `latest`: the greatest that is complete. (`published` is a matter of the table: the caller
        puts the number it finds there.)
      kind: what the versions are.

    Raises:
      UsageError: when it is not there, or not complete; says what is.
      NotAvailable: when `version` is a label.
    """
    if version != "latest" and not version.isdigit():
        raise NotAvailable(f"{kind.noun} version {version!r}: labels are not available yet; give a number or latest")
    wanted = sorted(_numbers(root), reverse=True) if version == "latest" else [int(version)]
    refused = []
    for number in wanted:
        found = _version(root, number, kind)
        if isinstance(found, Version):
            return found
        refused.append(found)
    raise UsageError("; ".join([*refused, _there(root, kind)]))


def _there(root: str, kind: Kind) -> str:
    numbers = ", ".join(str(version.number) for version in versions(root, kind))
    if numbers:
        return f"{root} holds {kind.noun} versions {numbers}"
    what = "holds no complete" if storage.walk(root) or Path(root).is_dir() else "does not exist, so there is no"
    return f"{root} {what} {kind.noun}: {kind.remedy}"


def _numbers(root: str) -> list[int]:
    """Numbers of the folders that are numbers, complete or not, ascending."""
    names = storage.folders(root)
    return sorted(int(name) for name in names if name.isdigit() and str(int(name)) == name)


def _version(root: str, number: int, kind: Kind) -> Version | str:
    """A version, or why it is none."""
    path = storage.join(root, str(number))
    if str(number) not in storage.folders(root):
        return f"{path} does not exist"
    if not storage.exists(storage.join(path, kind.marker)):
        return f"{path} is not complete: it has no {kind.marker}"
    manifest = storage.join(path, MANIFEST)
    if not storage.exists(manifest):
        return Version(path, number)
    try:
        meta = yaml.safe_load(storage.read(manifest).decode())
        files = dict(meta["files"])
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, ValueError) as error:
        return f"{manifest} cannot be read: {error!r}"
    copy = Path(here(path))
    wrong = [name for name, expected in sorted(files.items()) if _file_digest(copy / name) != expected]
    if wrong:
        return f"{path} is not complete: {', '.join(wrong[:3])} missing or changed since {MANIFEST} was written"
    return Version(path, number, meta)


def write_version(
    root: str,
    build: Callable[[str], None],
    meta: Mapping[str, Any] | None = None,
    kind: Kind = MODELS,
) -> Version:
    """Writes the next version; it appears whole, and never in place of another.

    Args:
      root: the folder of versions; made if it is not there.
      build: writes the version's files into the folder it is given.
      meta: what model.yaml shall say beside the files' digests; None writes no model.yaml.
      kind: what the version is.

    Returns:
      The version. Of two writers at once, each gets a number of its own.

    Raises:
      UsageError: when `build` leaves no complete version.
    """
    taken = _numbers(root)
    building = Path(cache_folder("building") if is_url(root) else root) / f".{uuid.uuid4().hex}.tmp"
    building.mkdir(parents=True)
    try:
        build(str(building))
        if not (building / kind.marker).is_file():
            raise UsageError(f"nothing to number in {root}: {kind.marker} is missing from what was built")
        if meta is not None:
            meta = {**meta, "files": {name: _file_digest(building / name) for name in _files(building)}}
            (building / MANIFEST).write_text(yaml.safe_dump(meta, sort_keys=False), encoding="utf-8")
        _sync(building)
        put = _send if is_url(root) else _rename
        number = put(building, root, max(taken, default=0) + 1, kind)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Version(storage.join(root, str(number)), number, meta or {})


def _send(building: Path, root: str, number: int, kind: Kind) -> int:
    """Copies a folder into a bucket, under the first number that nobody has claimed."""
    while not storage.create(storage.join(root, str(number), CLAIM), b""):
        number += 1
    send(str(building), storage.join(root, str(number)), [kind.marker, MANIFEST])
    return number


def _rename(building: Path, root: str, number: int, kind: Kind) -> int:
    """Renames a folder to the first number that is free; a folder with files in it is never replaced."""
    while True:
        target = Path(root) / str(number)
        try:
            if not target.exists():
                building.rename(target)
                _sync_folder(Path(root))
                return number
        except OSError:
            if not target.exists():
                raise
        number += 1


def digest(folder: str, known: Mapping[str, str] | None = None) -> str:
    """SHA-256 over the sorted (relative path, SHA-256 of its bytes) of all files, model.yaml apart.

    Args:
      folder: where the files lie.
      known: digests of files that were just looked at, by relative path.
    """
    whole, copy = hashlib.sha256(), Path(here(folder))
    for name in _files(copy):
        found = (known or {}).get(name) or _file_digest(copy / name)
        whole.update(f"{name}\0{found}\n".encode())
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[str]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return iter(sorted(name for name in names if name != MANIFEST))


def _file_digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()


def _sync(folder: Path) -> None:
    for name in [*_files(folder), MANIFEST]:
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
