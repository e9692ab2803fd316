"""Serialized tf.Examples as Arrow columns, a block at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import pyarrow as pa

from ..schemas.halving import halving
from .runtime import quiet_stderr

with quiet_stderr():
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

Kind = Literal["int64", "float", "bytes"]
"""What a feature holds: an int64_list, a float_list or a bytes_list."""
_KINDS = {"int64": schema_pb2.INT, "float": schema_pb2.FLOAT, "bytes": schema_pb2.BYTES}
_CODE = re.compile(r"^[A-Z_]+: ")  # of an absl status


class ExampleReader:
    """Decodes some features of tf.Examples.

    Args:
      kinds: feature -> what it must hold. Other features are not looked at.
    """

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        features = [schema_pb2.Feature(name=name, type=_KINDS[kind]) for name, kind in kinds.items()]
        self._schema = schema_pb2.Schema(feature=features).SerializeToString()
        self._decoder = ExamplesToRecordBatchDecoder(self._schema)

    def read(self, examples: Sequence[bytes]) -> tuple[pa.RecordBatch, dict[int, str]]:
        """Decodes examples at one go; when that fails, finds the guilty by halving.

        Returns:
          The features as lists, null where an example has none, for the examples that can be decoded; and of the
          others what is wrong with each.
        """
        try:
            return self._decoded(list(examples)), {}
        except RuntimeError:
            return self._by_halves(examples)

    def _decoded(self, examples: list[bytes]) -> pa.RecordBatch:
        try:
            return self._decoder.DecodeBatch(examples)
        except RuntimeError:
            self._decoder = ExamplesToRecordBatchDecoder(self._schema)  # the old one still holds a part of the examples
            raise

    def _by_halves(self, examples: Sequence[bytes]) -> tuple[pa.RecordBatch, dict[int, str]]:
        rows = pa.RecordBatch.from_arrays([pa.array(examples, pa.binary())], ["example"])
        decoded, wrong, at = [self._decoded([])], dict[int, str](), 0
        for piece, result in halving(rows, lambda some: self._decoded(some.column(0).to_pylist()), (RuntimeError,)):
            if isinstance(result, Exception):
                wrong[at] = _CODE.sub("", str(result))
            else:
                decoded.append(result)
            at += piece.num_rows
        return pa.concat_batches(decoded), wrong
