"""Transform graph and model in two calls, on different workers; what passes between them is columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from .compose import Composed, Fed
from .fit import Fit
from .handed import handed, taken_over
from .predictions import PredictionColumn


class Preprocessing(Fed):
    """The first call: from the columns of a contract to features.

    Args:
      fit: how the columns get into the model.

    Attributes:
      schema: of what `features` gives.
    """

    def __init__(self, fit: Fit) -> None:
        super().__init__(fit)
        self._handed = handed(fit)
        self.schema = pa.schema([field for one in self._handed for field in one.fields])
        self._all = self._traced(self._parts)

    def features(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The features as columns, row for row; see `Handed`."""
        parts = iter([tensor.numpy() for tensor in self._all(*self._tensors(rows))])
        columns = [one.columns(list(islice(parts, one.parts)), rows.num_rows) for one in self._handed]
        return pa.RecordBatch.from_arrays([array for arrays in columns for array in arrays], schema=self.schema)

    def _parts(self, rows: Any, *parts: Any) -> list[Any]:
        features = self._features(rows, parts)
        return [part for one in self._handed for part in one.emitted(features[one.name])]


class Predicting(Composed):
    """The second call: from features to predictions.

    Args:
      fit: how the columns of a contract would get into the model.
      columns: the predictions wanted.
    """

    def __init__(self, fit: Fit, columns: Sequence[PredictionColumn]) -> None:
        self._handed = handed(fit)
        super().__init__(taken_over(fit), columns)

    def _features(self, rows: Any, parts: Sequence[Any]) -> Mapping[str, Any]:
        tensors = super()._features(rows, parts)
        return {one.name: one.assembled(tensors, rows) for one in self._handed}

    def transform(self, rows: pa.RecordBatch) -> pa.Array:
        """string[rows]: a feature that is NaN or infinite, null where none is."""
        named = np.full(rows.num_rows, None, object)
        for one in reversed(self._handed):
            named[one.unsound(rows.column(one.column))] = one.name
        return pa.array(named, pa.string())
