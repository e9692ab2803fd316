"""Turns a column of text into a column of values, and finds the rows whose text is none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.contract import Column
from .convert_numbers import convert_decimals, convert_floats, convert_integers
from .convert_times import Times, convert_times
from .messages import sentence, shown
from .text_columns import without
from .verdict import Mask, Rows, Verdict, as_mask, at_indices

TRUE, FALSE = ("1", "True", "TRUE", "true"), ("0", "False", "FALSE", "false")
"""The spellings of bool, those of pyarrow.csv."""

# Well-formed UTF-8, Unicode 15 table 3-7. Over `binary`, RE2 matches byte by byte.
_UTF8 = (
    r"^(?:[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    r"|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*$"
)


def convert(text: pa.Array, name: str, column: Column, type: pa.DataType, verdict: Verdict) -> pa.Array:
    """Converts text as pyarrow.csv does where it can, value by value.

    Args:
      text: binary[n] or dictionary<int32, binary>[n], null where the value is missing.
      name: the column's name, for messages.
      column: what it must be.
      type: the Arrow type wanted.
      verdict: is told of rows whose text is no such value.

    Returns:
      type[n], null where the value is missing or the row was blamed.
    """
    kind = column.typed.arrow
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _times(text, name, column, verdict)
    if pa.types.is_string(kind):
        return _strings(text, name, type, verdict)
    if pa.types.is_binary(kind):
        return text
    if pa.types.is_boolean(kind):
        values, guilty = _bools(text)
    elif pa.types.is_integer(kind):
        values, guilty = convert_integers(text, kind)
    elif pa.types.is_floating(kind):
        values, guilty = convert_floats(text, kind)
    else:
        values, guilty = convert_decimals(text, kind)
    blame_value(text, name, column, np.flatnonzero(guilty), verdict)
    return values


def blame_value(text: pa.Array, name: str, column: Column, rows: Rows, verdict: Verdict) -> None:
    """Blames rows whose text is not of the column's type."""
    if len(rows):
        article = "an" if column.type.startswith("int") else "a"
        found = sentence(f"column {name}: ", shown(text.take(pa.array(rows))), f" is not {article} {column.type}")
        verdict.blame(rows, "bad_value", found)


def _times(text: pa.Array, name: str, column: Column, verdict: Verdict) -> pa.Array:
    times = convert_times(text, column)
    if column.type == "timestamp" and column.timezone is None and times.bad.any():
        _blame_unzoned(text, np.flatnonzero(times.bad), name, column, verdict)
    blame_times(text, times, name, column, verdict)
    return times.values


def _blame_unzoned(text: pa.Array, bad: Rows, name: str, column: Column, verdict: Verdict) -> None:
    """Blames rows whose local time would be sound, if it were known of which zone."""
    in_utc = convert_times(text.take(pa.array(bad)), column.model_copy(update={"timezone": "UTC"}))
    if len(rows := bad[~in_utc.bad]):
        said = " has no offset from UTC, and the column no timezone; write one, such as timezone: UTC"
        verdict.blame(rows, "bad_value", sentence(f"column {name}: ", shown(text.take(pa.array(rows))), said))


def blame_times(found: pa.Array, times: Times, name: str, column: Column, verdict: Verdict) -> None:
    """Blames rows whose value is no such time; `found` is what stood there."""
    blame_value(found, name, column, np.flatnonzero(times.bad), verdict)
    why = {
        "no_such_time": (times.skipped, f" did not happen in {column.timezone}: the clocks skipped it"),
        "ambiguous_time": (times.twice, f" happened twice in {column.timezone}, and the column says ambiguous: reject"),
    }
    for reason, (guilty, said) in why.items():
        if len(rows := np.flatnonzero(guilty)):
            verdict.blame(rows, reason, sentence(f"column {name}: ", shown(found.take(pa.array(rows))), said))


def _bools(text: pa.Array) -> tuple[pa.Array, Mask]:
    true = pc.is_in(text, value_set=pa.array(TRUE).cast(pa.binary()))
    false = pc.is_in(text, value_set=pa.array(FALSE).cast(pa.binary()))
    known = pc.or_(true, false)
    values = pc.if_else(known, true, pa.scalar(None, pa.bool_()))
    return values, as_mask(pc.and_not(text.is_valid(), known))


def _strings(text: pa.Array, name: str, type: pa.DataType, verdict: Verdict) -> pa.Array:
    if pa.types.is_dictionary(type) and not pa.types.is_dictionary(text.type):
        text = text.dictionary_encode()
    try:
        return _as_strings(text)
    except pa.ArrowInvalid:
        rows = np.flatnonzero(ill_formed(text))
        found = sentence(f"column {name}: ", shown(text.take(pa.array(rows))), " is not valid UTF-8")
        verdict.blame(rows, "not_utf8", found)
        return _as_strings(_sound(text))


def _as_strings(text: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(text.type):
        return pa.DictionaryArray.from_arrays(text.indices, text.dictionary.cast(pa.string()))
    return text.cast(pa.string())


def _sound(text: pa.Array) -> pa.Array:
    """The text, null where it is ill-formed; no value of a rejected row stays behind in a dictionary."""
    if not pa.types.is_dictionary(text.type):
        return without(text, ill_formed(text))
    kept = ~ill_formed(text.dictionary)
    index = pa.array(np.cumsum(kept) - 1, mask=~kept).cast(pa.int32())
    return pa.DictionaryArray.from_arrays(index.take(text.indices), text.dictionary.filter(pa.array(kept)))


def ill_formed(text: pa.Array) -> Mask:
    """Which texts are not valid UTF-8; a null is."""
    if pa.types.is_dictionary(text.type):
        of_value = ill_formed(text.dictionary)
        return at_indices(of_value, text.indices)
    return as_mask(pc.invert(pc.match_substring_regex(text, _UTF8)))
