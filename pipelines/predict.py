"""The pipeline that scores a night; also a plain Beam main: `python -m highbeam.pipelines.predict --job=… --date=…`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference

from ..models.code_archive import packed_reference
from ..models.handler import BatchHandler, PreprocessHandler
from ..models.scoring import Scoring
from ..schemas.batch import Batch
from ..schemas.plan import Plan, load_plan
from ..schemas.split import Split
from ..transforms.carry import Carry
from ..transforms.join import Join
from ..transforms.merge import Merge
from ..transforms.postprocess import Postprocess
from ..transforms.publish import Publish
from ..transforms.read import Read
from ..transforms.read_features import ReadFeatures
from ..transforms.replayed import scored_splits
from ..transforms.stage import Stage
from ..transforms.validate import Validate


def build(pipeline: beam.Pipeline, plan: Plan, scoring: Scoring, raise_refusal: bool = False) -> beam.PCollection[str]:
    """Wires a whole run.

    Rows never cross a shuffle: split descriptors do before a fused stage, names of files after it.

    Args:
      pipeline: where to add the steps.
      plan: stored at `plan.path`.
      scoring: what to score with.
      raise_refusal: whether a refusal fails the pipeline, for a job that nobody waits for.

    Returns:
      One element, the manifest's path.
    """
    splits = (
        pipeline
        | "Plan" >> beam.Create([plan.path], reshuffle=False)
        | "Splits" >> beam.FlatMap(splits_of).with_input_types(str).with_output_types(Split)
        | beam.Reshuffle().with_output_types(Split)
    )
    if plan.job.apart:
        staged = score_apart(splits, plan, scoring)
    else:
        batches = read(splits, plan) | RunInference(_handler(plan, scoring)).with_output_types(Batch)
        staged = finish(batches, plan, scoring)
    if plan.replay:
        staged = (staged, staged | Carry(plan.path)) | "Scored and carried" >> beam.Flatten()
    return staged | Merge(plan.path) | Publish(plan.path, raise_refusal)


def read(splits: beam.PCollection[Split], plan: Plan) -> beam.PCollection[Batch]:
    """Up to the model: read, validate, join."""
    batches = splits | Read(plan.path) | Validate(plan.job.read_contract)
    return batches | Join(plan.path) if plan.sides else batches


def finish(batches: beam.PCollection[Batch], plan: Plan, scoring: Scoring) -> beam.PCollection[str]:
    """From the model on: postprocess, stage."""
    job = plan.job
    if job.postprocess:
        batches = batches | Postprocess(packed_reference(job), plan.code, scoring.predictions, job.contract.key)
    return batches | Stage(plan.path)


def score_apart(splits: beam.PCollection[Split], plan: Plan, scoring: Scoring) -> beam.PCollection[str]:
    """Graph and model in two stages, of which only the second needs an accelerator.

    What the first gives lies in staging; splits are handed to the second when all of it is there. They hang on the
    plan, not on what the first stage gives: that is nothing for a split whose features were there before.
    """
    graph = PreprocessHandler(scoring, plan.job.contract.key, plan.job.output.passthrough)
    features = read(splits, plan) | "Preprocess" >> RunInference(graph).with_output_types(Batch)
    prepared = features | "Stage features" >> Stage(plan.path, features=True)
    again = beam.FlatMap(_splits_again, plan.path, beam.pvalue.AsIter(prepared)).with_output_types(Split)
    return (
        splits.pipeline
        | "To the model once" >> beam.Impulse()
        | "Splits again" >> again
        | "To the model" >> beam.Reshuffle().with_output_types(Split)
        | ScoreFeatures(plan, scoring).with_resource_hints(**_hints(plan))
    )


def _splits_again(_once: bytes, plan_path: str, _prepared: Iterable[str]) -> Iterator[Split]:
    yield from splits_of(plan_path)


class ScoreFeatures(beam.PTransform):
    """All that needs an accelerator, under the same hints, so that no row leaves the worker in between.

    Takes a PCollection[Split] whose features are staged; gives a PCollection[str], the ids of the splits staged.

    Args:
      plan: stored at `plan.path`.
      scoring: what to score with.
    """

    def __init__(self, plan: Plan, scoring: Scoring) -> None:
        super().__init__()
        self._plan, self._scoring = plan, scoring

    def expand(self, splits: beam.PCollection[Split]) -> beam.PCollection[str]:
        """Wires the steps."""
        handler = _handler(self._plan, self._scoring)
        batches = splits | ReadFeatures(self._plan.path) | RunInference(handler).with_output_types(Batch)
        return finish(batches, self._plan, self._scoring)


def _handler(plan: Plan, scoring: Scoring) -> BatchHandler:
    job = plan.job
    return BatchHandler(scoring, job.contract.key, job.output.passthrough, judged=not job.postprocess)


def _hints(plan: Plan) -> dict[str, str]:
    return plan.job.accelerator.hints if plan.job.accelerator else {}


def splits_of(plan_path: str) -> Iterator[Split]:
    """The splits of a stored plan that are to be scored."""
    yield from scored_splits(load_plan(plan_path))


def main(argv: Sequence[str] | None = None) -> int:
    """A plain Beam main: `--job`, `--date` and the like are ours, all other flags are Beam's.

    Args:
      argv: the flags; the process's own when None.

    Returns:
      The exit status: 0 published, 2 found wrong before launch, 3 refused, 1 anything else.
    """
    from ..schemas.errors import HighbeamError
    from ..schemas.job_file import load_job
    from .run import run

    ours, beam_flags = arguments().parse_known_args(argv)
    try:
        job = load_job(ours.job, ours.set)
        manifest = run(job, ours.date, force=ours.force, detach=ours.detach, beam_flags=beam_flags)
    except HighbeamError as error:
        sys.stderr.write(f"highbeam: {error}\n")
        return error.exit_code
    sys.stdout.write(manifest.to_json().decode() + "\n")
    return manifest.exit_code


def arguments() -> argparse.ArgumentParser:
    """Our own flags; what a Flex Template declares as its parameters too."""
    parser = argparse.ArgumentParser(prog="python -m highbeam.pipelines.predict", allow_abbrev=False)
    parser.add_argument("--job", required=True, help="job.yaml, or the folder it lies in")
    parser.add_argument("--date", required=True, help="YYYY-MM-DD, today or yesterday")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, overrides a value of the job")
    parser.add_argument("--force", help="publish again what is published already", **_SWITCH)
    parser.add_argument("--detach", help="submit and return", **_SWITCH)
    return parser


def _truth(text: str) -> bool:
    """Reads a switch as launchers of templates write it: `--force=true`."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"write true or false, found {text}")
    return text.lower() == "true"


_SWITCH: dict[str, Any] = {"nargs": "?", "const": True, "default": False, "type": _truth, "metavar": "true|false"}


if __name__ == "__main__":
    from highbeam.pipelines.predict import main as imported_main  # so that nothing pickled belongs to __main__

    sys.exit(imported_main())
