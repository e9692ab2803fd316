"""Side tables of this machine: read once, kept as a file that all processes map into memory and all threads share."""

from __future__ import annotations

import fcntl
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from ..models.mirror import cache_folder
from ..schemas.join import Side
from .join_lookup import Loaded, sorted_by_hash
from .join_read import read_side

_MOST_HELD = 8
"""How many tables a process holds, unless its job has more."""
_KEPT_SECONDS = 7 * 24 * 3600
"""How long a file is kept that nobody uses: the next night may have the same table."""
_LOADED: dict[str, Loaded] = {}
_LOCK = threading.Lock()


def load(side: Side, of: int = 1) -> Loaded:
    """A side table ready to be searched; the same object for all threads of a process.

    Args:
      side: which.
      of: how many the job has: at least as many are held, since each batch needs all of them.

    Raises:
      Refused: as `read_side` and `sorted_by_hash`.
    """
    with _LOCK:
        if side.digest not in _LOADED:
            while len(_LOADED) >= max(_MOST_HELD, of):
                _LOADED.pop(next(iter(_LOADED)))
            _LOADED[side.digest] = _loaded(side)
        return _LOADED[side.digest]


def _loaded(side: Side) -> Loaded:
    folder = Path(cache_folder("sides"))
    path = folder / f"{side.digest}.arrow"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{side.digest}.lock"):
            if not path.exists():
                _drop_old(folder)
                _write(sorted_by_hash(read_side(side), side), path)
            os.utime(path)
        return Loaded.of(side, pa.ipc.open_file(pa.memory_map(str(path))).read_all())
    except PermissionError:  # no place to keep it: then every process holds its own
        return Loaded.of(side, sorted_by_hash(read_side(side), side))


def _write(table: pa.Table, path: Path) -> None:
    """Writes a file that appears whole."""
    building = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with pa.ipc.new_file(str(building), table.schema) as writer:
            writer.write_table(table.combine_chunks())
        building.replace(path)
    finally:
        building.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps other processes of the machine out for as long as the block runs; the system lets go of a dead one's."""
    with path.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _drop_old(folder: Path) -> None:
    """Removes tables that nobody has used for long; who still has one mapped keeps it."""
    before = time.time() - _KEPT_SECONDS
    for file in folder.iterdir():
        with suppress(OSError):
            if file.suffix in (".arrow", ".tmp") and file.stat().st_mtime < before:
                file.unlink()
                file.with_suffix(".lock").unlink(missing_ok=True)
