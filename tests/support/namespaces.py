"""Network namespaces: machines of their own as far as addresses and ports go, joined by a bridge. For root on Linux."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

import pytest

_NETWORKS = [f"10.203.{number}" for number in range(256)]


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
    """Makes namespaces in a network of their own for as long as the block runs; gives their addresses by name.

    This machine is found at `gateway` of these.
    """
    sweep()
    bridge, network = f"hb{os.getpid()}", _free_network()
    made = {f"{bridge}n{number}": f"{network}.{number + 2}" for number in range(count)}
    try:
        _ip(f"link add {bridge} type bridge")
        _ip(f"addr add {gateway(made)}/24 dev {bridge}")
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


def gateway(machines: Mapping[str, str]) -> str:
    """The address of this machine on the bridge of namespaces."""
    return next(iter(machines.values())).rpartition(".")[0] + ".1"


def sweep() -> None:
    """Removes what processes that were killed have left."""
    for kind in ("netns", "link"):
        for made in json.loads(_ip(f"-j {kind} show") or "[]"):
            name = made.get("name") or made.get("ifname")
            owner = re.fullmatch(r"hb(\d+)(n\d+)?", name)
            if owner and not os.path.exists(f"/proc/{owner[1]}"):
                subprocess.run(["ip", kind, "del", name], capture_output=True, check=False)


def _free_network() -> str:
    """A network of which nobody here has an address: with two bridges for one, only the first is reached."""
    known = _ip("-4 -o addr show")
    start = os.getpid() % len(_NETWORKS)
    chosen = itertools.chain(_NETWORKS[start:], _NETWORKS[:start])
    return next(network for network in chosen if f" {network}." not in known)


def _ip(command: str) -> str:
    done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {command}: {done.stderr}"
    return done.stdout
