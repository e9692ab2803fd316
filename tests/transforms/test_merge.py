"""Merge, reconcile and publish over staged rows: files, counts, duplicates, and every reason to refuse."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from highbeam import storage
from highbeam.schemas.job import Rejects
from highbeam.schemas.manifest import Manifest
from highbeam.schemas.plan import Plan
from highbeam.schemas.rejected import rejects
from highbeam.transforms.merge import merge, read_report
from highbeam.transforms.publish import publish
from highbeam.transforms.ranges import order_columns, plan_ranges
from highbeam.transforms.reconcile import reconcile
from highbeam.transforms.tables import delta
from highbeam.transforms.tables.delta_table import DeltaPredictions

from tests.support.plans import plan_of, stage_rows


def part(keys: list[int]) -> pa.Table:
    words = pa.array([f"g{k % 3}" for k in keys], pa.string()).dictionary_encode()
    return pa.table({"k": pa.array(keys, pa.int64()), "g": words, "y": pa.array(np.array(keys) / 2, pa.float32())})


def some_rejects(plan: Plan, split: int, n: int) -> pa.RecordBatch:
    offsets = pa.array(range(5, 5 + 10 * n, 10), pa.int64())
    return rejects(plan.splits[split].file, offsets, "read", "bad_value", "column k: 'x' is not an int64")


def merged(plan: Plan, rows_each: int = 1 << 20) -> list[str]:
    paths = [plan.staged(number) for number in range(len(plan.splits))]
    ranges = plan_ranges(paths, order_columns(plan.job.contract), rows_each)
    return [merge(plan, ranges, number) for number in range(len(ranges))]


def with_files(plan: Plan, records: int = 1000) -> Plan:
    """Input files of ten bytes a record, so that raw bytes can be read again."""
    text = b"".join(b"%09d\n" % number for number in range(records))
    splits = []
    for split in plan.splits:
        storage.put(split.path, text)
        info = storage.stat(split.path)
        assert info
        splits.append(dataclasses.replace(split, size=info.size, mark=info.mark, end=info.size))
    plan = dataclasses.replace(plan, splits=tuple(splits), launch=plan.launch[:-1] + "1")
    storage.put(plan.path, plan.to_json())
    return plan


def test_files_are_sorted_named_by_their_bytes_and_say_where_rows_came_from(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 2)
    stage_rows(plan, [part([5, 1, 3]), part([4, 2, 0])])
    (path,) = merged(plan)
    report, _ = read_report(path)
    table = pq.read_table(tmp_path / "table" / report.file, partitioning=None)
    assert table.column_names == ["k", "g", "y", "_run_id", "_model_version", "_file", "_offset"]
    assert table["k"].to_pylist() == [0, 1, 2, 3, 4, 5]
    assert table["g"].to_pylist() == ["g0", "g1", "g2", "g0", "g1", "g2"]
    assert table["_file"].to_pylist() == ["1.csv", "0.csv", "1.csv", "0.csv", "1.csv", "0.csv"]
    assert table["_offset"].to_pylist() == [20, 10, 10, 20, 0, 0]
    assert set(table["_run_id"].to_pylist()) == {plan.run_id}
    assert report.taken == {"0": 3, "1": 3}
    first = (tmp_path / "table" / report.file).read_bytes()
    storage.remove(path)
    assert merged(plan) == [path]
    assert (tmp_path / "table" / report.file).read_bytes() == first


def test_a_merge_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 1)
    stage_rows(plan, [part([1, 2])])
    (path,) = merged(plan)
    report, _ = read_report(path)
    stage_rows(plan, [part([7])])  # would give another file
    merged(plan)
    assert read_report(path)[0] == report
    storage.remove(storage.join(plan.layout.table, report.file))
    merged(plan)
    assert read_report(path)[0] != report


def test_duplicates_kept_rejected_refused(tmp_path: Path) -> None:
    keys = [[5, 1, 1], [1, 5, 0]]
    kept = plan_of(tmp_path / "keep", 2)
    stage_rows(kept, [part(k) for k in keys])
    assert reconcile(kept, merged(kept)).predicted == 6

    rejecting = with_files(plan_of(tmp_path / "reject", 2, "key: {columns: k, duplicates: reject}"))
    stage_rows(rejecting, [part(k) for k in keys])
    paths = merged(rejecting, 1)
    tally = reconcile(rejecting, paths)
    assert (tally.read, tally.predicted, tally.rejected) == (6, 3, 3)
    assert tally.rejected_by == {"merge": {"duplicate_key": 3}}
    gone = pa.Table.from_batches([read_report(path)[1] for path in paths]).sort_by(
        [("file", "ascending"), ("offset", "ascending")]
    )
    assert gone["file"].to_pylist() == ["0.csv", "1.csv", "1.csv"]
    assert gone["key"].to_pylist() == ["1", "1", "5"]
    assert gone["raw"].to_pylist() == [b"000000002", b"000000000", b"000000001"]
    job = rejecting.job.model_copy(update={"rejects": Rejects(keep_raw=False)})
    for path in paths:
        storage.remove(path)
    bare = [read_report(path)[1] for path in merged(dataclasses.replace(rejecting, job=job), 1)]
    assert {(row["length"], row["raw"]) for part in bare for row in part.to_pylist()} == {(9, None)}

    refusing = plan_of(tmp_path / "refuse", 2, "key: {columns: k, duplicates: refuse}")
    stage_rows(refusing, [part(k) for k in keys])
    problem = reconcile(refusing, merged(refusing, 1)).problem
    assert problem is not None
    assert problem.reason == "duplicate_key"
    assert "once: 1, 5;" in str(problem)


@pytest.mark.parametrize(
    ("rejected", "settings", "reason"),
    [
        (0, {}, None),
        (1, {"max_fraction": 0.01}, None),
        (2, {"max_fraction": 0.01}, "over_budget"),
        (100, {"max_fraction": 1.0}, None),
        (0, {"min_rows": 101}, "too_few_rows"),
    ],
)
def test_reasons_to_refuse(tmp_path: Path, rejected: int, settings: dict, reason: str | None) -> None:
    plan = plan_of(tmp_path, 1)
    budget = plan.job.rejects.model_copy(update={"max_fraction": settings.get("max_fraction", 0.01)})
    source = plan.job.source.model_copy(update={"min_rows": settings.get("min_rows", 1)})
    plan = dataclasses.replace(plan, job=plan.job.model_copy(update={"rejects": budget, "source": source}))
    stage_rows(plan, [part(list(range(100 - rejected)))], [some_rejects(plan, 0, rejected)])
    tally = reconcile(plan, merged(plan))
    assert (tally.read, tally.predicted, tally.rejected) == (100, 100 - rejected, rejected)
    assert (tally.problem and tally.problem.reason) == reason


def test_a_lost_split_or_row_is_seen(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 2)
    stage_rows(plan, [part([1, 2]), part([3, 4])])
    paths = merged(plan)
    assert reconcile(plan, paths).problem is None
    stage_rows(plan, [part([1, 2, 9]), part([3, 4])])
    assert "3 records were read, but 2 rows were merged" in str(reconcile(plan, paths).problem)
    storage.remove(plan.staged(0))
    problem = reconcile(plan, paths).problem
    assert problem is not None
    assert problem.reason == "unconserved"


def test_rows_are_counted_in_the_files_themselves(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 1)
    stage_rows(plan, [part([1, 2, 3])])
    paths = merged(plan)
    file = tmp_path / "table" / read_report(paths[0])[0].file
    pq.write_table(pq.read_table(file, partitioning=None).slice(1), file)
    manifest = Manifest.from_json(storage.read(publish(plan.path, paths)))
    assert (manifest.status, manifest.reason, manifest.files) == ("refused", "unconserved", ())
    assert "holds 2 rows, not the 3 merged into it" in manifest.message
    assert delta.current(plan.layout.table, plan.date) is None


def warehouse_is_down(*_: object) -> None:
    raise OSError("the rejects could not be loaded")


@pytest.mark.parametrize("in_the_way", ["of the rejects table", "of a warehouse"])
def test_nothing_is_published_whose_rejects_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_the_way: str
) -> None:
    first = plan_of(tmp_path, 1)
    stage_rows(first, [part(list(range(200)))])
    publish(first.path, merged(first))
    before = delta.current(first.layout.table, first.date)
    second = dataclasses.replace(first, attempt=2, launch="20131202T000000Z-0005", score_id="1" * 16)
    storage.put(second.path, second.to_json())
    stage_rows(second, [part(list(range(199)))], [some_rejects(second, 0, 1)])
    paths = merged(second)
    if in_the_way == "of a warehouse":
        monkeypatch.setattr(DeltaPredictions, "reject", warehouse_is_down)
    else:
        Path(second.layout.rejects).parent.mkdir(parents=True, exist_ok=True)
        Path(second.layout.rejects).write_bytes(b"in the way")
    with pytest.raises(OSError, match="rejects"):
        publish(second.path, paths)
    assert delta.current(first.layout.table, first.date) == before
    assert not storage.exists(second.manifest)


def test_publish_commits_writes_rejects_and_a_manifest(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 1)
    stage_rows(plan, [part(list(range(200)))], [some_rejects(plan, 0, 1)])
    manifest = Manifest.from_json(storage.read(publish(plan.path, merged(plan))))
    assert (manifest.status, manifest.read, manifest.predicted, manifest.rejected) == ("published", 201, 200, 1)
    now = delta.current(plan.layout.table, plan.date)
    assert now is not None
    assert (now.run_id, now.rows, now.files) == (plan.run_id, 200, manifest.files)

    again = dataclasses.replace(plan, launch="20131202T000000Z-0002")
    storage.put(again.path, again.to_json())
    publish(again.path, merged(again))
    later = delta.current(plan.layout.table, plan.date)
    assert later == now


def test_an_earlier_attempt_is_superseded(tmp_path: Path) -> None:
    first, second = plan_of(tmp_path, 1, attempt=1), plan_of(tmp_path, 1, attempt=2)
    stage_rows(first, [part([1, 2])])
    storage.put(second.path, second.to_json())
    publish(second.path, merged(second))
    stale = dataclasses.replace(first, launch="20131202T000000Z-0003")
    storage.put(stale.path, stale.to_json())
    manifest = Manifest.from_json(storage.read(publish(stale.path, merged(stale))))
    assert (manifest.status, manifest.exit_code) == ("superseded", 3)


def test_an_empty_night_publishes_an_empty_partition(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 0)
    source = plan.job.source.model_copy(update={"min_rows": 0})
    plan = dataclasses.replace(plan, job=plan.job.model_copy(update={"source": source}), launch="20131202T000000Z-0004")
    storage.put(plan.path, plan.to_json())
    manifest = Manifest.from_json(storage.read(publish(plan.path, merged(plan))))
    assert (manifest.status, manifest.read) == ("published", 0)
    assert delta.dates(plan.layout.table) == ["2013-12-01"]


def test_eight_dates_published_at_once_all_stand(tmp_path: Path) -> None:
    plans = []
    for day in range(1, 9):
        plan = dataclasses.replace(plan_of(tmp_path, 1), date=f"2013-12-0{day}", score_id=f"{day:016x}")
        storage.put(plan.path, plan.to_json())
        stage_rows(plan, [part([day, 100 + day])])
        plans.append((plan, merged(plan)))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda planned: publish(planned[0].path, planned[1]), plans))
    table = plans[0][0].layout.table
    assert delta.dates(table) == [plan.date for plan, _ in plans]
    for plan, _ in plans:
        now = delta.current(table, plan.date)
        assert now is not None
        assert (now.run_id, now.rows) == (plan.run_id, 2)
