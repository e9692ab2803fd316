"""Source fields that the beginning of the input does not know: warned of before launch, where a similar name is there.

JSON and TFRecord do not say which fields their records have, and a field may be rare; so this is no error.
"""

from __future__ import annotations

import difflib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..schemas.contract import Contract
from ..schemas.errors import HighbeamError
from ..schemas.sources import Source
from ..schemas.split import Split
from ..transforms.blocks import read_blocks
from .sample_text import elements, leaves

LOOK_BYTES, LOOK_FILES, LOOK_RECORDS = 256 << 10, 3, 1000
"""What is looked at: the beginnings of the first files."""
_ALIKE = 0.8  # paths of one object are much alike already


def misspelt(source: Source, contract: Contract, splits: Sequence[Split]) -> tuple[str, ...]:
    """Looks for fields that the contract names otherwise than the files.

    Args:
      source: what the job says; only of JSON and TFRecord anything is looked at.
      contract: the columns wanted.
      splits: the night's.

    Returns:
      A sentence for each field that none of the first records has, where a similar name is there that no column asks
      for. None when a file cannot be read: the run will say so.
    """
    if source.format not in ("json", "tfrecord"):
        return ()
    found = _records if source.format == "json" else _examples
    firsts = itertools.islice((split for split in splits if split.start == 0), LOOK_FILES)
    try:
        heads = [next(read_blocks(replace(split, end=None), 0, LOOK_BYTES), b"") for split in firsts]
        records = list(itertools.islice(itertools.chain.from_iterable(map(found, heads)), LOOK_RECORDS))
    except (HighbeamError, OSError):
        return ()
    return tuple(_sentences(contract, records))


def warn(warnings: Iterable[str]) -> None:
    """Says on standard error what may be wrong."""
    for said in warnings:
        sys.stderr.write(f"highbeam: warning: {said}\n")


def _sentences(contract: Contract, records: Sequence[set[str]]) -> Iterator[str]:
    there = set[str]().union(*records)
    wanted = {column.source or name for name, column in contract.columns.items()}
    alike = {name.casefold(): name for name in sorted(there - wanted)}
    for field in sorted(wanted - there) if records else ():
        if near := difflib.get_close_matches(field.casefold(), alike, 1, _ALIKE):
            many = f"in none of the first {len(records):,} records" if len(records) > 1 else "not in the first record"
            yield f"source field {field} is {many}; is it {alike[near[0]]}?"


def _records(head: bytes) -> Iterator[set[str]]:
    """The names of the fields of records of JSON; those of nested ones are paths."""
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("["):
        yield from map(_fields, elements(text[1:], complete=False)[0])
        return
    for line in text.split("\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield _fields(record)


def _fields(record: dict[str, object]) -> set[str]:
    objects: set[str] = set()
    return {name for name, _ in leaves("", record, objects)} | objects


def _examples(head: bytes) -> Iterator[set[str]]:
    """The names of the features of tf.Examples."""
    from .sample_tfrecord import feature_names

    return feature_names(head)
