"""What a line of a log looks like: a pattern with a group for each field, and those of the well-known formats."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.sources import Log

# Inside quotes Apache and nginx write a quote or a backslash of the value after a backslash.
_QUOTED = r'"(?P<{}>(?:[^"\\]|\\.)*)"'
_COMMON = (
    r"(?P<host>[^ ]+) (?P<ident>[^ ]+) (?P<user>[^ ]+) \[(?P<time>[^\]]+)\] "
    + _QUOTED.format("request")
    + r" (?P<status>[0-9]+|-) (?P<bytes>[0-9]+|-)"
)
_COMBINED = f"{_COMMON} {_QUOTED.format('referer')} {_QUOTED.format('user_agent')}"
_REQUEST = r"(?P<method>[A-Za-z][A-Za-z0-9_-]*) (?P<path>[^ ]+) (?P<protocol>HTTP/[0-9][0-9.]*)"
_SYSLOG = (
    r"(?:<(?P<pri>[0-9]{1,3})>)?"
    r"(?P<time>[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+) (?P<host>[^ ]+) "
    r"(?:(?P<program>[^ :\[]+)(?:\[(?P<pid>[^\]]*)\])?:(?: |$))?(?P<message>.*)"
)
_SYSLOG_5424 = (
    r"<(?P<pri>[0-9]{1,3})>(?P<version>[1-9][0-9]?) (?P<time>[^ ]+) (?P<host>[^ ]+) (?P<program>[^ ]+) (?P<pid>[^ ]+) "
    r'(?P<msgid>[^ ]+) (?P<data>-|(?:\[[^ =\]"]+(?: [^ =\]"]+="(?:[^"\\\]]|\\.)*")*\])+)'
    r"(?: (?:\xef\xbb\xbf)?(?P<message>.*))?"
)
_END_OF_QUOTE = r"\E"  # RE2 takes all from \Q to here as it stands
_TIME = "%d/%b/%Y:%H:%M:%S %z"
# A pattern with at most four groups that never has to look ahead is matched three times as fast as with more.
_ONE_PASS_GROUPS = 4
_PARTS = re.compile(
    r"(?P<other>\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\])"
    r"|\(\?P?<(?P<name>[^>=!][^>]*)>|(?P<unnamed>\((?!\?))",
    re.DOTALL,
)


@dataclass(frozen=True)
class LinePattern:
    """What a whole line must look like.

    Attributes:
      pattern: RE2 with named groups; matches bytes, since a line may hold any.
      title: what a message calls it.
      parts: a field -> the pattern that takes it further apart; where it does not match, its fields are missing.
      times: a field -> the strptime format of its times, for columns that say none.
      one_pass: whether the pattern never has to look ahead; then few groups at a time are faster.
    """

    pattern: str
    title: str
    parts: Mapping[str, str]
    times: Mapping[str, str]
    one_pass: bool = False

    @property
    def groups(self) -> tuple[str, ...]:
        """The fields that stand in every line."""
        return group_names(self.pattern)

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields, in the order of the line; parts after the field they are part of."""
        return tuple(name for group in self.groups for name in (group, *group_names(self.parts.get(group, ""))))

    def passes(self, wanted: Collection[str]) -> list[str]:
        """Patterns for whole lines that together capture some groups, and nothing else."""
        names = [name for name in self.groups if name in wanted]
        step = _ONE_PASS_GROUPS if self.one_pass else len(names) or 1
        return [whole(only(self.pattern, names[at : at + step])) for at in range(0, len(names), step)]


FORMATS: Mapping[str, LinePattern] = {
    "common": LinePattern(_COMMON, "the common log format", {"request": _REQUEST}, {"time": _TIME}, one_pass=True),
    "combined": LinePattern(_COMBINED, "the combined log format", {"request": _REQUEST}, {"time": _TIME}, True),
    "syslog": LinePattern(_SYSLOG, "the syslog format", {}, {}),
    "syslog5424": LinePattern(_SYSLOG_5424, "the syslog format of RFC 5424", {}, {}),
}


def line_pattern(log: Log) -> LinePattern:
    """The pattern that the options of job.yaml name."""
    if log.format is not None:
        return FORMATS[log.format]
    return LinePattern(log.pattern or "", "source.log.pattern", {}, {})


def whole(pattern: str) -> str:
    """The pattern of texts that match from end to end."""
    quotes = [found["other"] for found in _PARTS.finditer(pattern) if (found["other"] or "").startswith(r"\Q")]
    still_open = quotes and pattern.endswith(quotes[-1]) and not quotes[-1].endswith(r"\E")
    return f"^(?:{pattern}{_END_OF_QUOTE if still_open else ''})$"


def group_names(pattern: str) -> tuple[str, ...]:
    """Names of a pattern's groups, in order."""
    return tuple(found["name"] for found in _PARTS.finditer(pattern) if found["name"])


def only(pattern: str, names: Collection[str]) -> str:
    """The same pattern, capturing some named groups and nothing else."""

    def bare(found: re.Match[str]) -> str:
        return found[0] if found["other"] or found["name"] in names else "(?:"

    return _PARTS.sub(bare, pattern)


def pattern_problem(pattern: str) -> str | None:
    """What is wrong with a pattern of a user's, or None."""
    try:
        pc.match_substring_regex(pa.array([b""]), pattern)
    except pa.ArrowInvalid as error:
        return f"not a pattern of RE2: {str(error).removeprefix('Invalid regular expression: ')}"
    names = group_names(pattern)
    if not names:
        return "has no named group; write each field as (?P<name>…)"
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return f"names {', '.join(twice)} twice"
    return None
