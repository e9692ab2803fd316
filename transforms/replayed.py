"""What a replay came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.batch import OFFSET
from ..schemas.errors import Refused, Unconserved
from ..schemas.job import Job
from ..schemas.keys import key_text
from ..schemas.plan import Plan
from ..schemas.rejected import rejects
from ..schemas.replay import INPUT
from ..schemas.split import Split
from .formats.choose import format_of
from .raw import fill_raw, without_raw
from .replay_records import AGAIN, fill_again, records_of
from .staged import SPLIT, Staged


def scored_splits(plan: Plan) -> tuple[Split, ...]:
    """The splits of a replay that are scored again; all of another run."""
    return plan.splits[plan.replay.carried if plan.replay else 0 :]


def recovers_nothing(plan: Plan) -> bool:
    """Whether a run is a replay that leaves all as it is; false while some of it is not staged.

    So is one of which every reject is rejected again; unless its parent was refused and could be published by now,
    since its budget was raised, say. Of a parent without rejects only that may have changed.
    """
    if plan.replay is None or may_now(plan) or not scored_splits(plan):
        return False
    try:
        return not any(_rows(plan.staged(split.number)) for split in scored_splits(plan))
    except FileNotFoundError:
        return False


def may_now(plan: Plan) -> bool:
    """Whether the parent of a replay was refused for its counts, and these are within the bounds of the job now."""
    parent = plan.replay
    if parent is None or parent.published:
        return False
    within = plan.job.rejects.allows(parent.read - parent.predicted, parent.read)
    return within and parent.read >= plan.job.source.min_rows


def why_nothing(plan: Plan) -> str:
    """How many rows a replay that recovers nothing scored again, and why the first of them was rejected."""
    scored, first = 0, ""
    for split in scored_splits(plan):
        records = records_of(split, plan)
        again = records.filter(records[AGAIN])["offset"]
        scored += len(again)
        if len(again) and not first:
            with Staged(plan.staged(split.number)) as staged:
                failed = staged.rejected()
            first = _first(failed.filter(pc.is_in(failed["offset"], again.combine_chunks())))
    if not scored:
        return "none was scored again"
    if not first:  # they were sound, and the merge turned them away
        first = "merge: duplicate_key: their keys stand elsewhere in the night"
    return f"{scored:,} {'was' if scored == 1 else 'were'} scored again, and the first rejected for: {first}"


def _first(failed: pa.RecordBatch) -> str:
    for row in failed.slice(0, 1).to_pylist():
        return f"{row['file']} at {row['offset']:,}: {row['stage']}: {row['reason']}: {row['message']}"
    return ""


def _rows(path: str) -> int:
    with Staged(path) as staged:
        return staged.footer.rows


def duplicates_as_rejects(rows: pa.Table, plan: Plan, message: str) -> Iterator[pa.RecordBatch]:
    """Rows that a merge turns away as rejects, file by file, with their raw bytes where they can still be read."""
    assert plan.replay is not None
    for source, place in _pairs(rows):
        mask = pc.and_(pc.equal(rows[SPLIT], source), pc.equal(rows[INPUT], place))
        mine = rows.filter(mask).combine_chunks().to_batches()[0]
        file = plan.replay.files[place]
        keys = key_text(mine, plan.job.contract.key)
        part = rejects(file, mine[OFFSET], "merge", "duplicate_key", message, keys).sort_by("offset")
        part = _with_raw(part, plan.splits[source], plan)
        yield part if plan.job.rejects.keep_raw else without_raw(part)


def _pairs(rows: pa.Table) -> list[tuple[int, int]]:
    """Which sources and files rows are of."""
    pairs = rows.select([SPLIT, INPUT]).group_by([SPLIT, INPUT], use_threads=False).aggregate([]).to_pylist()
    return sorted((pair[SPLIT], pair[INPUT]) for pair in pairs)


def _with_raw(rejected: pa.RecordBatch, source: Split, plan: Plan) -> pa.RecordBatch:
    """Raw bytes from what was scored again; else from the file itself, if it is still the same."""
    assert plan.replay is not None
    if source.number >= plan.replay.carried:
        return fill_again(rejected, records_of(source, plan))
    return reread(rejected, plan.replay.inputs, plan.job)[0]


def reread(rejected: pa.RecordBatch, inputs: Sequence[Split], job: Job) -> tuple[pa.RecordBatch, pa.Array]:
    """Reads the bytes of rejects of one file from the file, as far as it is the one that was read at first.

    Args:
      rejected: rejects of one file, by offset.
      inputs: the splits that were read.
      job: says how.

    Returns:
      (the same with `raw`, `length` and `truncated` where they could be read, bool[rejects] of where they could).
    """
    source = job.source
    parts: list[pa.RecordBatch] = []
    could: list[bool] = []
    for split, part in by_split(rejected, inputs):
        try:
            parts.append(fill_raw(part, split, format_of(source), source.max_record_bytes))
            could += [True] * part.num_rows
        except (Refused, Unconserved):
            parts.append(part)
            could += [False] * part.num_rows
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0], pa.array(could, pa.bool_())


def by_split(rejected: pa.RecordBatch, inputs: Sequence[Split]) -> Iterator[tuple[Split, pa.RecordBatch]]:
    """Rejects of one file, by offset, cut where the splits of the file meet; each part with its split."""
    file = rejected.column("file")[0].as_py()
    mine = [split for split in inputs if split.file == file]
    by_rows = any(split.first_row for split in mine)  # offsets of Parquet and Avro are numbers of records
    starts = np.array([split.first_row if by_rows else split.start for split in mine])
    places = np.searchsorted(starts, rejected.column("offset").to_numpy(), "right") - 1
    edges = [0, *(np.flatnonzero(np.diff(places)) + 1).tolist(), len(places)]
    for start, end in pairwise(edges):
        yield mine[max(int(places[start]), 0)], rejected.slice(start, end - start)
