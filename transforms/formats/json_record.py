"""One JSON record by itself: for the few that pyarrow.json cannot be trusted with, or cannot read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn

from .json_shape import Path, Paths

DEEPEST = 100
"""Levels of nesting that are looked into; Python's own stack ends not far beyond."""

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class Number(str):
    """A number that Python's own might round, as it is written."""

    __slots__ = ()


class Unsound(Exception):
    """A record that is no JSON object as it should be.

    Attributes:
      reason: code of the reject.
      message: a sentence.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


class TooDeep(Unsound):
    """A record nested too deep to be looked into."""

    def __init__(self) -> None:
        super().__init__("bad_json", f"the record is nested deeper than {DEEPEST} levels, and cannot be read as it is")


class Stray:
    """What stands where an object should be, on the way to a field.

    Attributes:
      said: `geo is a number, no object`.
    """

    def __init__(self, path: Iterable[str], value: Any) -> None:
        self.said = f"{'.'.join(path)} is {kind_of(value)}, no object"


def _no_constant(name: str) -> NoReturn:
    raise Unsound("bad_json", f"not valid JSON: {name} is no number of JSON; write null, or a text")


class _Members(list[tuple[str, Any]]):
    """The fields of an object, each as often as it stands there."""


_decode = json.JSONDecoder(parse_float=Number, parse_constant=_no_constant).raw_decode
_decode_closely = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_no_constant).raw_decode
_decode_members = json.JSONDecoder(object_pairs_hook=_Members, parse_int=Number, parse_float=Number).decode


def load(record: bytes, paths: Paths, names: Iterable[str]) -> dict[str, Any]:
    """The fields of a record; numbers as int where that keeps all of them, else as `Number`.

    Args:
      record: valid UTF-8.
      paths: of the fields that must not stand in it twice.
      names: all names on these paths, in double quotes.

    Raises:
      Unsound: when it is none; TooDeep, when that cannot be told.
    """
    text = record.decode().strip(" \t\r\n")
    if text.count("{") + text.count("[") > DEEPEST and _depth(text) > DEEPEST:
        raise TooDeep
    found, end = _decoded(text)
    if end < len(text):
        raise Unsound("bad_json", f"not valid JSON: something follows the first value, at character {end + 1}")
    if not isinstance(found, dict):
        raise Unsound("not_an_object", f"the record is {kind_of(found)}, no object")
    if "\\" in text and (lone := next((escape[1] for escape in _ESCAPE.finditer(text) if escape[1]), None)):
        raise Unsound("bad_json", f"not valid JSON: \\{lone} is half a character, without its other half")
    if "\\" in text or _may_repeat(text, names):
        _check_once(_decode_members(text), paths)
    return found


def _decoded(text: str) -> tuple[Any, int]:
    try:
        return (_decode_closely if "-0" in text else _decode)(text)
    except json.JSONDecodeError as error:
        raise Unsound("bad_json", f"not valid JSON: {error.msg} at character {error.pos + 1}") from None
    except ValueError:  # Python makes no int of thousands of digits
        return _decode_closely(text)


def _may_repeat(text: str, names: Iterable[str]) -> bool:
    for name in names:  # noqa: SIM110 - any() takes twice as long
        if text.count(name) > 1:
            return True
    return False


def _check_once(members: Any, paths: Paths) -> None:
    """Makes sure that no wanted field stands twice in one object."""
    if not isinstance(members, _Members):
        return
    seen = set()
    for name, value in members:
        if name in paths:
            if name in seen:
                raise Unsound("duplicate_field", f"field {name} stands twice in one object")
            seen.add(name)
            _check_once(value, paths[name])


def _depth(text: str) -> int:
    """How deep brackets are nested, at least those of valid JSON."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", _TEXT.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def find(record: dict[str, Any], paths: Iterable[Path]) -> Any:
    """The first value at some paths that is not null; None where there is none, and a Stray where the way ends."""
    for path in paths:
        found: Any = record
        for at, name in enumerate(path):
            if not isinstance(found, dict):
                found = Stray(path[:at], found)
                break
            if (found := found.get(name)) is None:
                break
        if found is not None:
            return found
    return None


def kind_of(value: Any) -> str:
    """What a value of JSON is, as a sentence says it."""
    if isinstance(value, Number) or type(value) is int:
        return "a number"
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return kinds.get(type(value), "null")
