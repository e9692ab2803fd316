"""How Batches and Splits travel between workers: Arrow IPC, and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pyarrow as pa
from apache_beam import coders

from ..schemas.batch import Batch
from ..schemas.split import Split


class SplitCoder(coders.Coder):
    """A Split as JSON."""

    def encode(self, value: Split) -> bytes:
        """Encodes a Split."""
        return json.dumps(asdict(value)).encode()

    def decode(self, encoded: bytes) -> Split:
        """Decodes a Split."""
        return _split(json.loads(encoded))

    def is_deterministic(self) -> bool:
        """Equal splits have equal bytes."""
        return True

    def to_type_hint(self) -> type[Split]:
        """The type it is for."""
        return Split


class BatchCoder(coders.Coder):
    """A Batch as Arrow IPC streams behind a JSON header; a slice carries only its own rows.

    Not deterministic: a Batch is never a key.
    """

    def encode(self, value: Batch) -> bytes:
        """Encodes a Batch."""
        header = {"split": asdict(value.split), "index": value.index, "last": value.last, "read": value.read}
        sink = pa.BufferOutputStream()
        schema = value.rows.schema.with_metadata({b"batch": json.dumps(header).encode()})
        for rows, as_schema in ((value.rows, schema), (value.rejected, value.rejected.schema)):
            with pa.ipc.new_stream(sink, as_schema) as writer:
                writer.write_batch(rows.replace_schema_metadata(as_schema.metadata))
        return bytes(sink.getvalue().to_pybytes())

    def decode(self, encoded: bytes) -> Batch:
        """Decodes a Batch."""
        source = pa.BufferReader(encoded)
        with pa.ipc.open_stream(source) as reader:
            rows = reader.read_next_batch()
            reader.read_all()  # to the end of the stream, where the next begins
        with pa.ipc.open_stream(source) as reader:
            rejected = reader.read_next_batch()
        header = json.loads(rows.schema.metadata[b"batch"])
        split = _split(header.pop("split"))
        return Batch(split=split, rows=rows.replace_schema_metadata(None), rejected=rejected, **header)

    def estimate_size(self, value: Batch) -> int:
        """Bytes, without encoding: Beam asks for sampled elements on the way."""
        return int(value.rows.nbytes + value.rejected.nbytes) + 512

    def is_deterministic(self) -> bool:
        """Dictionaries may be laid out in several ways."""
        return False

    def to_type_hint(self) -> type[Batch]:
        """The type it is for."""
        return Batch


def _split(plain: dict[str, Any]) -> Split:
    return Split(**{**plain, "header": tuple(plain["header"])})


def register() -> None:
    """Makes Beam use these coders wherever a step declares the types."""
    coders.registry.register_coder(Split, SplitCoder)
    coders.registry.register_coder(Batch, BatchCoder)


register()
