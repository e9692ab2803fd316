"""A dry run: the same pipeline, over the first records if asked, with table and state in a temporary folder."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..schemas.job import Delta
from ..schemas.plan import Plan
from ..schemas.split import Split
from ..transforms.read import read_split


@contextmanager
def in_temporary_folder(plan: Plan) -> Iterator[Plan]:
    """The plan with table and state in a folder that goes with the block; nothing else of it changes."""
    with tempfile.TemporaryDirectory(prefix="highbeam-dry-run-") as folder:
        output = plan.job.output.model_copy(update={"delta": Delta(path=f"{folder}/table"), "bigquery": None})
        job = plan.job.model_copy(update={"output": output, "state": f"{folder}/state"})
        yield dataclasses.replace(plan, job=job)


def first_records(plan: Plan, limit: int | None) -> Plan:
    """The plan of only the first `limit` records, in plan order: whole splits, then a part of one."""
    if limit is None:
        return plan
    splits: list[Split] = []
    left = limit
    for split in plan.splits:
        if left <= 0:
            break
        splits.append(dataclasses.replace(split, limit=left))
        left -= sum(batch.read for batch in read_split(splits[-1], plan))
    source = plan.job.source.model_copy(update={"min_rows": 0})  # a sample is smaller than a night
    return dataclasses.replace(plan, splits=tuple(splits), job=plan.job.model_copy(update={"source": source}))
