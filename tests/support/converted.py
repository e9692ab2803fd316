"""Texts, converted."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from highbeam.transforms.convert import convert
from highbeam.transforms.verdict import Verdict

from tests.support.csv_files import contract

Outcome = tuple[list[Any], dict[int, tuple[str, str]]]


def outcome(texts: list[bytes | None], spec: dict[str, Any] | str, key: bool = False) -> Outcome:
    """Values, and (reason, message) by row."""
    what = contract({"x": spec}, ("x",) if key else ())
    type = what.arrow_type("x")
    array = pa.array(texts, pa.binary())
    verdict = Verdict(len(texts))
    as_dictionary = pa.types.is_dictionary(type)
    values = convert(array.dictionary_encode() if as_dictionary else array, "x", what.columns["x"], type, verdict)
    assert values.type == type
    assert len(values) == len(texts)
    at, reasons, messages = verdict.findings()
    found = zip(at.tolist(), reasons.to_pylist(), messages.to_pylist(), strict=True)
    return values.to_pylist(), {row: (reason, message) for row, reason, message in found}
