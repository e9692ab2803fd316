"""The Parquet files of the published table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .. import storage
from ..schemas.plan import Plan
from .origin import names_of, origin_columns
from .published import PARTITION, published_schema
from .staged import SPLIT
from .tables.choose import table_of
from .tables.columns import ROW_GROUP_ROWS


def write_data_file(rows: pa.Table, plan: Plan, number: int) -> tuple[str, int]:
    """Writes sorted rows as a file of the table, under a name that carries the digest of its bytes.

    Statistics stand for what the table is searched by: the key, and the run and model a file is of.

    Args:
      rows: key, passthrough and predictions, `_offset` and `_split`.
      plan: the run.
      number: of the range.

    Returns:
      (path relative to the table, bytes).
    """
    rows = _publishable(rows, plan)
    rows = rows.cast(_stored(rows.schema, plan))
    texts = [field.name for field in rows.schema if _is_text(field.type)]
    integers = [field.name for field in rows.schema if pa.types.is_integer(field.type)]
    with storage.writer(plan.layout.partition(plan.date)) as sink:
        pq.write_table(
            rows,
            sink.file,
            row_group_size=ROW_GROUP_ROWS,
            compression="zstd",
            use_dictionary=texts or False,
            column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED") or None,
            write_statistics=[*plan.job.contract.key, "_run_id", "_model_version"],
            store_schema=False,
        )
        name = plan.layout.data_file(plan.date, plan.run_id, number, sink.sha256)
        sink.commit(name.rpartition("/")[2])
        return name, sink.size


def _publishable(rows: pa.Table, plan: Plan) -> pa.Table:
    """Adds the columns that tell where a prediction came from, each distinct text once."""
    added = origin_columns(rows, plan) if plan.replay else _one_origin(rows, plan)
    names = [name for name in published_schema(plan.job).names if name != PARTITION]
    table = pa.table([added[name] if name in added else rows[name] for name in names], names)
    for name, value in table_of(plan.job).columns(plan.date).items():
        table = table.append_column(name, pa.repeat(value, rows.num_rows))
    return table


def _one_origin(rows: pa.Table, plan: Plan) -> Mapping[str, pa.Array]:
    """Run, model and file of rows that one run has made."""
    return {
        "_run_id": _constant(plan.run_id, rows.num_rows),
        "_model_version": _constant(str(plan.model["version"]), rows.num_rows),
        "_file": names_of(rows[SPLIT].to_numpy(), [split.file for split in plan.splits]),
    }


def _constant(text: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [text])


def _stored(schema: pa.Schema, plan: Plan) -> pa.Schema:
    """The table's types, where a column is not a dictionary of them."""
    published = published_schema(plan.job)
    own = {field.name for field in schema if pa.types.is_dictionary(field.type)} | {PARTITION}
    return pa.schema([field if field.name in own else published.field(field.name) for field in schema])


def _is_text(type: pa.DataType) -> bool:
    return bool(pa.types.is_string(type) or pa.types.is_dictionary(type))
