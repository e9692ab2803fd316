"""Where the rows of a replayed night came from: columns that an ordinary run needs only in its data files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.batch import OFFSET
from ..schemas.job import Job
from ..schemas.plan import Plan
from ..schemas.replay import INPUT
from .published import ORIGIN, PARTITION, published_schema
from .ranges import plain
from .tables.columns import conform

RUN, MODEL = "_run_id", "_model_version"
FILE = "_file"


@dataclass(frozen=True)
class Origin:
    """Where rows came from that do not say so themselves.

    Attributes:
      file: the input file.
      model_version: of the model that scored them.
    """

    file: str
    model_version: str


def staged_schema(job: Job) -> pa.Schema:
    """The columns of all staged objects of a replay: what is published, and where each row came from.

    `_run_id` is null where rows are first published by the replay, whose attempt may still change.
    """
    fields = [field for field in published_schema(job) if field.name not in (PARTITION, *ORIGIN)]
    texts = [pa.field(name, pa.string()) for name in (RUN, MODEL)]
    return pa.schema([*fields, pa.field(OFFSET, pa.int64()), pa.field(INPUT, pa.int32()), *texts])


def with_origin(rows: pa.Table, plan: Plan, origin: Origin) -> pa.Table:
    """Rows with all columns of `staged_schema`.

    Args:
      rows: as they were staged or published; columns that are new in the job become null.
      plan: of the replay.
      origin: for rows that do not name theirs.
    """
    assert plan.replay is not None
    rows, n = plain(rows), rows.num_rows
    if FILE in rows.column_names:
        place = pc.index_in(rows[FILE], pa.array(plan.replay.files, pa.string()))
        rows = rows.append_column(INPUT, place)
    if INPUT not in rows.column_names:
        place = pa.scalar(plan.replay.files.index(origin.file), pa.int32())
        rows = rows.append_column(INPUT, pa.repeat(place, n)).append_column(MODEL, pa.repeat(origin.model_version, n))
    return conform(rows, staged_schema(plan.job), {})


def origin_columns(rows: pa.Table, plan: Plan) -> Mapping[str, pa.Array]:
    """The published columns that tell where rows of a replay came from; each distinct text once."""
    assert plan.replay is not None
    runs = pc.fill_null(rows[RUN], plan.run_id)
    return {
        RUN: runs.combine_chunks().dictionary_encode(),
        MODEL: rows[MODEL].combine_chunks().dictionary_encode(),
        FILE: names_of(rows[INPUT].to_numpy(), plan.replay.files),
    }


def names_of(places: np.ndarray, files: Sequence[str]) -> pa.Array:
    """The file of each row; a dictionary of the files that occur alone, so that the bytes depend on nothing else.

    Args:
      places: int[rows], positions in `files`.
      files: names; the same may stand there more than once.
    """
    present: list[int] = np.flatnonzero(np.bincount(places, minlength=len(files))).tolist()
    names = sorted({files[number] for number in present})
    place = np.zeros(len(files), np.int32)
    for number in present:
        place[number] = names.index(files[number])
    return pa.DictionaryArray.from_arrays(pa.array(place[places]), pa.array(names, pa.string()))
