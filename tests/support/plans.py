"""Plans over tables in memory, staged without reading or scoring anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from highbeam import storage
from highbeam.schemas.job_file import parse_job
from highbeam.schemas.plan import Plan
from highbeam.schemas.rejected import EMPTY
from highbeam.schemas.split import Split
from highbeam.transforms.staged import encode_staged

JOB = """\
name: staged
source: {{csv: {{path: "*.csv"}}}}
columns: {{k: {k}, g: string, x: float32}}
{key}
model: {{path: models}}
predictions: {{y: {{tensor: y, type: float32}}}}
output: {{delta: {{path: table}}, passthrough: {passthrough}}}
"""


def plan_of(
    folder: Path, splits: int, key: str = "key: k", k: str = "int64", passthrough: str = "[g]", attempt: int = 1
) -> Plan:
    """A plan of some splits whose files are not there; `key` is the job's line."""
    job = parse_job(JOB.format(k=k, key=key, passthrough=passthrough), str(folder / "job.yaml"))
    pieces = tuple(Split(i, str(folder / f"{i}.csv"), f"{i}.csv", 10**6, "m", 0, 10**6) for i in range(splits))
    plan = Plan(job, "2013-12-01", "20131202T000000Z-0000", "0" * 16, attempt, pieces, {"name": "m", "version": "1"})
    storage.put(plan.path, plan.to_json())
    return plan


def stage_rows(plan: Plan, parts: Sequence[pa.Table], rejected: Sequence[pa.RecordBatch] = ()) -> None:
    """Stages one table a split; offsets are row numbers times ten unless given."""
    for number, rows in enumerate(parts):
        if "_offset" not in rows.column_names:
            rows = rows.append_column("_offset", pa.array(range(0, 10 * rows.num_rows, 10), pa.int64()))
        gone = rejected[number] if rejected else EMPTY
        staged = encode_staged(rows, gone, rows.num_rows + gone.num_rows, plan.job.contract.key, number)
        storage.put(plan.staged(number), staged)
