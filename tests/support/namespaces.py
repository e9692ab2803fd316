"""Network namespaces: machines of their own as far as addresses and ports go, joined by a bridge. For root on Linux."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

NETWORK = "10.203.77"
HERE = f"{NETWORK}.1"
"""The address of this machine on the bridge."""


@cache
def allowed() -> bool:
    """Whether namespaces may be made here."""
    if not shutil.which("ip"):
        return False
    name = f"hb{os.getpid()}try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    return made and subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(not allowed(), reason="`ip netns` is not there, or not allowed")


@contextmanager
def namespaces(count: int) -> Iterator[dict[str, str]]:
    """Makes namespaces for as long as the block runs; gives their addresses by name."""
    bridge = f"hb{os.getpid()}"
    made = {f"{bridge}n{number}": f"{NETWORK}.{number + 2}" for number in range(count)}
    try:
        _ip(f"link add {bridge} type bridge")
        _ip(f"addr add {HERE}/24 dev {bridge}")
        _ip(f"link set {bridge} up")
        for number, (name, address) in enumerate(made.items()):
            _ip(f"netns add {name}")
            _ip(f"link add {bridge}v{number} type veth peer name eth0 netns {name}")
            _ip(f"link set {bridge}v{number} master {bridge} up")
            for command in (f"addr add {address}/24 dev eth0", "link set eth0 up", "link set lo up"):
                _ip(f"-n {name} {command}")
        yield made
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True, check=False)


def _ip(command: str) -> None:
    done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {command}: {done.stderr}"
