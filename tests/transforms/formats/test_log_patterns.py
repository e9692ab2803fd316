from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam.transforms.formats.log_patterns import FORMATS, group_names, only, pattern_problem, whole

EMPTY = pa.array([], pa.binary())
PIECES = ["(", ")", "(?:", "(?P<a>", "(?P<b>", "(?<c>", "[", "]", "[^", "\\(", "\\[", "\\Q", "\\E", "\\\\", "x",
          "(?i)", "|", "*", "[:alpha:]", "(?i:", "^", "$"]  # fmt: skip
LINES = pa.array([b"", b"x", b"xx", b"(", b"(x)", b"[x]", b"\\", b"\xff", b"X(x", b"(?P<a>x"], pa.binary())


@pytest.mark.parametrize(
    ("pattern", "names", "bare"),
    [
        (r"(?P<a>.)(b)(?:c)(?i:d)", ("a",), r"(?:.)(?:b)(?:c)(?i:d)"),
        (r"(?<a>.)(?P<b>(?P<c>x)?)", ("a", "b", "c"), r"(?:.)(?:(?:x)?)"),
        (r"\((?P<a>.)\\(b)", ("a",), r"\((?:.)\\(?:b)"),
        (r"[(](?P<a>[]()]+)[^](][[:alpha:](][\](]", ("a",), r"[(](?:[]()]+)[^](][[:alpha:](][\](]"),
        (r"\Q(?P<no>.)[\E(?P<a>.)\Q(", ("a",), r"\Q(?P<no>.)[\E(?:.)\Q("),
        (r"\pL\p{Greek}\x{28}(?P<a>.)", ("a",), r"\pL\p{Greek}\x{28}(?:.)"),
    ],
)
def test_groups_are_found_and_left_out_where_re2_sees_them(pattern: str, names: tuple[str, ...], bare: str) -> None:
    assert group_names(pattern) == names
    assert only(pattern, ()) == bare
    pc.match_substring_regex(pa.array([b"x"]), bare)
    for kept in ({*names}, {names[-1]}):
        found = pc.extract_regex(EMPTY, whole(only(pattern, kept))).type
        assert [field.name for field in found] == [name for name in names if name in kept]


@pytest.mark.parametrize("name", FORMATS)
def test_the_groups_of_a_format_are_captured_each_once_whatever_is_wanted(name: str) -> None:
    line = FORMATS[name]
    for wanted in (line.groups, line.groups[::2], line.groups[:1]):
        found = [field.name for pattern in line.passes(wanted) for field in pc.extract_regex(EMPTY, pattern).type]
        assert found == list(wanted)
    assert line.passes(()) == []


def test_fields_stand_in_the_order_of_the_line() -> None:
    assert FORMATS["common"].fields == (
        "host", "ident", "user", "time", "request", "method", "path", "protocol", "status", "bytes",
    )  # fmt: skip
    assert FORMATS["combined"].fields == (*FORMATS["common"].fields, "referer", "user_agent")


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_a_pattern_means_the_same_whatever_of_it_is_captured(pattern: str) -> None:
    try:
        expected = pc.match_substring_regex(LINES, f"^(?:{pattern})$")
    except pa.ArrowInvalid:
        return  # none of RE2, or one that ends inside \\Q
    if pattern_problem(pattern):
        return
    assert pc.match_substring_regex(LINES, whole(only(pattern, ()))) == expected
    names = group_names(pattern)
    everything = pc.extract_regex(LINES, whole(only(pattern, names)))
    assert everything.is_valid() == expected
    for name in names:
        alone = pc.extract_regex(LINES, whole(only(pattern, [name])))
        assert pc.struct_field(alone, [0]) == pc.struct_field(everything, [names.index(name)])
