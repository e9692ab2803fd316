"""What became of training records."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam.schemas.errors import Refused
from highbeam.schemas.job import Rejects
from highbeam.transforms.counts import Counts, add, count, judge

from tests.support.models import batch_of, contract_of, rows_of

REASONS = st.sampled_from(["null", "bad_value", "above_max"])
COUNTS = st.builds(
    lambda read, found: Counts(read + 9 * len(found), found, {r: ("f", n, r) for r, n in found.items()}),
    st.integers(0, 100),
    st.dictionaries(REASONS, st.integers(1, 9)),
)


def test_a_batch_is_counted_with_one_reject_of_each_reason() -> None:
    batch = batch_of(rows_of(contract_of({"x": "int64"}), x=[1, 2, 3, 4]))
    batch = batch.turn_away(pa.array([False, True, True, False]), "validate", "null", "nothing there")
    batch = batch.turn_away(pa.array([True, False]), "validate", "above_max", "too great")
    counted = count(batch)
    assert (counted.read, counted.rows, counted.rejected) == (4, 1, {"null": 2, "above_max": 1})
    assert counted.samples == {"null": ("a.csv", 10, "nothing there"), "above_max": ("a.csv", 0, "too great")}


@given(st.lists(COUNTS, max_size=5), st.randoms())
def test_the_order_of_adding_changes_nothing(counts: list[Counts], random: object) -> None:
    whole = add(counts)
    assert whole.read == sum(one.read for one in counts)
    assert whole.turned_away == sum(one.turned_away for one in counts)
    assert add([add(counts[:2]), add(counts[2:])]) == add(reversed(counts)) == whole
    assert Counts.from_plain(json.loads(whole.to_json())) == whole


def test_the_budget_is_a_bound_that_may_be_met() -> None:
    counts = Counts(100, {"null": 2}, {"null": ("h/a.csv", 17, "column x: null")})
    judge(counts, Rejects(max_fraction=0.02))
    with pytest.raises(Refused, match=r"rejected 2 of 100 records \(2.00%\)") as refused:
        judge(counts, Rejects(max_fraction=0.019))
    assert refused.value.reason == "over_budget"
    assert "column x: null (h/a.csv, byte 17)" in str(refused.value)
    with pytest.raises(Refused, match=r"column x: null \(h/a.csv, row 17\)"):
        judge(counts, Rejects(max_fraction=0.019), "row")


def test_nothing_left_is_refused_whatever_the_budget() -> None:
    with pytest.raises(Refused, match="none of 1 records") as refused:
        judge(Counts(1, {"null": 1}, {"null": ("a", 0, "m")}), Rejects(max_fraction=1.0))
    assert refused.value.reason == "no_rows"
