"""Plans what is read of BigQuery: the streams of a read session, which a later run finds again while they live."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ..schemas.job import Job
from ..schemas.layout import layout
from ..schemas.split import Split
from .bigquery_session import Session, columns_of, keep, key_of, newest, open_session
from .bigquery_source import Found, asked, find
from .formats.schema import check_schema, unpacked
from .list_files import check_ready
from .plan_splits import check_source

_TRIES = 4


class NightlyRows:
    """The rows of one night of a job whose source is BigQuery.

    While table or query are as they were, the session of an earlier planning is taken again, so that its staged
    splits count; and be it over, so that a run can see that its night is published. Streams of two sessions hold other
    rows, so a new session has another mark, and its run another score_id.

    Args:
      job: the job.
      date: the night.
      keeps: whether a session is kept in the job's state.
    """

    def __init__(self, job: Job, date: str, keeps: bool = True) -> None:
        assert job.source.bigquery
        self._job, self._date, self._keeps = job, date, keeps
        self._asked = asked(job.source.bigquery, date)
        self._session: Session | None = None
        self._new = False

    def splits(self) -> list[Split]:
        """The splits of the last session, or of one made now.

        Raises:
          UsageError: when the night is not ready, a table or column is missing, or BigQuery refuses.
        """
        check_source(self._job.source, self._job.read_contract)
        check_ready(self._job.source.ready, self._job.folder, self._date)
        self._session = self._settled(again=False)
        return self._session.splits()

    def readable(self) -> bool:
        """Whether the splits given last can still be read."""
        assert self._session
        return self._new or self._session.alive()

    def anew(self) -> list[Split]:
        """The splits of a new session. Raises as `splits`."""
        self._session = self._settled(again=True)
        return self._session.splits()

    def _settled(self, again: bool) -> Session:
        """A session over rows of a version that was the same before and after."""
        for _ in range(_TRIES):
            found = find(self._asked, self._job.read_contract)
            if session := self._of(found, again):
                return session
        return self._opened(found, f"{secrets.token_hex(8)}-0001")  # of no known version

    def _of(self, found: Found, again: bool) -> Session | None:
        source, folder = self._job.source, layout(self._job).sessions(self._date)
        columns = columns_of(found.schema, self._job.read_contract)
        key = key_of(self._asked, found.version, columns, source.split_size)
        last, number = newest(folder, key)
        if last and not again:
            return last
        session = self._opened(found, f"{key}-{number + 1:04d}")
        if found.version is None:
            return session
        if find(self._asked, self._job.read_contract).version != found.version:
            return None
        return keep(folder, key, number + 1, session) if self._keeps else session

    def _opened(self, found: Found, mark: str) -> Session:
        columns = columns_of(found.schema, self._job.read_contract)
        session = open_session(self._asked, found, columns, self._job.source.split_size, mark)
        check_schema(self._asked.name, unpacked(session.header), self._job.read_contract)
        self._new = True
        return session


@dataclass(frozen=True)
class Estimate:
    """What a night would read.

    Attributes:
      name: table or query.
      rows: about how many; None of a query, which is not run for that.
      size: bytes, of a query those it would be billed for.
      streams: of a table, into how many its rows are cut.
    """

    name: str
    rows: int | None
    size: int
    streams: int | None

    def text(self) -> str:
        """For a person."""
        if self.rows is None:
            return f"{self.name}: bytes to read: {self.size:,}"
        return f"{self.name}: rows: {self.rows:,}, bytes: {self.size:,}, streams: {self.streams}"


def estimate(job: Job, date: str) -> Estimate:
    """Has BigQuery check a night's table or query; nothing is read, run or kept.

    Raises:
      UsageError: as `NightlyRows.splits`.
    """
    assert job.source.bigquery
    check_source(job.source, job.read_contract)
    check_ready(job.source.ready, job.folder, date)
    source = asked(job.source.bigquery, date)
    found = find(source, job.read_contract)
    if source.table is None:
        return Estimate(source.name, None, found.size, None)
    columns = columns_of(found.schema, job.read_contract)
    session = open_session(source, found, columns, job.source.split_size, "")
    check_schema(source.name, unpacked(session.header), job.read_contract)
    return Estimate(source.name, session.rows, session.size, len(session.streams))
