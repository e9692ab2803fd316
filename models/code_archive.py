"""The user's code on its way to the workers: the file of `postprocess` and what `code` names, as one archive.

What a worker imports is what the archive holds and nothing else, on this machine too: a file that `code` forgets is
missed at `check`, and not on the workers.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from .. import storage
from ..schemas.errors import UsageError
from ..schemas.job import Job
from .user_code import load_function

LARGEST = 64 << 20
"""Bytes of code that are taken for code; more is data, or an environment."""
_ROOTS = ".roots.json"
_SKIPPED = ("__pycache__", ".git", ".venv")
_LOCK = threading.RLock()
_unpacked: dict[str, tempfile.TemporaryDirectory[str]] = {}


@dataclass(frozen=True)
class Code:
    """Files by their name in the archive, and the folders of it that imports are looked up in."""

    files: Mapping[str, bytes]
    roots: tuple[str, ...]

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each file, by name."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(self.files.items())}

    def pack(self) -> bytes:
        """The archive; the same files give the same bytes."""
        out = io.BytesIO()
        roots = json.dumps(self.roots).encode()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in [*sorted(self.files.items()), (_ROOTS, roots)]:
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
        return out.getvalue()


def code_of(job: Job) -> Code:
    """Reads the user's code that workers need.

    Files in the job's folder keep their place below it; one from elsewhere lies at the top, under its own name.

    Raises:
      UsageError: naming all that `code` or `postprocess` names and is not there, or that it is no code.
    """
    files, roots, problems = dict[str, bytes](), set[str](), list[str]()
    for said, place in _places(job):
        path, top = _found(job, place)
        roots.add(str(top.parent))
        sources = list(_files(path))
        if not sources:
            problems.append(f"{said}: {path} is empty" if path.is_dir() else f"{said}: there is no file {path}")
        if sum(file.stat().st_size for file in sources) > LARGEST:
            problems.append(f"{said}: more than {LARGEST >> 20} MiB is no code; put it into the worker image")
            continue
        for file in sources:
            name, data = str(top / file.relative_to(path).as_posix()), file.read_bytes()
            if files.setdefault(name, data) != data:
                problems.append(f"{said}: another file is named {name} already; rename one")
    if problems:
        raise UsageError("\n".join(problems))
    return Code(files, tuple(sorted(roots)))


def packed_reference(job: Job) -> str:
    """The postprocess function as the archive names it: `file.py:function`."""
    file, _, name = (job.postprocess or "").rpartition(":")
    return f"{_found(job, file)[1]}:{name}"


def load_postprocess(job: Job) -> Callable[..., Any]:
    """Loads the postprocess function as a worker will: from the archive of what the job names.

    Raises:
      UsageError: as `code_of` and `load_function`; with what to write where a neighbour is imported that `code` lacks.
    """
    reference = str(job.postprocess)
    file, _, name = reference.rpartition(":")
    if not file or not name:
        raise UsageError(f"{reference!r} does not name a function; write file.py:function")
    folder = unpack(code_of(job).pack())
    try:
        return load_function(packed_reference(job), folder)
    except UsageError as error:
        said = str(error).replace(f"{Path(folder).resolve()}/", f"{job.folder}/")
        raise UsageError(said + _forgotten(job, error.__cause__)) from error.__cause__


def _forgotten(job: Job, cause: BaseException | None) -> str:
    """What to do about an import that only the job's folder could satisfy, or ""."""
    if not isinstance(cause, ModuleNotFoundError) or not cause.name:
        return ""
    top = cause.name.partition(".")[0]
    beside = _found(job, str(job.postprocess).rpartition(":")[0])[0].parent
    inside = (_found(job, place)[0] for place in job.code)
    for folder in (beside, Path(job.folder).resolve(), *inside):
        for place in (folder / f"{top}.py", folder / top):
            if place.exists():
                return f"; workers get it if you write code: [{os.path.relpath(place, job.folder)}]"
    return ""


def _places(job: Job) -> list[tuple[str, str]]:
    """What is to be packed, each with how to speak of it."""
    places = [(f"code: {place}", place) for place in job.code]
    if job.postprocess:
        places.append((f"postprocess: {job.postprocess}", job.postprocess.rpartition(":")[0]))
    return places


def _found(job: Job, place: str) -> tuple[Path, PurePosixPath]:
    """A file or folder of this machine, and its name in the archive."""
    folder = Path(job.folder).resolve()
    path = (folder / Path(place).expanduser()).resolve()
    inside = path.is_relative_to(folder)
    return path, PurePosixPath(path.relative_to(folder).as_posix() if inside else path.name)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.suffix != ".pyc" and not set(file.relative_to(path).parts) & set(_SKIPPED):
            yield file


@lru_cache(maxsize=4)
def fetched(path: str) -> str:
    """The folder of this machine that a stored archive was unpacked into; an archive never changes once written."""
    return unpack(storage.read(path))


def unpack(archive: bytes) -> str:
    """Unpacks an archive, once for this process, and makes it the one that imports see.

    Modules of another archive are forgotten: a neighbour of the same name may hold other code by now.

    Returns:
      A folder that is removed when the process ends.
    """
    name = hashlib.sha256(archive).hexdigest()
    with _LOCK:
        if name not in _unpacked:
            folder = tempfile.TemporaryDirectory(prefix="highbeam-code-", dir=os.path.realpath(tempfile.gettempdir()))
            with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                opened.extractall(folder.name)
            _unpacked[name] = folder
        folder_name = _unpacked[name].name
        _make_importable(folder_name, [other.name for key, other in _unpacked.items() if key != name])
        return folder_name


def _make_importable(folder: str, others: list[str]) -> None:
    """Puts the roots of one archive first in sys.path, and takes those of the others out."""
    gone = [name for name, module in list(sys.modules.items()) if any(_lies_in(p, others) for p in _origins(module))]
    for name in gone:
        del sys.modules[name]
    sys.path[:] = [place for place in sys.path if not _lies_in(place, others)]
    roots = json.loads((Path(folder) / _ROOTS).read_text(encoding="utf-8"))
    places = [str(Path(folder) / root) for root in roots]  # real paths, as those of modules are
    sys.path[:0] = [place for place in places if place not in sys.path]


def _origins(module: ModuleType) -> list[str]:
    """Where a module was loaded from; a package without __init__.py has folders and no file."""
    file = getattr(module, "__file__", None)
    return [file] if isinstance(file, str) else [str(place) for place in getattr(module, "__path__", ())]


def _lies_in(place: str, folders: list[str]) -> bool:
    return any(place.startswith(folder + os.sep) or place == folder for folder in folders)
