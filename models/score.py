"""Scoring a Batch: every row gets a prediction or a reject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.batch import OFFSET, Batch
from ..schemas.rejected import Stage
from .backends.base import Backend, Exhausted, Guilty, Preprocessor
from .predictions import prediction_schema
from .scorer import Loaded, Scorer
from .values import judge, turn_away_unsound

REASONS: dict[Stage, tuple[str, str]] = {
    "preprocess": ("preprocess_failed", "the transform graph failed on this row"),
    "predict": ("model_failed", "the model failed on this row"),
}


def score_batch(
    batch: Batch, scorer: Scorer[Backend], key: Sequence[str], passthrough: Sequence[str], judged: bool = True
) -> Batch:
    """Scores a batch.

    Tries all rows in one call. When that fails, halving finds the rows to blame; only they are turned away, with stage
    `preprocess` if the transform graph fails on the row alone, and `predict` otherwise. So it is with NaN and infinity:
    of stage `preprocess` where a feature of the graph is not finite either.

    Args:
      batch: rows with the columns the model reads; an empty batch never reaches it.
      scorer: the model.
      key: the key's columns.
      passthrough: other columns to keep.
      judged: whether NaN, infinity and the bounds are looked at here; not if a postprocess step has the last word.

    Returns:
      The batch with key, passthrough and prediction columns and `_offset`.
    """
    backend = scorer.backend
    done, failures = _score(batch.rows, scorer)
    scored = joined(done, prediction_schema(backend.predictions))
    batch = _turn_away(batch, failures, backend, key)
    given = batch.rows
    names = [*key, *passthrough]
    columns = [*batch.rows.select(names).columns, *scored.columns, batch.rows.column(OFFSET)]
    rows = pa.RecordBatch.from_arrays(columns, [*names, *scored.schema.names, OFFSET])
    batch = batch.with_rows(rows)
    return _turn_away_unsound(batch, given, backend, key) if judged else batch


def _turn_away_unsound(batch: Batch, given: pa.RecordBatch, backend: Backend, key: Sequence[str]) -> Batch:
    """Moves the rows with a prediction that must not be published.

    Where a prediction is not finite and a feature is not either, the transform graph is to blame.
    """
    verdict = judge(batch.rows, backend.predictions)
    if verdict is None:
        return batch
    infinite = pc.equal(verdict[0], "not_finite").fill_null(False)
    features = _unsound_features(given.filter(infinite), backend)
    if features is not None and features.null_count < len(features):
        blamed = np.flatnonzero(infinite)[features.is_valid().to_numpy(zero_copy_only=False)]
        guilty = np.isin(np.arange(len(batch)), blamed)
        said = pc.binary_join_element_wise(
            "feature ", features.drop_null(), " of the transform graph is NaN or infinite", ""
        )
        batch = batch.turn_away(pa.array(guilty), "preprocess", "not_finite", said, key)
    return turn_away_unsound(batch, backend.predictions, "predict", key)


def _unsound_features(rows: pa.RecordBatch, backend: Backend) -> pa.Array | None:
    """A feature of each row that is not finite before the model sees it, null where there is none."""
    try:
        return backend.preprocess(rows) if rows.num_rows else None
    except (Guilty, Exhausted):
        return None  # they were scored together with others, and alone they are not


@dataclass(frozen=True)
class Failure:
    """A row without a prediction: its place among the rows, the row alone, and what happened."""

    place: int
    row: pa.RecordBatch
    error: Exception


def _score(rows: pa.RecordBatch, scorer: Scorer[Loaded]) -> tuple[list[pa.RecordBatch], list[Failure]]:
    """What came of the rows that went through, in order, and the failures of the others."""
    done: list[pa.RecordBatch] = []
    failures: list[Failure] = []
    place = 0
    for piece, result in scorer.predictions(rows):
        if isinstance(result, Exception):
            failures.append(Failure(place, piece, result))
        else:
            done.append(result)
        place += piece.num_rows
    return done, failures


def joined(parts: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """Record batches one after another, as one; copies nothing when there is only one."""
    if len(parts) == 1:
        return parts[0]
    return pa.concat_batches(parts) if parts else pa.RecordBatch.from_pylist([], schema=schema)


def preprocess_batch(batch: Batch, scorer: Scorer[Preprocessor], key: Sequence[str], kept: Sequence[str]) -> Batch:
    """Makes of a batch what another worker's model reads.

    Args:
      batch: rows with the columns of the contract.
      scorer: what comes before the model.
      key: the key's columns.
      kept: the columns that travel beside the features.

    Returns:
      The batch with the columns of the features, the kept ones and `_offset`. Rows that fail are turned away with
      stage `preprocess`.
    """
    done, failures = _score(batch.rows, scorer)
    batch = _turned_away(batch, [(failure.place, "preprocess", str(failure.error)) for failure in failures], key)
    features = joined(done, scorer.backend.schema)
    names = [*kept, OFFSET]
    columns = [*features.columns, *batch.rows.select(names).columns]
    return batch.with_rows(pa.RecordBatch.from_arrays(columns, [*features.schema.names, *names]))


def _turn_away(batch: Batch, failures: Sequence[Failure], backend: Backend, key: Sequence[str]) -> Batch:
    """Moves the failed rows to the rejects, each with the stage that failed."""
    return _turned_away(batch, [(failure.place, *_blame(failure, backend)) for failure in failures], key)


def _turned_away(batch: Batch, blamed: Sequence[tuple[int, Stage, str]], key: Sequence[str]) -> Batch:
    alive = np.arange(batch.rows.num_rows)
    for stage, (reason, what) in REASONS.items():
        found = {place: f"{what}: {message}" for place, at, message in blamed if at == stage}
        if found:
            guilty = np.isin(alive, list(found))
            batch = batch.turn_away(pa.array(guilty), stage, reason, pa.array(found.values(), pa.string()), key)
            alive = alive[~guilty]
    return batch


def _blame(failure: Failure, backend: Backend) -> tuple[Stage, str]:
    """The stage that fails on a row alone, and its message."""
    try:
        backend.preprocess(failure.row)
    except (Guilty, Exhausted) as error:
        return "preprocess", str(error)
    return "predict", str(failure.error)
