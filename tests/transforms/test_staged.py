"""The staged object: what goes in comes out sorted, and half an object is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from highbeam import storage
from highbeam.schemas.rejected import EMPTY, rejects
from highbeam.transforms.staged import BATCH_ROWS, Staged, add_reasons, encode_staged, is_staged


def rows(n: int) -> pa.Table:
    numbers = np.random.default_rng(0).permutation(n)
    words = pa.array([f"w{i % 7}" for i in numbers], pa.string()).dictionary_encode()
    return pa.table({"k": numbers, "g": words, "y": numbers.astype("f4"), "_offset": np.arange(n)})


def some_rejects() -> pa.RecordBatch:
    return rejects("a.csv", pa.array([5, 7, 9]), "read", pa.array(["x", "y", "x"]), "message")


@pytest.mark.parametrize("n", [0, 1, BATCH_ROWS, BATCH_ROWS * 2 + 5])
def test_round_trip(tmp_path: Path, n: int) -> None:
    path = str(tmp_path / "deep" / "s.staged")
    storage.put(path, encode_staged(rows(n), some_rejects(), n + 3, ["k"]))
    with Staged(path) as staged:
        assert (staged.footer.read, staged.footer.rows, staged.footer.rejected) == (n + 3, n, 3)
        assert staged.footer.rejected_by == {"read": {"x": 2, "y": 1}}
        assert staged.batches().column("k").to_pylist() == list(range(n))
        assert staged.batches().column("g").to_pylist() == [f"w{i % 7}" for i in range(n)]
        assert staged.rejected().equals(some_rejects())
        sketch = staged.sketch()
        assert sum(sketch["_rows"].to_pylist()) == n
        if n:
            assert sketch["k"].to_pylist() == [*range(0, n, BATCH_ROWS), n - 1]
            assert staged.batches(0, 1).num_rows == min(n, BATCH_ROWS)
    assert is_staged(path)


def test_equal_rows_give_equal_bytes() -> None:
    assert encode_staged(rows(100), EMPTY, 100, ["k"]) == encode_staged(rows(100), EMPTY, 100, ["k"])


def test_half_an_object_is_none(tmp_path: Path) -> None:
    path = str(tmp_path / "s.staged")
    assert not is_staged(path)
    whole = encode_staged(rows(100), EMPTY, 100, ["k"]).to_pybytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", whole[:40] + b"?" + whole[41:]):
        storage.put(path, damaged)
        assert not is_staged(path)
    storage.put(path, whole)
    assert is_staged(path)


def test_reasons_add_up() -> None:
    assert add_reasons([{"read": {"x": 1}}, {"read": {"x": 2, "y": 1}, "validate": {"null": 4}}, {}]) == {
        "read": {"x": 3, "y": 1},
        "validate": {"null": 4},
    }
