"""Columns of a contract from the features of tf.Examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.batch import Batch
from ...schemas.contract import Column, Contract
from ...schemas.split import Split
from ..messages import sentence
from ..verdict import Verdict, as_mask
from .columns import column_batch
from .tfrecord_framing import Group

if TYPE_CHECKING:
    from ...models.example_reader import Kind

_T = pa.types


class ExampleColumns:
    """Decodes tf.Examples into the columns of a contract.

    Args:
      contract: the columns wanted, each from the feature of its name or of its `from`.
    """

    def __init__(self, contract: Contract) -> None:
        from ...models.example_reader import ExampleReader  # loads TensorFlow, which planning does without

        self._contract = contract
        self._features = {name: column.source or name for name, column in contract.columns.items()}
        self._reader = ExampleReader({self._features[n]: kind_of(column) for n, column in contract.columns.items()})

    def batch(self, split: Split, group: Group, max_record_bytes: int) -> Batch:
        """One Batch of at least one record; not marked as the last."""
        records = Verdict(len(group))
        _blame_length(group, max_record_bytes, records)
        for at, crc in group.damaged.items():
            said = f"the record's {group.lengths[at]} bytes do not match their checksum, {crc:#010x}"
            records.blame(np.array([at]), "bad_record", said)
        sound = records.innocent
        rows, wrong = self._reader.read([group.data[at] for at in sound.tolist()])
        for at, why in wrong.items():
            records.blame(sound[[at]], "bad_example", f"the tf.Example cannot be decoded: {why}")
        rows = self._singles(rows, records)
        columns = [_typed(rows.column(self._features[n]), c) for n, c in self._contract.columns.items()]
        return column_batch(split, self._contract, np.array(group.offsets, np.int64), columns, records)

    def _singles(self, rows: pa.RecordBatch, records: Verdict) -> pa.RecordBatch:
        """The rows that hold one value at most in each column that is no list; blames the others."""
        sound, many = records.innocent, Verdict(rows.num_rows)
        for name, column in self._contract.columns.items():
            values = rows.column(self._features[name])
            if column.typed.is_list or _T.is_null(values.type):
                continue
            lengths = pc.list_value_length(values).fill_null(0)
            if len(at := np.flatnonzero(lengths.to_numpy() > 1)):
                found = sentence(f"column {name}: the feature holds ", lengths.take(pa.array(at)), " values, not one")
                many.blame(at, "bad_value", found)
        if not many:
            return rows
        at, reasons, messages = many.findings()
        for row, reason, message in zip(sound[at].tolist(), reasons.to_pylist(), messages.to_pylist(), strict=True):
            records.blame(np.array([row]), reason, message)
        return rows.filter(pa.array(~many.guilty))


def kind_of(column: Column) -> Kind:
    """What the feature of a column holds."""
    kind = column.typed.item
    if _T.is_floating(kind):
        return "float"
    if _T.is_integer(kind) or _T.is_boolean(kind) or (_T.is_timestamp(kind) and column.format is None):
        return "int64"
    return "bytes"


def feature_problems(contract: Contract) -> Iterator[str]:
    """Columns that want one feature to be of different kinds."""
    first: dict[str, str] = {}
    for name, column in contract.columns.items():
        feature = column.source or name
        other = first.setdefault(feature, name)
        kinds = [kind_of(contract.columns[each]) for each in (other, name)]
        if kinds[0] != kinds[1]:
            yield (
                f"columns {other} and {name}: both are read from the feature {feature!r}, one as {kinds[0]}_list, one "
                f"as {kinds[1]}_list; a feature is of one kind"
            )


def _blame_length(group: Group, max_record_bytes: int, records: Verdict) -> None:
    lengths = np.array(group.lengths, np.uint64)
    if len(at := np.flatnonzero(lengths > max_record_bytes)):
        allowed = f" bytes, at most {max_record_bytes} are allowed (source.max_record_bytes)"
        records.blame(at, "record_too_long", sentence("the record has ", pa.array(lengths[at]), allowed))


def _typed(values: pa.Array, column: Column) -> pa.Array:
    """A feature's lists as values of a type that can be cast to the column's."""
    if _T.is_null(values.type):
        return values
    items = values.flatten()
    kind = column.typed.item
    if _T.is_timestamp(kind) and _T.is_int64(items.type):
        items = items.view(pa.timestamp("us", "UTC"))
    elif _T.is_large_binary(items.type) and not (_T.is_binary(kind) or _T.is_string(kind)):
        items = items.cast(pa.binary()).view(pa.string())
    lengths = pc.list_value_length(values).fill_null(0).to_numpy()
    if column.typed.is_list:
        empty = as_mask(values.is_null())
        ends = pa.array(np.append(0, np.cumsum(lengths)))
        return pa.LargeListArray.from_arrays(ends, items, mask=pa.array(empty))
    places = np.cumsum(lengths) - lengths
    return items.take(pa.array(places, mask=lengths == 0))
