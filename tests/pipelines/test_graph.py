"""The pipeline's graph: the coder of every PCollection, and one fused stage from reading to staging."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns, python_urns
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, translations

from highbeam.pipelines.planning import make_plan
from highbeam.pipelines.predict import build

from tests.support.jobs import DAY, JOB, csv_lines, make_job, write_night

POSTPROCESS = "def fn(rows):\n    return rows.select(['y'])\n"


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "postprocess"])
def pipeline(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> beam.Pipeline:
    folder: Path = tmp_path_factory.mktemp("graph")
    write_night(folder, csv_lines(range(10)))
    (folder / "post.py").write_text(POSTPROCESS)
    more = "postprocess: post.py:fn\npredictions: {y: {tensor: y, type: float32}}\n" if request.param else ""
    plan, scoring = make_plan(make_job(folder, JOB + more), DAY)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    build(pipeline, plan, scoring)
    return pipeline


CODERS = {
    "Plan": {"BytesCoder", "StrUtf8Coder"},
    "Splits": {"SplitCoder"},
    "Reshuffle": {"TupleCoder[VarIntCoder, SplitCoder]", "SplitCoder"},
    "Read": {"BatchCoder"},
    "Validate": {"BatchCoder"},
    "RunInference": {"BatchCoder"},
    "Postprocess": {"BatchCoder"},
    "Stage": {"StrUtf8Coder"},
    "Merge": {"BytesCoder", "StrUtf8Coder", "VarIntCoder", "TupleCoder[VarIntCoder, VarIntCoder]"},
    "Publish": {
        "BytesCoder",
        "ListCoder[StrUtf8Coder]",
        "TupleCoder[VarIntCoder, ListCoder[StrUtf8Coder]]",
        "StrUtf8Coder",
    },
}
INSIDE_RESHUFFLE = ("GroupByKey", "Map(reify_metadata_default_window)")
"""Beam wraps each element with its window there; what it pickles is an empty timestamp."""


def test_every_pcollection_has_the_intended_coder(pipeline: beam.Pipeline) -> None:
    proto, context = pipeline.to_runner_api(return_context=True)
    found: dict[str, set[str]] = {}
    for pcollection in proto.components.pcollections.values():
        step, _, rest = pcollection.unique_name.lstrip("0123456789").rpartition(".")[0].partition("/")
        if not rest.endswith(INSIDE_RESHUFFLE):
            found.setdefault(step, set()).add(str(context.coders.get_by_id(pcollection.coder_id)))
    assert found == {step: coders for step, coders in CODERS.items() if step in found}
    assert {"Splits", "Read", "RunInference", "Stage", "Merge", "Publish"} <= set(found)


def test_nothing_breaks_the_fusion_from_read_to_stage(pipeline: beam.Pipeline) -> None:
    stages = fused_stages(pipeline.to_runner_api())
    scoring = ["Read", "Validate", "RunInference", "Stage"]
    holding = {step: [n for n, stage in enumerate(stages) if step in stage] for step in scoring}
    assert all(len(places) == 1 for places in holding.values()), holding
    assert len({places[0] for places in holding.values()}) == 1, holding


def fused_stages(proto: Any) -> list[list[str]]:
    """The top-level steps in each stage after Beam's own optimiser, as FnApiRunner runs it."""
    _, stages = translations.create_and_optimize_stages(
        proto,
        phases=[
            translations.annotate_downstream_side_inputs,
            translations.fix_side_input_pcoll_coders,
            translations.pack_combiners,
            translations.lift_combiners,
            translations.expand_sdf,
            translations.expand_gbk,
            translations.sink_flattens,
            translations.greedily_fuse,
            translations.read_to_impulse,
            translations.impulse_to_input,
            translations.sort_stages,
        ],
        known_runner_urns=frozenset(
            [common_urns.primitives.FLATTEN.urn, common_urns.primitives.GROUP_BY_KEY.urn, python_urns.SUBPROCESS_SDK]
        ),
        use_state_iterables=False,
    )
    return [[transform.unique_name.partition("/")[0] for transform in stage.transforms] for stage in stages]
