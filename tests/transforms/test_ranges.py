"""The sample sort: whatever the rows and splits, the ranges hold every row once and follow each other in order."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam import storage
from highbeam.schemas.plan import Plan
from highbeam.transforms import staged
from highbeam.transforms.cells import Cells, merge_cell, plan_cells
from highbeam.transforms.ranges import Ranges, order_columns, plan_ranges, take_range

from tests.support.plans import plan_of, stage_rows

KEYS = {
    "int64": st.integers(-3, 40),
    "string": st.text(max_size=3),
    "date": st.dates(),
}


def planned(plan: Plan, rows_each: int, cells: bool = False) -> Ranges:
    paths = [plan.staged(number) for number in range(len(plan.splits))]
    if cells:
        paths = merged_cells(plan, paths, rows_each)
    ranges = plan_ranges(paths, order_columns(plan.job.contract), rows_each)
    assert Ranges.from_json(ranges.to_json()) == ranges
    return ranges


def merged_cells(plan: Plan, paths: list[str], rows_each: int) -> list[str]:
    """The first of two levels, however few objects there are."""
    cells = plan_cells(paths, order_columns(plan.job.contract), rows_each, max_opens=-1)
    assert Cells.from_json(cells.to_json()) == cells
    merged = [plan.layout.cell(plan.score_id, plan.run_id, number) for number in range(len(cells))]
    for number, path in enumerate(merged if paths else []):
        storage.put(path, merge_cell(cells, number, plan.job.contract))
    return merged if paths else []


def all_ranges(plan: Plan, ranges: Ranges) -> list[pa.Table]:
    taken = [take_range(ranges, number, plan.job.contract) for number in range(len(ranges))]
    return [rows for rows in taken if rows is not None]


def part(keys: list, g: list, type: pa.DataType) -> pa.Table:
    y = pa.array(np.arange(len(keys)), pa.float32())
    return pa.table({"k": pa.array(keys, type), "g": pa.array(g, pa.string()), "y": y})


@pytest.mark.parametrize("type", KEYS)
@pytest.mark.parametrize("line", ["key: k", "key: [g, k]", "key: {columns: k, duplicates: reject}", ""])
@given(data=st.data(), rows_each=st.integers(1, 50))
@settings(max_examples=15, deadline=None)
def test_every_row_once_and_in_order(type: str, line: str, data: st.DataObject, rows_each: int) -> None:
    arrow = {"int64": pa.int64(), "string": pa.string(), "date": pa.date32()}[type]
    parts = data.draw(st.lists(st.lists(st.tuples(KEYS[type], st.sampled_from("ab")), max_size=30), max_size=4))
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(staged, "BATCH_ROWS", 4)
        plan = plan_of(Path(folder), len(parts), line, type, "[]" if "g" in line else "[g]")
        if not line:
            plan = plan_of(Path(folder), len(parts), "", type, "[k, g]")
        stage_rows(plan, [part([k for k, _ in rows], [g for _, g in rows], arrow) for rows in parts])
        taken = all_ranges(plan, planned(plan, rows_each))
        by_cells = all_ranges(plan, planned(plan, rows_each, cells=True))
    found = [(r["k"], r["g"], r["_split"], r["_offset"]) for rows in taken for r in rows.to_pylist()]
    expected = [(k, g, i, 10 * j) for i, rows in enumerate(parts) for j, (k, g) in enumerate(rows)]
    orders = {
        "key: k": lambda r: (text(r[0]), r[2], r[3]),
        "key: [g, k]": lambda r: (r[1], text(r[0]), r[2], r[3]),
        "key: {columns: k, duplicates: reject}": lambda r: (text(r[0]), r[2], r[3]),
        "": lambda r: (r[2], r[3]),
    }
    assert found == sorted(expected, key=orders[line])
    assert [r for rows in by_cells for r in rows.to_pylist()] == [r for rows in taken for r in rows.to_pylist()]
    if "reject" in line:
        held = [set(rows["k"].to_pylist()) for rows in taken]
        assert sum(map(len, held)) == len(set().union(*held))


def text(key: object) -> object:
    """Strings order by UTF-8 bytes."""
    return key.encode() if isinstance(key, str) else key


def test_ranges_are_even_and_read_little(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 4)
    numbers = np.random.default_rng(1).permutation(400_000).reshape(4, -1)
    stage_rows(plan, [part(list(keys), ["a"] * len(keys), pa.int64()) for keys in numbers])
    ranges = planned(plan, 50_000)
    sizes = [rows.num_rows for rows in all_ranges(plan, ranges)]
    assert len(sizes) == 8
    assert sum(sizes) == 400_000
    assert max(sizes) < 1.3 * 50_000
    batches = sum(end - first for parts in ranges.parts for _, first, end in parts)
    assert batches <= 4 * -(-100_000 // staged.BATCH_ROWS) + 2 * 8 * 4


def test_sorted_input_opens_each_split_in_few_ranges(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 4)
    numbers = np.arange(400_000).reshape(4, -1)
    stage_rows(plan, [part(list(keys), ["a"] * len(keys), pa.int64()) for keys in numbers])
    ranges = planned(plan, 50_000)
    assert max(len(parts) for parts in ranges.parts) <= 2


def test_nothing_staged_gives_one_empty_range(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 0)
    ranges = planned(plan, 10)
    assert len(ranges) == 1
    assert take_range(ranges, 0, plan.job.contract) is None


def test_mixed_keys_of_many_splits_take_two_levels(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, 64)
    numbers = np.random.default_rng(2).permutation(64_000).reshape(64, -1)
    stage_rows(plan, [part(list(keys), ["a"] * len(keys), pa.int64()) for keys in numbers])
    paths, order = [plan.staged(number) for number in range(64)], order_columns(plan.job.contract)
    assert len(plan_cells(paths, order, 1000, max_opens=64 * 64)) == 0
    cells = plan_cells(paths, order, 1000, max_opens=1000)
    assert (cells.groups, len(cells)) == (8, 64)
    merged = merged_cells(plan, paths, 1000)
    ranges = plan_ranges(merged, order, 1000)
    opens = sum(len(parts) for parts in ranges.parts) + 8 * 64
    assert opens < sum(len(parts) for parts in plan_ranges(paths, order, 1000).parts) / 2
    found = pa.concat_tables(all_ranges(plan, ranges))["k"].to_pylist()
    assert found == list(range(64_000))
