"""Rows on their way into an analysis: the tensors are those that scoring makes."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pytest

from highbeam.models.fit import feed
from highbeam.models.runtime import tf
from highbeam.models.specs import type_specs
from highbeam.models.tensors import assemble, components
from highbeam.transforms.tft_rows import adapter_config, tensor_specs, tft_rows
from highbeam.transforms.tft_runtime import TensorAdapter

from tests.support.models import contract_of, rows_of

UTC = datetime.timezone.utc
COLUMNS: dict[str, tuple[Any, list[Any]]] = {
    "int8": ("int8", [1, -2, 3]),
    "uint32": ("uint32", [2**32 - 1, 0, 1]),
    "bool": ("bool", [True, False, True]),
    "float64": ("float64", [0.1, 1e30, -1.0]),
    "string": ("string", ["a", "", "ü"]),
    "binary": ("binary", [b"\xff", b"", b"a"]),
    "timestamp": ("timestamp", [datetime.datetime(2013, 1, 1, tzinfo=UTC)] * 3),
    "day": ({"type": "date", "as": "int64"}, [datetime.date(1970, 1, 2)] * 3),
    "nullable": ({"type": "float32", "nullable": True}, [None, 2.0, None]),
    "text": ({"type": "string", "nullable": True}, ["", None, "x"]),
    "none": ({"type": "int64", "nullable": True}, [None, None, None]),
    "pair": ({"type": "list<float32>", "size": 2}, [[1, 2], [3, 4], [5, 6]]),
    "list": ("list<int64>", [[1, 2], [], [3]]),
    "ragged": ({"type": "list<string>", "ragged": True}, [["a"], [], ["b", "c"]]),
}


def analysed(contract: Any, rows: pa.RecordBatch) -> dict[str, Any]:
    return dict(TensorAdapter(adapter_config(contract)).ToBatchTensors(tft_rows(rows, contract)))


def values(tensor: Any) -> Any:
    """What a tensor holds, row by row, whatever its kind."""
    if isinstance(tensor, tf.SparseTensor):
        return tf.RaggedTensor.from_sparse(tensor).to_list()
    return tensor.to_list() if isinstance(tensor, tf.RaggedTensor) else tensor.numpy().tolist()


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_becomes_what_scoring_makes_of_it(name: str) -> None:
    spec, cells = COLUMNS[name]
    contract = contract_of({name: spec})
    rows = rows_of(contract, **{name: cells})
    fed = feed(contract, name, type_specs(contract)[name])
    scored = assemble(fed, components(rows.column(name), fed), tf.constant(3, tf.int64))
    tensor = analysed(contract, rows)[name]
    assert tensor.dtype == scored.dtype
    assert values(tensor) == values(scored)


def test_specs_are_those_of_scoring() -> None:
    contract = contract_of({name: spec for name, (spec, _) in COLUMNS.items()})
    assert tensor_specs(contract) == type_specs(contract)


def test_a_slice_and_an_empty_batch_are_packed_alike() -> None:
    contract = contract_of({"x": "float32", "s": "string", "n": {"type": "int64", "nullable": True}})
    rows = rows_of(contract, x=[float(k) for k in range(9)], s=list("abcabcabc"), n=[None, 1, 2] * 3)
    part = analysed(contract, rows.slice(4, 3))
    assert values(part["x"]) == [4, 5, 6]
    assert values(part["s"]) == [b"b", b"c", b"a"]
    assert values(part["n"]) == [[1], [2], []]
    assert values(analysed(contract, rows.slice(4, 0))["s"]) == []
