"""A Delta Lake table as a run publishes to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ... import storage
from . import delta, lookup
from .base import Current, Found, Publication


@dataclass(frozen=True)
class DeltaPredictions:
    """Predictions in a folder: a `base.Table`, whose methods are functions of `delta` and `lookup`.

    Attributes:
      path: the table's folder, which holds the data files.
    """

    path: str

    @property
    def name(self) -> str:
        """Its folder."""
        return self.path

    def columns(self, date: str) -> Mapping[str, pa.Scalar]:
        """None: the partition column stands in the log."""
        return {}

    def unusable(self) -> str | None:
        """Why the folder cannot be written to."""
        problem = storage.unwritable(self.path)
        return f"output.delta.path: {problem}; choose another place" if problem else None

    def check_schema(self, schema: pa.Schema) -> None:
        """See `delta.check_schema`."""
        delta.check_schema(self.path, schema)

    def current(self, date: str) -> Current | None:
        """See `delta.current`."""
        return delta.current(self.path, date)

    def dates(self) -> list[str]:
        """See `delta.dates`."""
        return delta.dates(self.path)

    def model_version(self, now: Current) -> str | None:
        """See `delta.model_version`."""
        return delta.model_version(self.path, now)

    def commit(self, publication: Publication) -> None:
        """See `delta.commit`."""
        first_key = next(iter(publication.key), None)
        files = [delta.data_file(self.path, written.file, first_key) for written in publication.files]
        run = (publication.run_id, publication.attempt, publication.metadata)
        delta.commit(self.path, publication.date, files, publication.schema, *run, bounded=len(publication.key[:1]))

    def reject(self, date: str, run_id: str, read: Callable[[], Iterable[pa.RecordBatch]]) -> None:
        """Nothing: the rejects in the state are a Delta table already."""

    def search(self, key: Sequence[str], keys: pa.Table | pa.Array, date: str | None, all_dates: bool) -> Found:
        """See `lookup.search`."""
        return lookup.search(self.path, key, keys, date, all_dates)
