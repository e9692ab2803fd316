"""Texts of a fixed width, such as `04/07/2013 15:30`, rewritten as ISO 8601 for Arrow to read.

Here an offset from UTC has the form `+0100`, and the name of a month three letters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .text_columns import bounds, content
from .time_format import MONTHS, TimeFormat

_ISO, _ZONE = b"0000-00-00T00:00:00", b"+0000"
_PLACES = {"%Y": 0, "%m": 5, "%d": 8, "%H": 11, "%M": 14, "%S": 17, "%z": 19}
_WIDTHS = {"%Y": 4, "%b": 3, "%z": 5}

Cells = npt.NDArray[np.uint8]


def rewritten(texts: pa.Array, format: TimeFormat) -> pa.Array:
    """Texts as ISO 8601, to the second. Only literals are checked here, digits are for Arrow to judge.

    Args:
      texts: string[n].
      format: what they look like.

    Returns:
      string[n], null where the text is.

    Raises:
      pa.ArrowInvalid: when the format, or a text, is not of the fixed width.
    """
    width = sum(map(_width, format.fixed))
    valid = texts.drop_null()
    if not width or not len(valid) or (np.diff(bounds(valid)) != width).any():
        raise pa.ArrowInvalid("not of a fixed width")
    cells = content(valid).reshape(-1, width)
    template = _ISO + _ZONE if "%z" in format.fixed else _ISO
    iso = np.tile(np.frombuffer(template, np.uint8), (len(valid), 1))
    _copy_parts(cells, iso, format)
    starts = np.arange(0, iso.size + 1, len(template), dtype=np.int32)
    result = pa.StringArray.from_buffers(len(valid), pa.py_buffer(starts), pa.py_buffer(iso))
    if texts.null_count:
        missing = texts.is_null().to_numpy(zero_copy_only=False)
        result = result.take(pa.array(np.cumsum(~missing) - 1, mask=missing))
    return result


def _width(part: str) -> int:
    return _WIDTHS.get(part, 2) if part[0] == "%" else len(part.encode())


def _copy_parts(cells: Cells, iso: Cells, format: TimeFormat) -> None:
    at = 0
    for part in format.fixed:
        source = cells[:, at : at + _width(part)]
        at += _width(part)
        if part in _PLACES:
            place = _PLACES[part]
            iso[:, place : place + _width(part)] = source
        elif part == "%b":
            iso[:, 5:7] = _numbers(source)
        elif (source != np.frombuffer(part.encode(), np.uint8)).any():
            raise pa.ArrowInvalid(f"not {part!r} everywhere")


def _numbers(names: Cells) -> Cells:
    """The two digits of months from their first three letters, in capitals or not."""
    known = np.array([_code(np.frombuffer(name[:3].encode(), np.uint8)) for name in MONTHS])
    order = np.argsort(known)
    codes = _code(names)
    place = np.minimum(np.searchsorted(known[order], codes), len(order) - 1)
    if (known[order][place] != codes).any():
        raise pa.ArrowInvalid("not the name of a month everywhere")
    month = order[place] + 1
    return np.stack([month // 10, month % 10], axis=1).astype(np.uint8) + ord("0")


def _code(letters: Cells) -> npt.NDArray[np.int64]:
    """Three letters as one number; only a letter becomes one when the bit of the small letters is set."""
    small = (letters | 32).astype(np.int64)
    return np.asarray(small[..., 0] << 16 | small[..., 1] << 8 | small[..., 2])
