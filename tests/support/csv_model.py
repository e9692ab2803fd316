"""What a CSV file says, read character by character: the independent model that the reader is held against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from highbeam.schemas.sources import Csv

WIDTHS = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}
Field = tuple[str, bool]


@dataclass
class Model:
    """A reader of files of some options.

    Attributes:
      options: of the files; `encoding` names the byte order where there is one.
      columns: how many each record must have.
      limit: most bytes of a record.
    """

    options: Csv
    columns: int
    limit: int

    def records(self, data: bytes, base: int) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of every record of some text that begins with one."""
        width = WIDTHS.get(self.options.encoding, 1)
        order = "big" if self.options.encoding.endswith("be") else "little"
        signs = [data[i : i + width] for i in range(0, len(data), width)]
        text = [int.from_bytes(s, order) if len(s) == width else 0xFFFD for s in signs]  # type: ignore[arg-type]
        at = 0
        while at < len(text):
            line = _index(text, 10, at)
            end = line
            if self._begins_comment(text, at):
                at = line + 1
                continue
            if self.options.multiline:
                closed = self._end(text, at)
                if closed is not None and (closed == line or self._size(data, text, at, closed, width) <= self.limit):
                    end = closed
            size = self._size(data, text, at, end, width)
            if size:
                yield base + at * width, data[at * width : at * width + size]
            at = end + 1

    def _begins_comment(self, text: list[int], at: int) -> bool:
        comment = self.options.comment
        return comment is not None and text[at : at + len(comment)] == list(comment.encode())

    def _size(self, data: bytes, text: list[int], at: int, end: int, width: int) -> int:
        returns = end > at and text[end - 1] == 13
        return min(end * width, len(data)) - (at + returns) * width

    def _end(self, text: list[int], at: int) -> int | None:
        """The line feed that ends a record, or the end of the text; None when a quote is open there."""
        quote, escape, delimiter = map(_code, (self.options.quote, self.options.escape, self.options.delimiter))
        fresh, quoted = True, False
        while at < len(text):
            sign = text[at]
            if sign == escape:
                at, fresh = at + 2, False
                continue
            if quoted:
                if sign == quote and at + 1 < len(text) and text[at + 1] == quote:
                    at += 1
                elif sign == quote:
                    quoted = False
            elif sign == 10:
                return at
            elif fresh and sign == quote:
                quoted, fresh = True, False
            else:
                fresh = sign == delimiter
            at += 1
        return None if quoted else len(text)

    def fate(self, record: bytes) -> Any:
        """The fields of a record, or why it is none."""
        if len(record) > self.limit:
            return "record_too_long"
        try:
            text = record.decode(self.options.encoding)
        except UnicodeDecodeError:
            if self.options.encoding != "utf-8":
                return "bad_encoding"
            text = record.decode("utf-8", "surrogateescape")
        return self._parsed(text)

    def _parsed(self, text: str) -> Any:
        escape, quote, delimiter = self.options.escape, self.options.quote, self.options.delimiter
        fields: list[Field] = []
        value, quoted, inside, fresh, bare_return, quotes = "", False, False, True, False, 0
        at = 0
        while at < len(text):
            sign = text[at]
            at += 1
            quotes += sign == quote
            if sign == escape:
                if at == len(text):
                    return "open_escape"
                value, fresh, at = value + text[at], False, at + 1
            elif inside:
                if sign != quote:
                    value += sign
                elif text[at : at + 1] == quote:
                    value, quotes, at = value + sign, quotes + 1, at + 1
                else:
                    inside = False
            elif sign == delimiter:
                fields.append((value, quoted))
                value, quoted, fresh = "", False, True
            elif fresh and sign == quote:
                inside, quoted, fresh = True, True, False
            else:
                value, fresh, bare_return = value + sign, False, bare_return or sign == "\r"
        fields.append((value, quoted))
        return self._judged(text, fields, inside, bare_return, quotes)

    def _judged(self, text: str, fields: list[Field], inside: bool, bare_return: bool, quotes: int) -> Any:
        if bare_return and not inside if self.options.multiline else "\r" in text:
            return "line_break"
        if inside or (quotes % 2 and not self.options.multiline):
            return "unbalanced_quote"
        if len(fields) != self.columns:
            return "wrong_field_count"
        values = tuple(None if not quoted and value in ("", *self.options.nulls) else value for value, quoted in fields)
        return "not_utf8" if any(value is not None and _broken(value) for value in values) else values


def _index(text: list[int], sign: int, at: int) -> int:
    return text.index(sign, at) if sign in text[at:] else len(text)


def _code(sign: str | None) -> int | None:
    return None if sign is None else ord(sign)


def _broken(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False
