"""TensorFlow comes in without its start-up lines."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

import pytest

from highbeam.models.runtime import quiet_stderr


def test_importing_tensorflow_prints_nothing() -> None:
    code = "import sys\nfrom highbeam.models.runtime import tf\nprint(tf.constant(1).numpy(), file=sys.stderr)"
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    env["PYTHONWARNINGS"] = "ignore::FutureWarning"  # Google's libraries grumble about Python 3.10
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert (done.stdout, done.stderr) == ("", "1\n")


def test_whatever_else_is_said_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    with suppress(ImportError), quiet_stderr():
        os.write(2, b"I0000 00:00:17 cudart_stub.cc:31] Could not find cuda drivers\nout of disk\n")
        raise ImportError
    assert capfd.readouterr().err == "out of disk\n"
