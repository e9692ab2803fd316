"""Processes that a test starts: their logs, their ports, and their end."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_FIRST, _LAST = 10_000, 32_000
_PORTS = itertools.islice(itertools.cycle(range(_FIRST, _LAST)), os.getpid() * 499 % (_LAST - _FIRST), None)


class Process:
    """A server in a process group of its own, whose output goes to a file.

    Args:
      name: names the log.
      command: what to start.
      folder: where the log lies, and where the process runs.
      env: what it finds in the environment beside ours.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(command),
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Ends it and all it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def said(self) -> str:
        """What it has printed so far."""
        return self.log.read_text("utf-8", "replace")


def free_port() -> int:
    """A port that nobody listens on, and that no call and no other test process is likely to take meanwhile.

    The kernel would give one of those that it also gives to whoever calls somebody, or asks for any port, until the
    server is up. These lie below, and each process counts from a place of its own.
    """
    for port in itertools.islice(_PORTS, _LAST - _FIRST):
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("", port))
            return port
    raise AssertionError("no port is free")


def listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex((host, port)) == 0


def wait_for(what: Callable[[], object], process: Process, seconds: float = 60) -> None:
    """Waits until something holds.

    Raises:
      AssertionError: it does not in time, or the process ended before; with the end of its log.
    """
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end or not process.running():
            raise AssertionError(f"{process.name} did not come up:\n{process.said()[-4000:]}")
        time.sleep(0.05)
