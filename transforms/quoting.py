"""Where quoted text begins and ends: an automaton over the quotes of a text, run vectorised.

Only quotes and comments change what a byte means, so only they are looked at. Each is a function from the state before
it to the state after it; functions are composed by a table, in two sweeps over a grid of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
LF, CR = 10, 13

OUTSIDE, INSIDE, COMMENT, AFTER_COMMENT = range(4)


@dataclass(frozen=True)
class Dialect:
    """How a CSV file sets fields apart, one ASCII character each.

    A quote opens a field only as its first character; two inside quotes are one; after the closing one the field may
    go on. The character after an escape is taken as it is, in quotes or not. That is how pyarrow.csv reads.

    Attributes:
      delimiter: between two fields.
      quote: around a field that holds delimiters or quotes; None where there are no quotes.
      escape: before a character that means nothing.
      comment: how lines begin that are no records; empty where there are none.
    """

    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    comment: str = ""


def _function(*after: int) -> int:
    """A function of a state, packed: two bits for the state after each."""
    return sum(state << (2 * before) for before, state in enumerate(after))


def _after(functions: npt.NDArray[np.uint8], states: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    after: npt.NDArray[np.uint8] = (functions >> (2 * states)) & np.uint8(3)
    return after


def _table() -> npt.NDArray[np.uint8]:
    """What two functions are, one after the other: by 256 * first + second."""
    first, second = np.divmod(np.arange(1 << 16, dtype=np.uint32), 256)
    both = np.zeros(1 << 16, np.uint32)
    for state in range(4):
        both |= ((second >> (2 * ((first >> (2 * state)) & 3))) & 3) << (2 * state)
    return both.astype(np.uint8)


_BOTH = _table()
_SAME = _function(OUTSIDE, INSIDE, COMMENT, AFTER_COMMENT)


class Quoting:
    """What the line feeds of a text are, given that it begins with a record.

    Args:
      text: characters; what is not ASCII as any other byte.
      dialect: how it is written.
    """

    def __init__(self, text: Bytes, dialect: Dialect) -> None:
        self._text, self._dialect = text, dialect
        self.breaks: Positions = np.flatnonzero(text == LF)

    @cached_property
    def ends(self) -> Positions:
        """The line feeds that end a record or a comment; those in quotes and those escaped do not."""
        states = self._states(self.breaks)
        escaped = _among(self.breaks, self._escaped)
        ending: Mask = (states == COMMENT) | ((states != INSIDE) & ~escaped)
        return self.breaks[ending]

    @cached_property
    def closed(self) -> bool:
        """Whether no quote is open at the end of the text."""
        return bool(self._states(np.array([len(self._text)]))[0] != INSIDE)

    def _states(self, positions: Positions) -> npt.NDArray[np.uint8]:
        at, after = self._run
        return np.append(after, np.uint8(OUTSIDE))[np.searchsorted(at, positions) - 1]

    @cached_property
    def _run(self) -> tuple[Positions, npt.NDArray[np.uint8]]:
        """Where the state may change, and the states after it."""
        at, functions = self._quotes()
        if self._dialect.comment:
            begins, ends, lines = self._comments()
            at = np.concatenate([at, begins, ends])
            order = np.argsort(at, kind="stable")
            functions = np.concatenate([functions, lines, np.full(len(ends), _COMMENT_ENDS)])[order]
            at = at[order]
        return at, composed(functions.astype(np.uint8))

    @cached_property
    def _escaped(self) -> Positions:
        """The characters after an escape."""
        if self._dialect.escape is None:
            return np.empty(0, np.int64)
        escapes = np.flatnonzero(self._text == ord(self._dialect.escape))
        firsts = np.flatnonzero(np.diff(escapes, prepend=-2) != 1)
        place = np.arange(len(escapes)) - np.repeat(firsts, np.diff(np.append(firsts, len(escapes))))
        escaped: Positions = escapes[place % 2 == 0] + 1  # in a row of them every second one is taken as it is
        return escaped

    def _quotes(self) -> tuple[Positions, npt.NDArray[np.int64]]:
        """Rows of quotes: where they begin, and what they do."""
        if self._dialect.quote is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        quotes = np.flatnonzero(self._text == ord(self._dialect.quote))
        quotes = quotes[~_among(quotes, self._escaped)]
        firsts = np.flatnonzero(np.diff(quotes, prepend=-2) != 1)
        odd = np.diff(np.append(firsts, len(quotes))) % 2 == 1
        at = quotes[firsts]
        before = self._text[np.maximum(at - 1, 0)]
        opens = (at == 0) | (((before == ord(self._dialect.delimiter)) | (before == LF)) & ~self._was_escaped(at))
        return at, _QUOTES[opens * 1, (opens | (before == LF) & self._ends_comment(at)) * 1, odd * 1]

    def _comments(self) -> tuple[Positions, Positions, npt.NDArray[np.int64]]:
        """Lines that are comments unless they stand in quotes: begins, ends, and what begins do."""
        begins, ends = self._comment_lines
        sure = (begins == 0) | ~self._was_escaped(begins)
        return begins, ends, _COMMENT_BEGINS[sure * 1, (sure | self._ends_comment(begins)) * 1]

    @cached_property
    def _comment_lines(self) -> tuple[Positions, Positions]:
        lines = np.append(0, self.breaks + 1)
        begins = lines[begin_with(self._text, lines, self._dialect.comment)]
        ends = np.append(self.breaks, len(self._text))[np.searchsorted(self.breaks, begins)]
        return begins, ends

    def _was_escaped(self, at: Positions) -> Mask:
        return _among(at - 1, self._escaped)

    def _ends_comment(self, at: Positions) -> Mask:
        """Whether the line before may be a comment: an escape means nothing in it."""
        if not self._dialect.comment:
            return np.zeros(len(at), bool)
        return _among(at - 1, self._comment_lines[1])


def composed(functions: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The state after each of some functions of it, beginning outside."""
    width = max(int(len(functions) ** 0.5), 1)
    height = -(-len(functions) // width)
    grid = np.full(width * height, _SAME, np.uint8)
    grid[: len(functions)] = functions
    columns = np.ascontiguousarray(grid.reshape(height, width).T)
    for column in range(1, width):
        columns[column] = _BOTH[columns[column - 1].astype(np.uint32) * 256 + columns[column]]
    states, state = np.empty(height, np.uint8), OUTSIDE
    for row, function in enumerate(columns[-1].tolist()):
        states[row] = state
        state = (function >> (2 * state)) & 3
    after: npt.NDArray[np.uint8] = _after(columns, states).T.reshape(-1)
    return after[: len(functions)]


def begin_with(text: Bytes, at: Positions, prefix: str) -> Mask:
    """Whether a prefix stands at some positions."""
    there: Mask = at + len(prefix) <= len(text)
    for place, letter in enumerate(prefix.encode()):
        there = there & (text[np.minimum(at + place, len(text) - 1)] == letter) if len(text) else there
    return there


def _among(positions: Positions, some: Positions) -> Mask:
    """Which positions are among some ascending ones."""
    if not len(some):
        return np.zeros(len(positions), bool)
    found: Mask = some[np.minimum(np.searchsorted(some, positions), len(some) - 1)] == positions
    return found


def _quotes_do(opens: int, opens_after_comment: int, odd: int) -> int:
    """A row of quotes: the first opens a field at its start; pairs inside are one quote each; a last one closes."""
    opened = INSIDE if odd else OUTSIDE
    return _function(
        opened if opens else OUTSIDE,
        OUTSIDE if odd else INSIDE,
        COMMENT,
        opened if opens_after_comment else OUTSIDE,
    )


_QUOTES = np.array([[[_quotes_do(a, b, odd) for odd in (0, 1)] for b in (0, 1)] for a in (0, 1)])
_COMMENT_BEGINS = np.array(
    [
        [
            _function(COMMENT if a else OUTSIDE, INSIDE, COMMENT, COMMENT if b else OUTSIDE)
            for b in (0, 1)
        ]
        for a in (0, 1)
    ]
)  # fmt: skip
_COMMENT_ENDS = _function(OUTSIDE, INSIDE, AFTER_COMMENT, OUTSIDE)
