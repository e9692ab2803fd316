"""The user's own Python: `file.py:function` of job.yaml."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..schemas.errors import UsageError

_LOCK = threading.RLock()  # a runner sets up several threads of a process at once


def load_function(reference: str, folder: str, code: Sequence[str] = ()) -> Callable[..., Any]:
    """Loads a function from a file.

    The file's own folder is importable while it is loaded and afterwards, so that it may import its neighbours.

    Args:
      reference: `file.py:function`.
      folder: what a relative file is relative to.
      code: files and folders that the file imports; the folders they lie in are importable too.

    Returns:
      The function.

    Raises:
      UsageError: when there is no such file or function, or importing the file fails; with the line that failed.
    """
    file, separator, name = reference.rpartition(":")
    if not separator or not file or not name:
        raise UsageError(f"{reference!r} does not name a function; write file.py:function")
    path = (Path(folder) / file).resolve()
    if not path.is_file():
        raise UsageError(f"{reference}: there is no file {path}")
    with _LOCK:
        for place in (path, *((Path(folder) / Path(other).expanduser()).resolve() for other in code)):
            if str(place.parent) not in sys.path:
                sys.path.append(str(place.parent))
        function: Callable[..., Any] | None = getattr(_module(path, reference), name, None)
    if not callable(function):
        raise UsageError(f"{reference}: {path} defines no function {name!r}")
    return function


def _module(path: Path, reference: str) -> ModuleType:
    """Imports a file under a name of its own, once for each state it is in."""
    code = path.read_bytes()
    name = f"_highbeam_user_{path.stem}_{hashlib.sha256(str(path).encode() + code).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{reference}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"{reference}: importing {path} failed{_line(error, path)}: {error!r}") from error
    return module


def _line(error: Exception, path: Path) -> str:
    """Where in the file an error was raised, as ` at line 12`."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f" at line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" at line {lines[-1]}" if lines else ""
