"""A pattern for the records that pyarrow.json surely reads: all others are looked at one by one.

JSON as such is beyond a regular expression, but not JSON nested a few levels deep. RE2 matches such a pattern in one
pass over the bytes, faster than any parser; so the guilty among many records are found without parsing any twice.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from .json_shape import Tree, is_textual

_W = r"[ \t\r\n]*"
_HEX = "[0-9a-fA-F]"
_TEXT = (
    rf'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9a-cA-CefEF]{_HEX}{{3}}|[dD][0-7]{_HEX}{{2}}'
    rf'|[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}))*"'
)
_WHOLE = "-?(?:0|[1-9][0-9]*)"
_NUMBER = rf"{_WHOLE}(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{{1,2}})?"
_PLAIN = rf"{_TEXT}|{_NUMBER}|true|false|null"


def record_pattern(tree: Tree, depth: int) -> str:
    """RE2 pattern of records that are valid and hold what a contract wants, as it wants it.

    A record that does not match may be sound all the same: nested deeper, or with a number in quotes. One that matches
    may rarely not be: it may name a field twice, have `{` where a comma belongs, or a number with hundreds of digits.
    Its bytes must be valid UTF-8.

    Args:
      tree: of `Shape`.
      depth: how deep the values of other fields may be nested.
    """
    return f"^{_W}{_object(tree, depth)}{_W}$"


def _object(tree: Tree, depth: int) -> str:
    values = [(name, _object(t, depth) if isinstance(t, dict) else _value(t)) for name, t in tree.items()]
    names: dict[str, list[str]] = {}
    for name, value in values:
        names.setdefault(value, []).append(_escaped(name))
    known = [f'"(?:{"|".join(alike)})"{_W}:{_W}(?:{value}|null)' for value, alike in names.items()]
    other = f'"{_other([name.encode() for name in tree])}"{_W}:{_W}{_any(depth)}'
    return _listed("{", f"(?:{'|'.join([*known, other])})", "}")


def _listed(opening: str, item: str, closing: str) -> str:
    # Twice as short as it would be if it told the opening bracket from a comma, which hardly ever matters.
    return rf"(?:(?:[\{opening},]{_W}{item}{_W})+\{closing}|\{opening}{_W}\{closing})"


def _any(depth: int) -> str:
    if not depth:
        return f"(?:{_PLAIN})"
    below = _any(depth - 1)
    return f"(?:{_PLAIN}|{_listed('{', f'{_TEXT}{_W}:{_W}{below}', '}')}|{_listed('[', below, ']')})"


def _value(type: pa.DataType) -> str:
    if pa.types.is_list(type):
        return _listed("[", f"(?:{_value(type.value_type)}|null)", "]")
    if is_textual(type):
        return _TEXT
    if pa.types.is_boolean(type):
        return "true|false"
    if pa.types.is_integer(type):
        return _integer(type)
    return _decimal(type) if pa.types.is_decimal(type) else _NUMBER


def _integer(type: pa.DataType) -> str:
    signed = pa.types.is_signed_integer(type)
    most = str((1 << (type.bit_width - signed)) - 1)
    return f"{'-?' if signed else ''}(?:{_up_to(most)})"


def _up_to(most: str) -> str:
    """Whole numbers without leading zeros up to one."""
    shorter = f"0|[1-9][0-9]{{0,{len(most) - 2}}}"
    smaller = (
        f"{most[:at]}[{'1' if not at else '0'}-{int(digit) - 1}][0-9]{{{len(most) - at - 1}}}"
        for at, digit in enumerate(most)
        if int(digit) > (not at)
    )
    return "|".join([shorter, *smaller, most])


def _decimal(type: pa.DataType) -> str:
    before = type.precision - type.scale
    whole = f"(?:0|[1-9][0-9]{{0,{before - 1}}})" if before > 0 else "0"
    return f"-?{whole}" + (rf"(?:\.[0-9]{{1,{type.scale}}})?" if type.scale > 0 else "")


def _other(names: Iterable[bytes]) -> str:
    """Texts without escapes that are none of some names."""
    by_first: dict[bytes, list[bytes]] = {}
    ended = False
    for name in names:
        ended |= not name
        if name:
            by_first.setdefault(name[:1], []).append(name[1:])
    rest = r'[^"\\\x00-\x1f]*'
    if not by_first:
        return rest.replace("*", "+") if ended else rest
    firsts = "".join(map(_byte, by_first))
    ways = [rf'[^"\\\x00-\x1f{firsts}]{rest}']
    ways += [f"{_byte(first)}{_other(rests)}" for first, rests in by_first.items()]
    return f"(?:{'|'.join(ways)}){'' if ended else '?'}"


def _escaped(name: str) -> str:
    return "".join(map(_byte, (bytes([byte]) for byte in name.encode())))


def _byte(byte: bytes) -> str:
    return f"\\x{byte[0]:02x}"
