"""The rows that were turned away, as a Delta table: one partition for each run of a night.

They are written before a night is published and stay when it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ... import storage
from ...schemas.rejected import SCHEMA as REJECTED
from .columns import conform, grown, table_schema
from .log import arrow_schema, entries_of, open_or_create, open_table, paths_of, replace_partition
from .stats import DataFile, data_file

PARTITION = ("date", "run_id")
SCHEMA = table_schema(REJECTED, PARTITION)
"""The columns of a reject, then its night and its run."""

_GROUP_BYTES = 8 << 20
_GROUP_ROWS = 65536
_BATCH_ROWS = 256  # of at most max_record_bytes each
_GROUPS_HELD = 4

Place = tuple[str, int]
"""A data file, relative to the table, and one of its row groups."""


def write(path: str, date: str, run_id: str, batches: Iterable[pa.RecordBatch]) -> None:
    """Makes these rejects all that the table holds of a run; other runs' stay as they are.

    Args:
      path: the table's folder; made when there is a first reject.
      date: the night.
      run_id: date, attempt and score_id.
      batches: rejects as `schemas.rejected.SCHEMA`; read one after the other and never held together.
    """
    pair = {"date": date, "run_id": run_id}
    files = _write_file(path, f"date={date}/run_id={run_id}", batches)
    if not files and open_table(path) is None:
        return
    open_or_create(path, SCHEMA, PARTITION, bounded=1)
    wanted = [file.path for file in files]
    replace_partition(
        path, pair, files, lambda table: grown(table, SCHEMA)[0], lambda paths: list(paths) == wanted, pair
    )


def read(path: str, date: str, run_id: str | None = None) -> pa.RecordBatchReader:
    """Reads rejects in the order of file and offset; holds some thirty bytes a reject, and few of the rows.

    Args:
      path: the table's folder.
      date: the night.
      run_id: one run; all runs of the night, one after the other, without it.

    Returns:
      Batches of the table's columns; none where there is no table, night or run.
    """
    pair = {"date": date} if run_id is None else {"date": date, "run_id": run_id}
    table = open_table(path)
    schema = arrow_schema(table) if table else SCHEMA
    runs = _by_run(paths_of(table, pair)) if table else {}
    batches = (batch for run, files in runs.items() for batch in _ordered(path, files, schema, date, run))
    return pa.RecordBatchReader.from_batches(schema, batches)


def count(path: str, date: str, run_id: str) -> int:
    """How many rejects the table holds of a run, by its log alone."""
    table = open_table(path)
    if table is None:
        return 0
    return int(pc.sum(entries_of(table, {"date": date, "run_id": run_id})["num_records"]).as_py() or 0)


def _write_file(path: str, folder: str, batches: Iterable[pa.RecordBatch]) -> list[DataFile]:
    """Writes the rejects as one file, or none; its name carries its digest, so a repeat writes the same file."""
    groups = _row_groups(batches)
    first = next(groups, None)
    if first is None:
        return []
    with storage.writer(storage.join(path, folder)) as sink:
        with pq.ParquetWriter(sink.file, REJECTED, compression="zstd", store_schema=False) as writer:
            for group in chain([first], groups):
                writer.write_table(group, row_group_size=group.num_rows)
        name = f"{sink.sha256[:16]}.parquet"
        sink.commit(name)
    return [data_file(path, f"{folder}/{name}", "file")]


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Collects batches until they make a row group, which is bounded in bytes since records may be long."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for piece in chain.from_iterable(map(_pieces, batches)):
        held.append(piece)
        rows, size = rows + piece.num_rows, size + piece.nbytes
        if size >= _GROUP_BYTES or rows >= _GROUP_ROWS:
            yield pa.Table.from_batches(held, REJECTED)
            held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held, REJECTED)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    rows = max(1, batch.num_rows * _GROUP_BYTES // max(batch.nbytes, _GROUP_BYTES))
    return (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))


def _by_run(files: list[str]) -> dict[str, list[str]]:
    runs: dict[str, list[str]] = {}
    for file in files:
        runs.setdefault(file.split("/")[1].removeprefix("run_id="), []).append(file)
    return runs


def _ordered(path: str, files: list[str], schema: pa.Schema, date: str, run: str) -> Iterator[pa.RecordBatch]:
    """One run's rejects in order: sorts their places first, and fetches the rows a few at a time."""
    partition = {"date": date, "run_id": run}
    places, order = _order(path, files)

    @lru_cache(maxsize=_GROUPS_HELD)
    def load(group: int) -> pa.Table:
        return conform(_read_group(path, places[group]), schema, partition)

    for start in range(0, order.num_rows, _BATCH_ROWS):
        yield from _fetch(order.slice(start, _BATCH_ROWS), load).combine_chunks().to_batches()


def _order(path: str, files: list[str]) -> tuple[list[Place], pa.Table]:
    """Where each reject stands, in the order of file and offset: number of its row group, row within it."""
    places = [(file, group) for file in files for group in range(_groups(path, file))]
    parts = [_read_group(path, place, ["file", "offset"]) for place in places]
    found = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    sizes = [part.num_rows for part in parts]
    whence = pa.table(
        {
            "file": _ranks(found["file"].chunk(0)),
            "offset": found["offset"],
            "group": np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
            "row": np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        }
    )
    return places, whence.sort_by([("file", "ascending"), ("offset", "ascending")]).select(["group", "row"])


def _ranks(names: pa.DictionaryArray) -> pa.Array:
    """Numbers in the order of the names, for a sort that compares no strings."""
    return pc.rank(names.dictionary).take(names.indices)


def _fetch(wanted: pa.Table, load: Callable[[int], pa.Table]) -> pa.Table:
    """The rows at some places, in the order asked."""
    groups, rows = wanted["group"].to_numpy(), wanted["row"].to_numpy()
    asked = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    parts = [load(int(groups[at[0]])).take(pa.array(rows[at])) for at in asked]
    return pa.concat_tables(parts).take(pa.array(np.argsort(np.concatenate(asked))))


def _groups(path: str, file: str) -> int:
    with storage.open_input(storage.join(path, file)) as source:
        return int(pq.ParquetFile(source).num_row_groups)


def _read_group(path: str, place: Place, columns: list[str] | None = None) -> pa.Table:
    file, group = place
    with storage.open_input(storage.join(path, file)) as source:
        return pq.ParquetFile(source, read_dictionary=["file"]).read_row_group(group, columns=columns)
