"""Turns away the rows that break the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.batch import Batch
from ..schemas.consistency import constant
from ..schemas.contract import Column, Contract
from ..schemas.keys import MAX_KEY_BYTES
from . import coder as _  # noqa: F401 - registers the coders
from .messages import sentence, shown
from .rules import column_rules
from .verdict import Verdict


@dataclass(eq=False)  # not frozen: Beam keeps a label and hints on it
class Validate(beam.PTransform):
    """Turns away the rows that break the contract.

    Takes and gives a PCollection[Batch]; rows that break the contract move from `rows` to `rejected` with stage
    `validate`, one reject a row (its first broken rule).

    Args:
      contract: what each column must be.
    """

    contract: Contract

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[Batch]:
        """Wires the step."""
        return batches | beam.Map(validate, self.contract).with_output_types(Batch)


def validate(batch: Batch, contract: Contract) -> Batch:
    """Fills defaults, then splits a batch's rows by the contract.

    Costs one vectorised pass a rule; sentences are made for guilty rows only.

    Args:
      batch: its rows have the contract's columns.
      contract: what they must be.

    Returns:
      A Batch of the same `read`; its nulls are in nullable columns without default.
    """
    rows = fill_defaults(batch.rows, contract)
    filled = batch if rows is batch.rows else batch.with_rows(rows)
    verdict = first_broken_rules(rows, contract)
    if not verdict:
        return filled
    _at, reasons, messages = verdict.findings()
    return filled.turn_away(pa.array(verdict.guilty), "validate", reasons, messages, contract.key)


def fill_defaults(rows: pa.RecordBatch, contract: Contract) -> pa.RecordBatch:
    """Puts the columns' defaults in the place of nulls; gives the same object back when there is nothing to fill."""
    for name, column in contract.columns.items():
        at = rows.schema.get_field_index(name)
        values = rows.column(at)
        if column.default is not None and values.null_count:
            filled = _filled(values, constant(column.default, column.typed.arrow))
            rows = rows.set_column(at, rows.schema.field(at), filled)
    return rows


def _filled(values: pa.Array, default: pa.Scalar) -> pa.Array:
    if not pa.types.is_dictionary(values.type):
        return pc.coalesce(values, default)
    known = values.dictionary
    index = pc.index(known, default).as_py()
    if index < 0:
        index, known = len(known), pa.concat_arrays([known, pa.array([default.as_py()], known.type)])
    return pa.DictionaryArray.from_arrays(values.indices.fill_null(index), known)


def first_broken_rules(rows: pa.RecordBatch, contract: Contract) -> Verdict:
    """Finds the rows that break the contract, each by the first rule it breaks: in column order, then rule order."""
    verdict = Verdict(rows.num_rows)
    last_of_key = [name for name in contract.columns if name in contract.key][-1:]
    for name, column in contract.columns.items():
        values = rows.column(name)
        if values.null_count:
            _blame_nulls(values, name, column, name in contract.key, verdict)
        if name in last_of_key:
            _blame_long_keys(rows, contract.key, verdict)
        for rule in column_rules(column):
            if len(at := rule.breakers(values)):
                guilty = values.take(pa.array(at))
                found = sentence(f"column {name}: ", shown(guilty), rule.about(guilty))
                verdict.blame(at, rule.reason, found)
    return verdict


def _blame_nulls(values: pa.Array, name: str, column: Column, in_key: bool, verdict: Verdict) -> None:
    at = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
    found = "null" if column.source in (None, name) else f"no value in {column.source}"  # null there, or no such field
    if in_key:
        verdict.blame(at, "null_key", f"column {name}: {found}, in the key")
    elif not column.nullable:
        verdict.blame(at, "null", f"column {name}: {found}, and the column is not nullable")


def _blame_long_keys(rows: pa.RecordBatch, key: Sequence[str], verdict: Verdict) -> None:
    texts = [rows.column(name) for name in key if pa.types.is_string(rows.schema.field(name).type)]
    sizes = sum(pc.binary_length(text).fill_null(0).to_numpy().astype(np.int64) for text in texts)
    if texts and len(at := np.flatnonzero(sizes > MAX_KEY_BYTES)):
        found = sentence(f"key {', '.join(key)}: ", pa.array(sizes[at]), f" bytes, at most {MAX_KEY_BYTES} are allowed")
        verdict.blame(at, "key_too_long", found)
