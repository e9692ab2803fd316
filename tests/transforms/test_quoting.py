from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam.transforms.quoting import Dialect, Quoting, composed

DIALECTS = [
    Dialect(), Dialect(escape="\\"), Dialect(comment="#"), Dialect(escape="\\", comment="#"), Dialect(quote=None),
    Dialect(quote=None, escape="\\"), Dialect(quote="'", comment="#x"), Dialect(delimiter=";", quote=None, comment="#"),
]  # fmt: skip
SIGNS = st.sampled_from(list(b'"",;\\\\##\n\nax\''))


def walked(text: bytes, dialect: Dialect) -> tuple[list[int], bool]:
    """The line feeds that end a record or a comment, and whether no quote is open at the end; a character at a time."""
    signs = [None if sign is None else ord(sign) for sign in (dialect.delimiter, dialect.quote, dialect.escape)]
    delimiter, quote, escape = signs
    ends = list[int]()
    at, state, begins = 0, "fresh", True
    while at < len(text):
        sign = text[at]
        if begins and dialect.comment and text[at:].startswith(dialect.comment.encode()):
            at = text.find(b"\n", at)
            if at < 0:
                return ends, True
            ends.append(at)
        elif sign == escape:
            at, begins, state = at + 1, False, state if state == "quoted" else "field"
        elif state == "quoted":
            if sign == quote and text[at + 1 : at + 2] == text[at : at + 1]:
                at += 1
            elif sign == quote:
                state = "field"
        elif sign == 10:
            ends.append(at)
            state, begins = "fresh", True
        else:
            opens = state == "fresh" and sign == quote
            state, begins = "quoted" if opens else "fresh" if sign == delimiter else "field", False
        at += 1
    return ends, state != "quoted"


@given(st.sampled_from(DIALECTS), st.lists(SIGNS, max_size=300).map(bytes))
def test_it_finds_what_a_walk_finds(dialect: Dialect, text: bytes) -> None:
    quoting = Quoting(np.frombuffer(text, np.uint8), dialect)
    assert (quoting.ends.tolist(), quoting.closed) == walked(text, dialect)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (b'"a\nb"\nc\n', [5, 7]),
        (b'5" pipe\nx\n', [7, 9]),  # a quote within a field is a character
        (b'"a""\n"\n', [6]),
        (b'"""\n"\n', [5]),
        (b'""\n""""\n', [2, 7]),
        (b'x,"\n,"\n', [6]),
        (b'"a"b"\n', [5]),  # behind the closing quote one is a character too
    ],
)
def test_line_feeds_in_quotes_end_nothing(text: bytes, ends: list[int]) -> None:
    assert Quoting(np.frombuffer(text, np.uint8), Dialect()).ends.tolist() == ends


@given(st.lists(st.integers(0, 255), max_size=200))
def test_functions_are_composed_as_if_one_by_one(functions: list[int]) -> None:
    state, states = 0, []
    for function in functions:
        state = (function >> (2 * state)) & 3
        states.append(state)
    assert composed(np.array(functions, np.uint8)).tolist() == states
