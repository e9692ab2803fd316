"""How characters lie in bytes, as far as finding records goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .quoting import LF, Bytes


@dataclass(frozen=True)
class Characters:
    """The units of a text.

    Attributes:
      width: bytes of a unit; of a line feed, for one.
      big: whether its highest byte comes first.
    """

    width: int = 1
    big: bool = False

    @property
    def line_feed(self) -> bytes:
        """The bytes of one."""
        return LF.to_bytes(self.width, "big" if self.big else "little")

    def units(self, data: bytes) -> npt.NDArray[Any]:
        """The whole units of some bytes."""
        type = np.dtype(f"{'>' if self.big else '<'}u{self.width}")
        return np.frombuffer(data, type, len(data) // self.width)

    def narrow(self, data: bytes, last: bool) -> Bytes:
        """A byte for every unit; what is not ASCII is 128, and so is a unit that the last bytes leave half."""
        units = self.units(data)
        if self.width > 1:
            units = np.minimum(units, 128).astype(np.uint8)
        return np.append(units, np.uint8(128)) if last and len(data) % self.width else units


NARROW = Characters()
