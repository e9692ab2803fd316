"""What is left behind on this machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from highbeam import storage
from highbeam.stores.local import ABANDONED_SECONDS

OLD = time.time() - ABANDONED_SECONDS - 60  # when this file is read, which may be long before a test of it runs
PASSING = f".{'0123456789abcdef' * 2}.tmp"


def lay(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (OLD, OLD))


def left(folder: Path) -> set[str]:
    with storage.writer(str(folder)):
        return {name for name in os.listdir(folder) if (folder / name).stat().st_mtime < OLD + 1}


def test_a_writer_removes_what_killed_ones_left_there(tmp_path: Path) -> None:
    theirs = ("x.parquet", ".hidden.tmp", PASSING[1:], f"{PASSING}.bak", PASSING.upper())
    lay(tmp_path, PASSING, *theirs)
    assert left(tmp_path) == {*theirs}


def test_a_file_that_is_written_to_stays(tmp_path: Path) -> None:
    lay(tmp_path, PASSING)
    lately = time.time() - ABANDONED_SECONDS + 60
    os.utime(tmp_path / PASSING, (lately, lately))
    with storage.writer(str(tmp_path)):
        assert (tmp_path / PASSING).exists()


def test_several_may_remove_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f".{number:032x}.tmp" for number in range(4)]
    lay(tmp_path, *names)
    (tmp_path / f".{9:032x}.tmp").mkdir()
    os.utime(tmp_path / f".{9:032x}.tmp", (OLD, OLD))
    look = os.path.getmtime

    def faster(path: Path) -> float:
        found = look(path)
        path.unlink() if path.name == names[0] else None  # the other remover's
        return found

    monkeypatch.setattr(os.path, "getmtime", faster)
    assert left(tmp_path) == {f".{9:032x}.tmp"}
