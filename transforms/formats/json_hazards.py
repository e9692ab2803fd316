"""Which records pyarrow.json must not see: it reads what is no JSON, and can be made to crash.

pyarrow 25 reads the values of a buffer one after the other, wherever lines end. A `null` that stands outside of any
object makes it crash, and it takes NaN and Infinity for numbers. But where each record begins with `{` and ends with
`}`, it cannot take the end of one and the beginning of the next for one object: a string that is still open meets the
line feed that follows, which is an error, and an object that is still open meets `{`. So if it then finds as many
objects as there are records, each record is one object.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..framing import Positions, Records
from ..verdict import Mask

_BLANKS = b" \t\r\n"
_BLANK = np.zeros(256, bool)
_BLANK[list(_BLANKS)] = True
_BEFORE_A_VALUE = np.zeros(256, bool)
_BEFORE_A_VALUE[list(_BLANKS + b":,[-")] = True
_BOM = b"\xef\xbb\xbf"
_PATIENCE = 64


def trimmed(records: Records) -> Records:
    """The records without the white space around them, and the byte order mark that begins a file."""
    starts, ends = records.starts, records.ends
    if records.offsets[0] == 0 and records.data[starts[0] : ends[0]].startswith(_BOM):
        starts = starts.copy()
        starts[0] += len(_BOM)
    data = np.frombuffer(records.data, np.uint8)
    for _ in range(_PATIENCE):
        first = (starts < ends) & _BLANK[data[np.minimum(starts, len(data) - 1)]]
        last = (starts + first < ends) & _BLANK[data[ends - 1]]
        if not (first.any() or last.any()):
            break
        starts, ends = starts + first, ends - last
    return Records(records.data, starts, ends, records.offsets, records.lengths)


def hazards(records: Records) -> Mask:
    """Which of some trimmed records pyarrow.json must not see. Says so of a sound one only rarely."""
    data = np.frombuffer(records.data, np.uint8)
    ends, starts = records.ends - 1, np.minimum(records.starts, len(data) - 1)
    mask: Mask = (data[starts] != ord("{")) | (data[ends] != ord("}")) | (ends <= records.starts)
    at = [_outside_nulls(data), _constants(data, b"NaN"), _constants(data, b"Inf")]
    if b"\0" in records.data:
        at.append(np.flatnonzero(data == 0))
    rows = np.searchsorted(records.starts, np.concatenate(at), "right") - 1
    mask[rows[rows >= 0]] = True
    return mask


def _outside_nulls(data: npt.NDArray[np.uint8]) -> Positions:
    """Where `}` is followed by `n`, or by more white space than anyone writes."""
    at = np.flatnonzero(data[:-1] == ord("}"))
    following = at + 1
    found = []
    for _ in range(_PATIENCE):
        found.append(at[data[following] == ord("n")])
        blank = _BLANK[data[following]] & (following + 1 < len(data))
        at, following = at[blank], following[blank] + 1
        if not len(at):
            break
    return np.concatenate([*found, at])


def _constants(data: npt.NDArray[np.uint8], name: bytes) -> Positions:
    """Where one of the names of numbers that JSON does not have may stand for a value."""
    at = np.flatnonzero(data[:-2] == name[0])
    at = at[(data[at + 1] == name[1]) & (data[at + 2] == name[2])]
    return np.asarray(at[_BEFORE_A_VALUE[data[np.maximum(at - 1, 0)]]])
