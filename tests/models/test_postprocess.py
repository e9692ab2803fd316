"""The user's last word: prediction columns in, prediction columns out, row for row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from apache_beam.testing.util import assert_that, equal_to

from highbeam.models.postprocess import postprocess
from highbeam.models.predictions import plan_predictions
from highbeam.models.runtime import tf
from highbeam.schemas.batch import Batch
from highbeam.schemas.errors import HighbeamError
from highbeam.schemas.job import Prediction
from highbeam.transforms.postprocess import Postprocess

from tests.support.models import batch_of

COLUMNS = plan_predictions(
    {"y": Prediction(tensor="y", min=0, max=100), "n": Prediction(tensor="n")},
    {"y": tf.TensorSpec([None], tf.float32), "n": tf.TensorSpec([None], tf.int64)},
)
SCHEMA = pa.schema(
    [("k", pa.int64()), ("g", pa.string()), ("y", pa.float32()), ("n", pa.int64()), ("_offset", pa.int64())]
)


def scored(y: list[float]) -> Batch:
    rows = {"k": range(len(y)), "g": ["g"] * len(y), "y": y, "n": [1] * len(y), "_offset": range(len(y))}
    return batch_of(pa.RecordBatch.from_pydict({name: list(values) for name, values in rows.items()}, SCHEMA))


def double(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Twice y, in another order of columns; dislikes 13, and makes NaN of 14."""
    assert rows.schema.names == ["k", "g", "y", "n"]
    if 13 in rows.column("y").to_pylist():
        raise ValueError("thirteen\nin two lines")
    twice = pc.multiply(rows.column("y"), pa.scalar(2, pa.float32()))
    broken = pc.if_else(pc.equal(twice, 28), pa.scalar(float("nan"), pa.float32()), twice)
    return pa.RecordBatch.from_arrays([rows.column("n"), broken], ["n", "y"])


def test_it_replaces_the_predictions_and_nothing_else() -> None:
    done = postprocess(scored([1, 2]), double, COLUMNS, ["k"])
    assert done.rows.schema == SCHEMA
    assert done.rows.to_pydict() == {"k": [0, 1], "g": ["g", "g"], "y": [2, 4], "n": [1, 1], "_offset": [0, 1]}


def test_guilty_rows_and_those_out_of_bounds_are_rejected() -> None:
    """What the model has given already is not blamed on the step."""
    done = postprocess(scored([1, 13, 60, float("nan"), 2, 14]), double, COLUMNS, ["k"])
    assert done.rows.column("k").to_pylist() == [0, 4]
    found = {reject["key"]: (reject["stage"], reject["reason"]) for reject in done.rejected.to_pylist()}
    assert found == {
        "1": ("postprocess", "postprocess_failed"),
        "2": ("postprocess", "above_max"),
        "3": ("predict", "not_finite"),
        "5": ("postprocess", "not_finite"),
    }
    message = done.rejected.column("message")[0].as_py()
    assert message == "the postprocess function failed on this row: ValueError: thirteen"


def test_an_empty_batch_never_reaches_it() -> None:
    def never(rows: pa.RecordBatch) -> pa.RecordBatch:
        raise AssertionError

    assert postprocess(scored([]), never, COLUMNS).rows.schema == SCHEMA


WRONG: list[tuple[Callable[[pa.RecordBatch], Any], str]] = [
    (lambda rows: rows.select(["y", "n"]).slice(1), "returned 1 rows for 2; it must give one for each row"),
    (lambda rows: rows.select(["y"]), "returned y: float; predictions declare y: float, n: int64"),
    (lambda rows: rows.select(["y", "n", "k"]), "returned y: float, n: int64, k: int64; predictions declare"),
    (lambda rows: rows.select(["n", "y"]).rename_columns(["y", "n"]), "returned y: int64, n: float"),
    (lambda rows: rows.select(["y", "n", "y"]), "returned y: float, n: int64, y: float"),
    (lambda rows: rows.select(["y", "n"]).to_pydict(), r"returned a dict, not a pyarrow.RecordBatch"),
]


@pytest.mark.parametrize(("function", "message"), WRONG)
def test_a_function_that_returns_something_else_is_an_error(function: Callable[[Any], Any], message: str) -> None:
    """No row is to blame for it."""
    with pytest.raises(HighbeamError, match=message):
        postprocess(scored([1, 2]), function, COLUMNS)


def test_as_a_step_of_a_pipeline(tmp_path: Path) -> None:
    (tmp_path / "last.py").write_text(
        "import pyarrow as pa, pyarrow.compute as pc\n"
        "def fn(rows):\n"
        "    y = pc.add(rows.column('y'), pa.scalar(1, pa.float32()))\n"
        "    return pa.RecordBatch.from_arrays([y, rows.column('n')], ['y', 'n'])\n"
    )
    with beam.Pipeline("FnApiRunner") as pipeline:
        batches = pipeline | beam.Create([0]) | beam.Map(lambda _: scored([1, 2])).with_output_types(Batch)
        done = batches | Postprocess("last.py:fn", str(tmp_path), COLUMNS, ("k",))
        assert done.element_type == Batch
        assert_that(done | beam.FlatMap(lambda batch: batch.rows.column("y").to_pylist()), equal_to([2.0, 3.0]))
