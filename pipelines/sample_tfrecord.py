"""tf.Examples of a TFRecord as a table."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from ..schemas.errors import UsageError
from ..transforms.formats.tfrecord_framing import masked_crc

_HEAD, _TAIL = struct.Struct("<QI"), 4


def is_tfrecord(head: bytes) -> bool:
    """Whether bytes begin with a length and its checksum."""
    if len(head) < _HEAD.size:
        return False
    return bool(_HEAD.unpack_from(head)[1] == masked_crc(head[:8]))


def read_examples(path: str, head: bytes, most: int) -> pa.Table:
    """The records of a file's first bytes; one that is cut off is left out.

    A feature of which every record has one value at most is a column of values, any other one of lists; bytes that all
    are UTF-8 are text.

    Raises:
      UsageError: when a record is no tf.Example.
    """
    from ..models.runtime import tf  # slow to import, and needed for this kind of files alone

    try:
        examples = [tf.train.Example.FromString(data) for _, data in zip(range(most), _records(head), strict=False)]
    except Exception as error:  # protobuf's own, which differs between its implementations
        raise UsageError(f"{path}: a record of it is no tf.Example: {error}") from error
    names = dict.fromkeys(name for example in examples for name in sorted(example.features.feature))
    return pa.table({name: _column([_values(example, name) for example in examples]) for name in names})


def feature_names(head: bytes) -> Iterator[set[str]]:
    """The names of the features of each record of a file's first bytes; of what is no tf.Example there are none."""
    from ..models.runtime import tf

    for data in _records(head):
        try:
            yield set(tf.train.Example.FromString(data).features.feature)
        except Exception:  # protobuf's own, which differs between its implementations
            yield set()


def _records(head: bytes) -> Iterator[bytes]:
    at = 0
    while at + _HEAD.size <= len(head):
        length, _ = _HEAD.unpack_from(head, at)
        start, at = at + _HEAD.size, at + _HEAD.size + length + _TAIL
        if at <= len(head):
            yield head[start : start + length]


def _values(example: Any, name: str) -> list[Any]:
    feature = example.features.feature.get(name) if name in example.features.feature else None
    kind = feature.WhichOneof("kind") if feature is not None else None
    return list(getattr(feature, kind).value) if kind else []


def _column(lists: Sequence[list[Any]]) -> pa.Array:
    single = all(len(values) < 2 for values in lists)
    array = pa.array([values[0] if values else None for values in lists] if single else lists)
    kind = pa.string() if single else pa.list_(pa.string())
    if pa.types.is_binary(array.type) or (pa.types.is_list(array.type) and pa.types.is_binary(array.type.value_type)):
        try:
            return array.cast(kind)
        except pa.ArrowInvalid:
            return array
    return array
