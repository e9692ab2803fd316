"""Predictions out of bounds are rejected, and the best classes named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from highbeam.models.runtime import tf
from highbeam.models.score import score_batch

from tests.support.models import batch_of, saved_model
from tests.support.scoring import COLUMNS, F, rows, scorer_of

NAN, INF = float("nan"), float("inf")
BOUNDS: list[tuple[dict[str, Any], list[float], list[tuple[int, str]]]] = [
    ({}, [1, NAN, INF, -INF], [(1, "not_finite"), (2, "not_finite"), (3, "not_finite")]),
    ({"allow_nan": True}, [1, NAN, INF], []),
    ({"min": 0, "max": 1}, [0, -0.5, 1, 1.5, NAN], [(1, "below_min"), (3, "above_max"), (4, "not_finite")]),
    ({"min": 0, "max": 1}, [-INF, INF], [(0, "not_finite"), (1, "not_finite")]),  # the first rule broken is named
    ({"min": 0, "allow_nan": True}, [NAN, -1, -INF], [(1, "below_min"), (2, "below_min")]),
]


@pytest.mark.parametrize(("said", "x", "expected"), BOUNDS)
@pytest.mark.parametrize("form", ["scalar", "list", "top_k"])
def test_predictions_out_of_bounds_are_rejected(
    tmp_path: Path, said: dict[str, Any], x: list[float], expected: list[tuple[int, str]], form: str
) -> None:
    """A list is guilty if one of its items is; so is a vector of scores, also if that one is not kept."""
    functions: dict[str, Callable[[Any], Any]] = {
        "scalar": lambda x: {"y": x},
        "list": lambda x: {"y": tf.stack([tf.ones_like(x), x], 1)},
        "top_k": lambda x: {"y": tf.stack([tf.zeros_like(x), x], 1)},
    }
    if form == "top_k":
        said = {**said, "top_k": 2}
    scorer = scorer_of(saved_model(tmp_path, functions[form], x=F), COLUMNS, {"p": {"tensor": "y", **said}})
    scored = score_batch(batch_of(rows(x)), scorer, ["k"], [])
    found = [(reject["offset"] // 10, reject["reason"]) for reject in scored.rejected.to_pylist()]
    assert found == expected
    assert {reject["stage"] for reject in scored.rejected.to_pylist()} <= {"predict"}
    assert scored.rows.num_rows == len(x) - len(expected)
    untouched = score_batch(batch_of(rows(x)), scorer, ["k"], [], judged=False)
    assert untouched.rows.num_rows == len(x)


def test_a_nan_below_the_top_k_is_not_hidden(tmp_path: Path) -> None:
    folder = saved_model(tmp_path, lambda x: {"y": tf.stack([x, tf.fill(tf.shape(x), 5.0), tf.ones_like(x)], 1)}, x=F)
    scorer = scorer_of(folder, COLUMNS, {"p": {"tensor": "y", "top_k": 1}})
    scored = score_batch(batch_of(rows([1, NAN])), scorer, ["k"], [])
    assert scored.rows.column("p").to_pylist() == [[{"label": "1", "score": 5.0}]]
    assert scored.rejected.column("reason").to_pylist() == ["not_finite"]


def test_the_best_come_first_and_of_equals_the_lower_index(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    probs = tf.constant([0.2, 0.4, 0.4, 0.1])
    folder = saved_model(tmp_path / "m", lambda x: {"probs": x[:, None] * probs}, x=F)
    said = {"p": {"tensor": "probs", "top_k": 3, "labels": "labels.txt"}, "q": {"tensor": "probs", "top_k": 1}}
    scorer = scorer_of(folder, COLUMNS, said, labels=str(tmp_path))
    scored = scorer.backend.predict(rows([1, 2]))
    names = [[pair["label"] for pair in row] for row in scored.column("p").to_pylist()]
    assert names == [["b", "c", "a"]] * 2
    assert scored.column("q").to_pylist()[0][0]["label"] == "1"
    np.testing.assert_allclose([pair["score"] for pair in scored.column("p").to_pylist()[1]], [0.8, 0.8, 0.4])
