"""What scoring asks of a framework: columns in, columns out, and an honest word when it fails."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from ..predictions import PredictionColumn


class Guilty(Exception):
    """Some row could not be scored; which one, the caller finds out. Its text is one line for a person."""


class Exhausted(Exception):
    """There was not memory enough for so many rows at once; no row is to blame."""


class Backend(Protocol):
    """A loaded model."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the input columns it reads."""
        ...

    @property
    def predictions(self) -> tuple[PredictionColumn, ...]:
        """The columns it gives."""
        ...

    def predict(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Scores one or more rows.

        Args:
          rows: at least `columns`.

        Returns:
          The columns of `predictions`, row for row.

        Raises:
          Guilty: when a row may be to blame.
          Exhausted: when fewer rows might do.
          HighbeamError: when the model itself is at fault, whatever the rows.
        """
        ...

    def preprocess(self, rows: pa.RecordBatch) -> pa.Array | None:
        """Does what comes before the model, and no more, to see whether it is to blame.

        Args:
          rows: at least `columns`.

        Returns:
          string[rows]: the first feature of a row that is NaN or infinite, null where none is; or None where nothing
          comes before the model.

        Raises:
          As `predict` does.
        """
        ...


class Preprocessor(Protocol):
    """What comes before a loaded model, on workers of its own."""

    @property
    def schema(self) -> pa.Schema:
        """The columns it gives."""
        ...

    def predict(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Makes the columns that the model reads then, row for row. Raises as `Backend.predict` does."""
        ...
