"""A column of a file as the contract would say it: type, what may be missing, and what is worth a second look."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from ..schemas.contract import KEY_TYPES
from ..schemas.types import type_name
from ..transforms.formats.castable import is_bytes, is_list, is_text, is_uuid

KEYS = tuple(type for type in KEY_TYPES if type != "timestamp")
"""What a key is guessed to be; times are often distinct by chance."""
_FEW_VALUES, _ROWS_A_VALUE = 20, 5
_WIDE = 10**9
_T = pa.types


@dataclass(frozen=True)
class Drafted:
    """A column of the draft.

    Attributes:
      name: its name in the contract.
      spec: what job.yaml says of it.
      notes: remarks for the reader, a short phrase each.
      key: whether it could be the key: unique and never null in the rows looked at.
    """

    name: str
    spec: dict[str, Any]
    notes: tuple[str, ...] = ()
    key: bool = False

    def line(self) -> str:
        """The column as a line of job.yaml."""
        short: Any = self.spec["type"] if len(self.spec) == 1 else self.spec
        notes = f"  # {'; '.join(self.notes)}" if self.notes else ""
        return f"{flow(self.name)}: {flow(short)}{notes}"


def flow(value: Any) -> str:
    """A value as YAML in one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=_WIDE, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def drafted(
    name: str, values: pa.ChunkedArray, source: str, text: bool, optional: bool = False,
    wrong: tuple[int, Any] | None = None, notes: Sequence[str] = (),
) -> Drafted | None:  # fmt: skip
    """Drafts a column.

    Args:
      name: for the contract.
      values: of the rows looked at.
      source: its name in the files.
      text: whether the file's own types are none, but were inferred.
      optional: whether some file lacks it.
      wrong: how many values are not of the type, null among `values`, and one of them.
      notes: remarks of whoever read the values.

    Returns:
      None where no column of a contract holds such values.
    """
    said = _typed(values.type, text)
    if said is None:
        return None
    nulls = values.null_count - (wrong[0] if wrong else 0)
    renamed = {"from": source} if source != name else {}
    loose = {**({"nullable": True} if nulls or optional else {}), **({"optional": True} if optional else {})}
    key = not loose and _could_be_key(said["type"], values)
    found = [*_wrong(values, said["type"], wrong), *_notes(values, said), *(["unique, a key?"] if key else [])]
    return Drafted(name, {**said, **renamed, **loose}, (*notes, *found), key)


def _typed(type: pa.DataType, text: bool) -> dict[str, Any] | None:
    """Type of the contract for a type of Arrow, and what belongs to it."""
    if _T.is_dictionary(type):
        return _typed(type.value_type, text)
    if is_list(type):
        item = _typed(type.value_type, text)
        if item is None or set(item) != {"type"} or item["type"].startswith("list<"):
            return None
        size = {"size": type.list_size} if _T.is_fixed_size_list(type) else {}
        return {"type": f"list<{item['type']}>", **size}
    if _T.is_timestamp(type):
        return {"type": "timestamp"} if type.tz else {"type": "timestamp", "timezone": "UTC"}
    named = _plain(type, text)
    return {"type": named} if named else None


def _plain(type: pa.DataType, text: bool) -> str | None:
    if is_text(type) or is_uuid(type) or _T.is_time(type) or _T.is_null(type):
        return "string"
    if is_bytes(type):
        return "binary"
    if _T.is_date(type):
        return "date"
    if _T.is_float16(type) or (_T.is_float64(type) and text):
        return "float32"
    if _T.is_uint64(type):
        return "int64"
    if _T.is_decimal(type) and text:
        return f"decimal(38, {max(type.scale, 0)})"  # other files may hold more digits
    try:
        return type_name(type)
    except ValueError:
        return None


def _notes(values: pa.ChunkedArray, said: dict[str, Any]) -> Iterator[str]:
    if values.null_count == len(values):
        yield "no value in the rows looked at"
    if "timezone" in said:
        yield "these times carry no zone; which are they of?"
    if _T.is_uint64(values.type):
        yield "uint64 in the file; what is above the greatest int64 is rejected"
    if is_list(values.type) and "size" not in said:
        yield from _one_size(values)
    if said["type"] == "string" and values.null_count < len(values):
        yield from _few_values(values)


def _wrong(values: pa.ChunkedArray, type: str, wrong: tuple[int, Any] | None) -> Iterator[str]:
    if wrong:
        yield f"{wrong[0]:,} of {len(values):,} values are no {type}, such as {_shown(wrong[1])}: rejected"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value[:40])
    return (str(value).lower() if isinstance(value, bool) else str(value))[:40]


def _one_size(values: pa.ChunkedArray) -> Iterator[str]:
    sizes = pc.unique(pc.list_value_length(values)).drop_null().to_pylist()
    if len(sizes) == 1 and sizes[0] > 1 and len(values) > 1:
        yield f"size: {sizes[0]}, if all lists are so long"


def _few_values(values: pa.ChunkedArray) -> Iterator[str]:
    try:
        found = sorted(pc.unique(values.cast(pa.string())).drop_null().to_pylist())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return
    if 1 < len(found) <= _FEW_VALUES and len(values) >= _ROWS_A_VALUE * len(found) and max(map(len, found)) <= 40:
        yield f"values: {flow(found)}"


def _could_be_key(type: str, values: pa.ChunkedArray) -> bool:
    if type not in KEYS or values.null_count or len(values) < 2:
        return False
    if is_uuid(values.type):
        values = pa.chunked_array([chunk.storage for chunk in values.chunks])
    if _T.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if _T.is_string_view(values.type):
        values = values.cast(pa.string())
    return bool(pc.count_distinct(values).as_py() == len(values))


def contract_name(source: str, taken: Collection[str]) -> str:
    """An identifier for a column of a file, its own name where that is one."""
    name = re.sub(r"\W+", "_", source).strip("_") if not source.isidentifier() or source.startswith("_") else source
    name = name if name.isidentifier() else f"c_{name}".rstrip("_")
    fresh, number = name, 2
    while fresh in taken:
        fresh, number = f"{name}_{number}", number + 1
    return fresh
