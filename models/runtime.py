"""TensorFlow, imported in one place: `from .runtime import tf`, and nowhere else."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_NOISE = re.compile(rb"WARNING: All log messages before absl::InitializeLog\(\)|[IW]\d{4} \d{2}:\d{2}:")


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drops the information lines that native libraries print while they are loaded.

    They come before any log level is read, so no environment variable stops them. Every other line is printed
    afterwards, also when loading fails.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            for line in held:
                if not _NOISE.match(line):
                    os.write(2, line)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read once, when the library is loaded
with quiet_stderr():
    import tensorflow as tf

__all__ = ["quiet_stderr", "tf"]
