"""The model under Beam's own RunInference."""

from __future__ import annotations

import pickle
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.testing.util import assert_that, equal_to

from highbeam.models.backends import framework
from highbeam.models.handler import BatchHandler
from highbeam.models.runtime import tf
from highbeam.models.scoring import Model, Scoring
from highbeam.schemas.batch import Batch

from tests.support.models import batch_of, contract_of, rows_of, saved_model

CONTRACT = contract_of({"k": "int64", "g": "string", "x": "float32"}, ["k"])


def unlucky(x: Any) -> Any:
    with tf.control_dependencies([tf.debugging.assert_none_equal(x, 13.0, message="thirteen")]):
        return {"y": x * 2}


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Scoring:
    folder = saved_model(tmp_path_factory.mktemp("model"), unlucky, x=tf.TensorSpec([None], tf.float32))
    return framework("tensorflow").examine(Model(folder, None, CONTRACT), None, "", []).required()


def batch(x: list[float]) -> Batch:
    return batch_of(rows_of(CONTRACT, k=range(len(x)), g=["g"] * len(x), x=x))


def test_one_batch_in_one_batch_out(scoring: Scoring) -> None:
    handler = BatchHandler(scoring, ["k"], ["g"])
    with beam.Pipeline("FnApiRunner") as pipeline:
        batches = pipeline | beam.Create([[1.0, 13.0], [], [3.0]], reshuffle=False)
        batches = batches | beam.Map(batch).with_output_types(Batch)
        scored = batches | RunInference(handler).with_output_types(Batch)
        assert scored.element_type == Batch
        found = scored | beam.Map(lambda done: (done.read, done.rows.to_pydict()))
        assert_that(found, equal_to([
            (0, {"k": [], "g": [], "y": [], "_offset": []}),
            (1, {"k": [0], "g": ["g"], "y": [6.0], "_offset": [0]}),
            (2, {"k": [0], "g": ["g"], "y": [2.0], "_offset": [0]}),
        ]))  # fmt: skip


def test_what_runinference_asks(scoring: Scoring) -> None:
    handler = pickle.loads(pickle.dumps(BatchHandler(scoring, ["k"])))
    assert handler.should_skip_batching()
    assert handler.get_resource_hints() == {}  # any hint would keep reading and scoring apart
    assert not handler.share_model_across_processes()
    whole, part = batch([1.0] * 1000), batch([1.0] * 1000)
    part = batch_of(part.rows.slice(0, 10))
    assert handler.get_num_bytes(part) < handler.get_num_bytes(whole) / 50
    (scored,) = handler.run_inference(whole, handler.load_model())
    assert len(scored) == 1000
