"""Plans what an analysis reads of BigQuery: read sessions, each over a table as it is at one instant.

Nothing is kept of these sessions: the streams of two of them hold other rows, and an analysis that starts again makes
its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..schemas.contract import Contract
from ..schemas.errors import Problems
from ..schemas.sources import BigQueryRows
from ..schemas.split import Split
from .bigquery_session import Session, columns_of, open_session
from .bigquery_source import Asked, Found, asked, find
from .formats.schema import check_schema, unpacked


def training_sessions(
    options: BigQueryRows, key: str, dates: Sequence[str], contract: Contract, split_size: int | None
) -> list[Split]:
    """The streams of all that is to be analysed.

    Args:
      options: table or query.
      key: where job.yaml says them.
      dates: the nights, as YYYY-MM-DD; none where nothing names the date.
      contract: the columns to read, labels included.
      split_size: bytes that a stream should hold; None for what fits.

    Returns:
      Splits, numbered from 0; none where there is no row.

    Raises:
      UsageError: every table or query that is amiss, before any query is run.
    """
    found, problems = list[tuple[Asked, Found]](), Problems()
    for source in sources(options, key, dates):
        with problems.part():
            found.append((source, find(source, contract)))
    problems.raise_all()
    sessions = [_opened(*one, contract, split_size) for one in found]
    splits = [split for session in sessions for split in session.splits()]
    return [replace(split, number=number) for number, split in enumerate(splits)]


def sources(options: BigQueryRows, key: str, dates: Sequence[str]) -> Iterator[Asked]:
    """What is asked for: each table once, with the rows of all nights that it holds; each night's query."""
    nights = [asked(options, date, key) for date in dates or (None,)]
    if options.table is None:
        yield from nights
        return
    for table in dict.fromkeys(night.table for night in nights):
        held = [night for night in nights if night.table == table]
        wheres = list(dict.fromkeys(night.where for night in held))
        # One session: a row that two nights have is read once, and all are of one instant.
        where = wheres[0] if len(wheres) == 1 else " OR ".join(f"({where})" for where in wheres)
        yield replace(held[0], where=where)


def _opened(source: Asked, found: Found, contract: Contract, split_size: int | None) -> Session:
    columns = columns_of(found.schema, contract)
    session = open_session(source, found, columns, split_size, secrets.token_hex(8))
    check_schema(source.name, unpacked(session.header), contract)
    return session
