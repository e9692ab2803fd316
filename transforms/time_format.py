"""Formats of timestamps and dates: what may stand in a text, as a regular expression with a group for each part."""

from __future__ import annotations

import re
from dataclasses import dataclass

MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
          "december")  # fmt: skip
_GROUP = re.compile(r"\(\?P<(\w+)>")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ZONE = r"(?P<zone>Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
_ALIASES = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y", "%h": "%b"}
_DIRECTIVES = {
    "Y": r"(?P<year>[0-9]{4})",
    "y": r"(?P<short_year>[0-9]{2})",
    "m": r"(?P<month>1[0-2]|0?[1-9])",
    "d": r"(?P<day>3[01]|[12][0-9]|0?[1-9])",
    "j": r"(?P<day_of_year>36[0-6]|3[0-5][0-9]|[12][0-9]{2}|0?[1-9][0-9]|0{0,2}[1-9])",
    "H": r"(?P<hour>2[0-3]|[01]?[0-9])",
    "I": r"(?P<hour12>1[0-2]|0?[1-9])",
    "M": r"(?P<minute>[0-5]?[0-9])",
    "S": r"(?P<second>[0-5]?[0-9])",
    "f": r"(?P<fraction>[0-9]{1,6})",
    "p": r"(?P<half>(?i:[ap]m))",
    "z": _ZONE,
    "b": "(?P<month_name>(?i:" + "|".join(name[:3] for name in MONTHS) + "))",
    "B": "(?P<month_name>(?i:" + "|".join(MONTHS) + "))",
    "a": "(?i:" + "|".join(name[:3] for name in _DAYS) + ")",
    "A": "(?i:" + "|".join(_DAYS) + ")",
    "%": "%",
}


@dataclass(frozen=True)
class TimeFormat:
    """What a timestamp or date looks like.

    Attributes:
      pattern: RE2 that the whole text must match; its groups are the parts of a time.
      fixed: the directives and literals of a format whose canonical texts are all equally wide; else empty.
    """

    pattern: str
    fixed: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the pattern's groups, in order."""
        return tuple(_GROUP.findall(self.pattern))


ISO = TimeFormat(
    r"^(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12][0-9]|3[01])"
    r"(?:[T ](?P<hour>[01][0-9]|2[0-3])(?::(?P<minute>[0-5][0-9])"
    rf"(?::(?P<second>[0-5][0-9])(?:\.(?P<fraction>[0-9]{{1,6}}))?)?)?{_ZONE}?)?$",
)
"""ISO 8601, as Arrow reads it: a date, then perhaps a time, a fraction, an offset."""

ISO_DATE = TimeFormat(r"^(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12][0-9]|3[01])$")


def parse_format(text: str) -> TimeFormat:
    """Reads a strptime format; the directives mean what they mean to Python.

    Raises:
      ValueError: when it has a directive we do not know, one part twice, or no full date.
    """
    text = re.sub("%.", lambda found: _ALIASES.get(found[0], found[0]), text)
    parts = re.findall(r"%.|%$|\s+|[^%\s]+", text)
    pattern = "^" + "".join(map(_part, parts)) + "$"
    _check(text, _GROUP.findall(pattern))
    return TimeFormat(pattern, tuple(parts) if _is_fixed(parts) else ())


def _is_fixed(parts: list[str]) -> bool:
    """Whether a format has only parts of a fixed width, none of them without the next greater one."""
    directives = ["m" if part == "%b" else part[1:] for part in parts if part[0] == "%" and part != "%z"]
    return "".join(sorted(directives, key="YmdHMS".find)) in ("Ymd", "YmdH", "YmdHM", "YmdHMS")


def _part(part: str) -> str:
    if part[0] != "%":
        return r"\s+" if part.isspace() else re.escape(part)
    if part[1:] not in _DIRECTIVES:
        known = ", ".join(f"%{name}" for name in _DIRECTIVES)
        raise ValueError(f"{part} is not supported in a format; known are {known}")
    return _DIRECTIVES[part[1:]]


def _check(text: str, groups: list[str]) -> None:
    twice = sorted({group for group in groups if groups.count(group) > 1})
    if twice:
        raise ValueError(f"format {text!r} says {', '.join(twice)} twice")
    said = set(groups)
    year = said & {"year", "short_year"}
    day = "day_of_year" in said or ("day" in said and said & {"month", "month_name"})
    if not (year and day):
        raise ValueError(f"format {text!r} does not name a whole date: year, month and day")
    if ("hour12" in said) != ("half" in said):
        raise ValueError(f"format {text!r}: %I and %p belong together")
