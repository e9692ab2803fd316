"""Reads training rows, by the reader and the contract that scoring reads with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import apache_beam as beam

from .. import storage
from ..schemas.batch import Batch
from ..schemas.contract import Contract
from ..schemas.errors import Refused
from ..schemas.join import Side, joined_columns
from ..schemas.sources import Source
from ..schemas.split import Split
from . import coder as _  # noqa: F401 - registers the coders
from .formats.choose import format_of
from .join import join
from .validate import validate


def spread(pipeline: beam.Pipeline, splits: Sequence[Split], name: str) -> beam.PCollection[Split]:
    """Splits as a PCollection, spread over the workers."""
    created = pipeline | f"Plan {name}" >> beam.Create(list(splits), reshuffle=False).with_output_types(Split)
    return created | f"Spread {name}" >> beam.Reshuffle().with_output_types(Split)


def read_training(
    split: Split, source: Source, contract: Contract, refusals: str, sides: Sequence[Side] = ()
) -> Iterator[Batch]:
    """Reads, validates and joins one split.

    Args:
      split: of the training input.
      source: how it is read.
      contract: what a row must be, labels and joined columns included.
      refusals: where a note is left on what cannot be read.
      sides: the side tables.

    Raises:
      Refused: when the file cannot be read; a note of it is left, since runners turn exceptions into their own.
    """
    try:
        held = contract.without(joined_columns({side.name: side.join for side in sides}))
        for batch in format_of(source).read(split, held, source.max_record_bytes):
            yield join(validate(batch, held), sides, contract)
    except Refused as error:
        note = {"reason": error.reason, "message": str(error)}
        storage.put(storage.join(refusals, f"{split.id}.json"), json.dumps(note).encode())
        raise


def refusal(refusals: str) -> Refused | None:
    """The first refusal that was noted, if any was."""
    for note in storage.listing(refusals):
        found = json.loads(storage.read(note.path))
        return Refused(found["message"], found["reason"])
    return None
