"""Texts of a fixed width, such as `04/07/2013 15:30`, rewritten as ISO 8601 for Arrow to read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .text_columns import bounds, content
from .time_format import TimeFormat

_ISO = b"0000-00-00T00:00:00"
_PLACES = {"%Y": 0, "%m": 5, "%d": 8, "%H": 11, "%M": 14, "%S": 17}

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
    iso = np.tile(np.frombuffer(_ISO, np.uint8), (len(valid), 1))
    _copy_parts(cells, iso, format)
    starts = np.arange(0, iso.size + 1, len(_ISO), dtype=np.int32)
    result = pa.StringArray.from_buffers(len(valid), pa.py_buffer(starts), pa.py_buffer(iso))
    if texts.null_count:
        missing = texts.is_null().to_numpy(zero_copy_only=False)
        result = result.take(pa.array(np.cumsum(~missing) - 1, mask=missing))
    return result


def _width(part: str) -> int:
    return 4 if part == "%Y" else 2 if part[0] == "%" else len(part.encode())


def _copy_parts(cells: Cells, iso: Cells, format: TimeFormat) -> None:
    at = 0
    for part in format.fixed:
        source = cells[:, at : at + _width(part)]
        at += _width(part)
        if part in _PLACES:
            place = _PLACES[part]
            iso[:, place : place + _width(part)] = source
        elif (source != np.frombuffer(part.encode(), np.uint8)).any():
            raise pa.ArrowInvalid(f"not {part!r} everywhere")
