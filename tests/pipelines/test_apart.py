"""Reading and preprocessing on some workers, the model on others: same rows, and only names between them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from deltalake import DeltaTable

import highbeam
from highbeam.pipelines.planning import make_plan
from highbeam.pipelines.predict import build
from highbeam.schemas.errors import JobError
from highbeam.schemas.layout import layout
from highbeam.transforms import read, read_features
from highbeam.transforms.staged import Staged

from tests.pipelines.test_graph import fused_stages
from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, shuffled, write_night

N = 30_000
BAD = {7: "x7,a,1", 8: "8,a,666666", 9: "9,c,-1"}
APART = JOB + "preprocess: separate\npostprocess: post.py:fn\npredictions: {y: {tensor: y, type: float32}}\n"
GPU = JOB + "accelerator: {type: nvidia-l4, machine_type: g2-standard-4, min_ram: 16GB, batch_size: 4096}\n"
POST = "def fn(rows):\n    return rows.select(['y'])\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apart")
    (folder / "post.py").write_text(POST)
    lines = [BAD.get(at, line) for at, line in enumerate(csv_lines(shuffled(N)))]
    for number in range(2):
        write_night(folder, lines[number::2], name=f"{number}.csv")
    save_model(folder, 1)
    return folder


def run(folder: Path, text: str, name: str, *flags: str) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Runs into a table of its own; gives the rows and the rejects."""
    job = make_job(folder, text, model=False, overrides=[f"output.delta.path=tables/{name}"])
    manifest = highbeam.run(job, DAY, beam_flags=flags)
    assert (manifest.status, manifest.read, manifest.rejected) == ("published", N, len(BAD)), manifest.message
    rejects = highbeam.rejects(job, DAY).read_all().drop_columns(["run_id"])
    columns = ["k", "g", "y", "_file", "_offset"]
    return DeltaTable(layout(job).table).to_pyarrow_table(columns=columns), rejects.to_pylist()


@pytest.fixture(scope="module")
def fused(folder: Path) -> tuple[pa.Table, list[dict[str, Any]]]:
    return run(folder, JOB, "fused")


@pytest.mark.parametrize(
    ("text", "flags"),
    [(APART, []), (GPU, ["--direct_running_mode=multi_processing", "--direct_num_workers=2"])],
    ids=["separate", "accelerator, 2 processes"],
)
def test_the_same_rows_and_rejects(folder: Path, fused: Any, text: str, flags: list[str]) -> None:
    found = run(folder, text, f"apart-{len(flags)}", *flags)
    assert found[0].equals(fused[0])
    assert found[1] == fused[1]
    assert sorted(reject["stage"] for reject in found[1]) == ["predict", "read", "validate"]
    assert all(reject["raw"] for reject in found[1])


