"""Options of CSV files that cannot be meant, alone or together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...schemas.contract import Contract
from ...schemas.sources import Csv
from ..transcode import UTF8, Encoding, encoding_of
from .near_names import is_it

_SIGNS = ("delimiter", "quote", "escape")


def option_problems(options: Csv) -> Iterator[str]:
    """What of the options cannot be meant, a sentence each."""
    for problem in (*_signs(options), *_comment(options), *_header(options), *_encoding(options)):
        yield f"source.csv.{problem}"


def column_problems(options: Csv, contract: Contract) -> Iterator[str]:
    """Columns of a contract that files of such options do not have, or cannot hold."""
    for name, column in contract.columns.items():
        source = column.source or name
        if not options.header and options.columns and source not in options.columns and not column.optional:
            known = ", ".join(options.columns)
            near = is_it(source, options.columns)
            yield f"column {name}: source.csv.columns lacks {source!r}{near}; it has {known}"
        if column.type == "binary" and not _known(options).is_utf8:
            yield f"column {name}: binary holds the bytes of a file, and encoding changes them; read it as a string"


def _signs(options: Csv) -> Iterator[str]:
    signs = {name: sign for name in _SIGNS if (sign := getattr(options, name)) is not None}
    for name, sign in signs.items():
        if not sign.isascii() or sign in "\r\n\0":
            where = "between fields" if name == "delimiter" else "around or in a field"
            yield f"{name}: {sign!r} cannot stand {where}; write one ASCII character that is no line break"
    if signs.get("escape") == signs.get("quote") is not None:
        yield "escape: is the quote; two quotes in quotes are one without it, so leave it out"
    for name in ("quote", "escape"):
        if signs.get(name) == options.delimiter:
            yield f"delimiter: {options.delimiter!r} cannot stand between fields, since it is the {name}; write another"
    if options.multiline and options.quote is None and options.escape is None:
        yield "multiline: without a quote no field can hold a line break; leave it out"


def _comment(options: Csv) -> Iterator[str]:
    comment = options.comment
    if comment is None:
        return
    if not comment.isascii() or any(sign in comment for sign in "\r\n\0"):
        yield f"comment: {comment!r} cannot begin a line; write ASCII characters that are no line breaks"
    for name in _SIGNS:
        if getattr(options, name) == comment[0]:
            yield f"comment: begins with the {name}, so that a record may begin so; write another one"


def _header(options: Csv) -> Iterator[str]:
    if options.header and options.columns:
        yield "columns: are for files without a header, and header is true; leave them out, or write header: false"
    if not options.header and not options.columns:
        yield "columns: are missing; without a header, name all columns of a file in their order"
    if twice := sorted(name for name, uses in Counter(options.columns).items() if uses > 1):
        yield f"columns: name {', '.join(map(repr, twice))} twice; rename one of them"


def _encoding(options: Csv) -> Iterator[str]:
    try:
        encoding = encoding_of(options.encoding)
    except ValueError as error:
        yield f"encoding: {error}"
        return
    if not options.multiline:
        return
    for name in _SIGNS:
        sign = getattr(options, name)
        if sign is not None and sign.isascii() and encoding.hides(sign):
            yield f"multiline: in {options.encoding} the {name}, {sign!r}, may be half of a character; convert to UTF-8"


def _known(options: Csv) -> Encoding:
    try:
        return encoding_of(options.encoding)
    except ValueError:
        return UTF8  # said already
