"""Finds the records of a text file that must be read from its beginning: quoted line breaks, or wide characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..schemas.split import Split
from .blocks import BLOCK_BYTES, check_unchanged, read_blocks
from .characters import Characters
from .framing import Positions, Records, between, blanked, shortened
from .quoting import CR, LF, Bytes, Dialect, Quoting, begin_with

_WINDOW = 1 << 40


@dataclass(frozen=True)
class Form:
    """How a file is written.

    Attributes:
      dialect: how fields are set apart.
      characters: how characters lie in bytes.
      limit: most bytes of a record.
    """

    dialect: Dialect
    characters: Characters
    limit: int


def frame_whole(split: Split, form: Form, block_bytes: int = BLOCK_BYTES) -> Iterator[Records]:
    """Frames the records of a split that begins with a record; a line feed in quotes, or escaped, ends none.

    A record that would be longer than allowed, or whose quote is never closed, is its first line alone: the lines after
    it are records of their own, so that a stray quote costs one record. Blank lines and comments are no records.

    Args:
      split: what to read; `start` begins a record.
      form: how it is written.
      block_bytes: how much is read at a time; changes nothing in what the records are.

    Yields:
      Records, at least one at a time, on buffers of the file's own bytes. Memory stays within a few blocks and records.

    Raises:
      InputChanged: when the file is not the one that was planned, or changed meanwhile.
      UnreadableInput: when it cannot be read to the split's end.
    """
    for records in frame_text(read_blocks(split, split.start, block_bytes), split.start, form):
        yield from between(records, split.start, split.end)
        if split.end is not None and records.offsets[-1] >= split.end:
            break
    check_unchanged(split)  # not while it was read, either


def frame_text(blocks: Iterable[bytes], base: int, form: Form) -> Iterator[Records]:
    """Frames blocks that follow each other, the first of which begins with a record; otherwise as `frame_whole`.

    Args:
      blocks: bytes from `base` on.
      base: their place in the file.
      form: how they are written.
    """
    rest = _Rest(b"", base)
    for block in _growing(blocks, rest):
        rest.data += block
        while rest.data and (records := _next(rest, form, last=not block)) is not None:
            if len(records):
                yield records
        _drop(rest, form)


@dataclass
class _Rest:
    """What is not framed yet; it begins with a record.

    Attributes:
      data: its bytes; of a first line that is too long, those in the middle are missing.
      base: their place in the file.
      dropped: how many are missing.
      window: how much of it is looked at; little behind a record that is only its first line, since there may be more.
    """

    data: bytes
    base: int
    dropped: int = 0
    window: int = _WINDOW


def _growing(blocks: Iterable[bytes], rest: _Rest) -> Iterator[bytes]:
    """Blocks no smaller than what waits for them, so that a long record is not looked at over and over; then none."""
    held: list[bytes] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= len(rest.data):
            yield b"".join(held)
            held = []
    if held:
        yield b"".join(held)
    yield b""


def _drop(rest: _Rest, form: Form) -> None:
    """Bounds a first line that is not finished; its last character stays, since it may be a carriage return."""
    width = form.characters.width
    kept = -(-max(form.limit, len(form.dialect.comment) * width) // width) * width
    last = max(len(rest.data) // width - 1, 0) * width
    if last > kept and not (form.characters.units(rest.data) == LF).any():
        rest.data, rest.dropped = rest.data[:kept] + rest.data[last:], rest.dropped + last - kept


def _next(rest: _Rest, form: Form, last: bool) -> Records | None:
    """Takes off records that are whole, perhaps none but blank lines; None when all of the rest has to wait."""
    while rest.window < len(rest.data) and not rest.dropped:
        window = rest.window // form.characters.width * form.characters.width
        if (records := _taken(rest, rest.data[:window], form, last=False)) is not None:
            return records
        rest.window *= 2
    return _taken(rest, rest.data, form, last)


def _taken(rest: _Rest, data: bytes, form: Form, last: bool) -> Records | None:
    """The same, of the first bytes of the rest."""
    text = form.characters.narrow(data, last)
    ends, cut = (_first_end(text, last), False) if rest.dropped else _ends(text, len(data), form, last)
    if not len(ends):
        return None
    rest.window = max(2 * form.limit, 1 << 12) if cut else min(2 * rest.window, _WINDOW)
    records = _records(rest, data, text, ends, form)
    past = min((int(ends[-1]) + 1) * form.characters.width, len(rest.data))
    rest.data, rest.base, rest.dropped = rest.data[past:], rest.base + past + rest.dropped, 0
    return records


def _first_end(text: Bytes, last: bool) -> Positions:
    """Where the first line ends, if it does."""
    breaks = np.flatnonzero(text == LF)[:1]
    return np.array([len(text)]) if last and not len(breaks) else breaks


def _ends(text: Bytes, size: int, form: Form, last: bool) -> tuple[Positions, bool]:
    """Where the records of a text end, up to the first one that is only its first line; and whether there is one."""
    quoting = Quoting(text, form.dialect)
    sure = quoting.ends
    begin = int(sure[-1]) + 1 if len(sure) else 0
    ends = np.append(sure, len(text)) if begin < len(text) else sure
    starts = np.append(0, ends[:-1] + 1)
    lines = np.append(quoting.breaks, len(text))[np.searchsorted(quoting.breaks, starts)]
    over = (_lengths(text, starts, ends, size, form) > form.limit) & (lines < ends)
    if last and not quoting.closed:
        over[-1] = True
    if over.any():
        first = int(over.argmax())
        return np.append(ends[:first], lines[first]), True
    return ends if last else sure, False


def _lengths(text: Bytes, starts: Positions, ends: Positions, size: int, form: Form) -> Positions:
    """Bytes of records, without the carriage return before their line feed."""
    width = form.characters.width
    returns = (text[np.maximum(ends - 1, 0)] == CR) & (ends > starts)
    lengths: Positions = np.minimum(ends * width, size) - (starts + returns) * width
    return lengths


def _records(rest: _Rest, data: bytes, text: Bytes, ends: Positions, form: Form) -> Records:
    """Makes records of what lies between some ends, without blank lines and comments."""
    width = form.characters.width
    starts = np.append(0, ends[:-1] + 1)
    lengths = _lengths(text, starts, ends, len(data), form)
    comments = begin_with(text, starts, form.dialect.comment) if form.dialect.comment else np.zeros(len(ends), bool)
    if comments.any():
        units = form.characters.units(data)
        data = blanked(units, starts[comments], np.minimum(ends[comments], len(units))).tobytes() + data[units.nbytes :]
    offsets, stops = starts * width + rest.base, starts * width + lengths
    lengths[0] += rest.dropped
    offsets[1:] += rest.dropped
    records = Records(data, starts * width, stops, offsets, lengths)
    return shortened(records.where((lengths > 0) & ~comments), form.limit)
