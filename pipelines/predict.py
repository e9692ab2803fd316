"""The pipeline that scores a night; also a plain Beam main: `python -m highbeam.pipelines.predict --job=… --date=…`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference

from ..models.code_archive import packed_reference
from ..models.handler import BatchHandler
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
from ..transforms.replayed import scored_splits
from ..transforms.stage import Stage
from ..transforms.validate import Validate


def build(pipeline: beam.Pipeline, plan: Plan, scoring: Scoring, raise_refusal: bool = False) -> beam.PCollection[str]:
    """Wires a whole run.

    Rows never cross a shuffle: split descriptors do before the fused stage, names of files after it.

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
    scored = score(splits, plan, scoring)
    staged = scored | Stage(plan.path)
    if plan.replay:
        staged = (staged, staged | Carry(plan.path)) | "Scored and carried" >> beam.Flatten()
    return staged | Merge(plan.path) | Publish(plan.path, raise_refusal)


def score(splits: beam.PCollection[Split], plan: Plan, scoring: Scoring) -> beam.PCollection[Batch]:
    """The fused stage up to staging: read, validate, predict, postprocess."""
    job = plan.job
    batches = splits | Read(plan.path) | Validate(job.read_contract)
    if plan.sides:
        batches = batches | Join(plan.path)
    key, passthrough = job.contract.key, job.output.passthrough
    handler = BatchHandler(scoring, key, passthrough, judged=not job.postprocess)
    batches = batches | RunInference(handler).with_output_types(Batch)
    if job.postprocess:
        batches = batches | Postprocess(packed_reference(job), plan.code, scoring.predictions, key)
    return batches


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