@pytest.mark.parametrize("gone", ["half of the features", "half of the scores"])
def test_it_goes_on_where_it_was(folder: Path, fused: Any, gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is staged of either half is not made again."""
    name = gone.replace(" ", "-")
    overrides = [f"output.delta.path=tables/{name}", "rejects.max_fraction=0"]
    refused = highbeam.run(make_job(folder, APART, model=False, overrides=overrides), DAY)
    assert refused.status == "refused"
    staging = Path(layout(make_job(folder, APART, model=False, overrides=overrides)).staging(refused.score_id))
    scored, made = (sorted(staging.glob(f"*.{kind}")) for kind in ("staged", "prepared"))
    assert len(scored) == len(made) == refused.splits
    half = len(made) // 2
    for path in [*made[:half], *scored] if gone == "half of the features" else scored[:half]:
        path.unlink()
    seen: dict[str, list[int]] = {"read": [], "features": []}
    for key, module, function in (("read", read, "read_split"), ("features", read_features, "read_features")):
        monkeypatch.setattr(module, function, _noted(getattr(module, function), seen[key]))
    assert run(folder, APART, name)[0].equals(fused[0])
    assert len(seen["read"]) == (half if gone == "half of the features" else 0)
    assert len(seen["features"]) == (len(scored) if gone == "half of the features" else half)


def _noted(function: Any, seen: list[int]) -> Any:
    def noted(split: Any, *more: Any) -> Any:
        seen.append(split.number)
        return function(split, *more)

    return noted


@pytest.mark.parametrize("text", [APART, GPU], ids=["separate", "accelerator"])
def test_two_fused_stages_in_environments_of_their_own(folder: Path, text: str) -> None:
    plan, scoring = make_plan(make_job(folder, text, model=False), DAY)
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    build(pipeline, plan, scoring)
    proto = pipeline.to_runner_api()
    stages = fused_stages(proto)
    first = next(set(stage) for stage in stages if "Read" in stage)
    second = next(set(stage) for stage in stages if "ScoreFeatures" in stage)
    assert {"Read", "Validate", "Preprocess", "Stage features"} <= first
    assert not first & second
    assert {name.partition("/")[0] for stage in stages for name in stage} >= first | second
    hints = _hints(proto)
    inside = {hint for step, hint in hints.items() if step.startswith("ScoreFeatures")}
    outside = {hint for step, hint in hints.items() if not step.startswith("ScoreFeatures")}
    assert outside == {()}
    if text == GPU:
        accelerator = b"type:nvidia-l4;count:1;machine_type:g2-standard-4;install-nvidia-driver"
        expected = {"beam:resources:accelerator:v1": accelerator, "beam:resources:min_ram_bytes:v1": b"16000000000"}
        assert inside == {tuple(sorted(expected.items()))}
    else:
        assert inside == {()}


def _hints(proto: Any) -> dict[str, tuple[tuple[str, bytes], ...]]:
    """Resource hints by step, of the steps that run somewhere."""
    components = proto.components
    return {
        transform.unique_name: tuple(sorted(components.environments[transform.environment_id].resource_hints.items()))
        for transform in components.transforms.values()
        if transform.environment_id and not transform.subtransforms
    }


def test_batches_are_as_large_as_asked_whatever_was_read_together(folder: Path) -> None:
    job = make_job(folder, GPU, model=False, overrides=["output.delta.path=tables/sizes", "rejects.max_fraction=0"])
    refused = highbeam.run(job, DAY)
    plan, _ = make_plan(job, DAY)
    assert plan.score_id == refused.score_id
    for split in plan.splits:
        batches = list(read_features.read_features(split, plan.prepared(split.number), 1000))
        with Staged(plan.prepared(split.number)) as staged:
            rows = staged.footer.rows
        assert [len(batch) for batch in batches[:-1]] == [1000] * ((rows - 1) // 1000)
        assert [batch.last for batch in batches] == [False] * (len(batches) - 1) + [True]
        assert sum(len(batch) for batch in batches) == rows
    shutil.rmtree(layout(job).state)


def test_batch_size_and_separation_are_part_of_the_score(folder: Path) -> None:
    texts = [JOB, GPU, JOB + "preprocess: separate\n", GPU.replace("4096", "16384")]
    ids = [make_plan(make_job(folder, text, model=False), DAY)[0].score_id for text in texts]
    assert len({*ids}) == 3
    assert ids[2] == ids[3]  # 16,384 rows are the default, and where the model runs changes nothing


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("preprocess: fused\naccelerator: nvidia-l4\n", "preprocess: fused runs the model where rows are read"),
        ("accelerator: {type: NVIDIA L4}\n", "write the runner's name of it, such as nvidia-l4"),
        ("accelerator: {type: nvidia-l4, count: 0}\n", "accelerator.count"),
    ],
)
def test_mistakes_are_told(folder: Path, more: str, told: str) -> None:
    with pytest.raises(JobError, match=told):
        make_job(folder, JOB + more, model=False)


def test_tpu_hints() -> None:
    from highbeam.schemas.accelerator import Accelerator

    tpu = Accelerator(type="tpu-v5-lite-podslice", topology="1x1", machine_type="ct5lp-hightpu-1t")
    assert tpu.hints == {"accelerator": "type:tpu-v5-lite-podslice;topology:1x1;machine_type:ct5lp-hightpu-1t"}
