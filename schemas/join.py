"""Side tables: columns that are looked up by key in a small table beside the night's rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from .base import Model
from .contract import Column, Contract
from .sources import Csv, Inputs, Parquet
from .split import Split

JOIN_FORMAT = 1
"""Raised when a release reads side tables, or lays them out in the cache, in another way."""

KINDS = ("parquet", "csv", "delta")
BY_TYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool", "string", "date", "timestamp")
_READ = ("type", "format", "timezone", "ambiguous")


class SideDelta(Model):
    """A Delta Lake table to look up in."""

    path: str = Field(description="the table's folder; its version at planning is what is read")


class Join(Model):
    """Columns of a side table, by key."""

    parquet: Parquet | None = Field(None, description="Parquet files")
    csv: Csv | None = Field(None, description="CSV files")
    delta: SideDelta | None = Field(None, description="a Delta Lake table")
    by: dict[str, str] = Field(
        min_length=1, description="what must be equal: a column, a list, or a mapping: the job's column to its own"
    )
    columns: dict[str, Column] = Field(min_length=1, description="the columns it adds, as the job's `columns` are said")
    missing: Literal["null", "reject"] = Field(
        "null", description="a row without a match: `null` in each column, or `reject`"
    )

    @field_validator("by", mode="before")
    @classmethod
    def _spelled_out(cls, value: Any) -> Any:
        names = [value] if isinstance(value, str) else value
        return {name: name for name in names} if isinstance(names, (list, tuple)) else names

    @field_validator("columns", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: {"type": spec} if isinstance(spec, str) else spec for name, spec in value.items()}

    @field_validator("missing", mode="before")
    @classmethod
    def _null(cls, value: Any) -> Any:
        return "null" if value is None else value  # `missing: null` is no text in YAML

    @model_validator(mode="after")
    def _one(self) -> Join:
        named = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(named) != 1:
            raise ValueError(f"name one of {', '.join(KINDS)}, found {' and '.join(named) or 'none'}")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """Where the table lies, as the job says it."""
        return (self.delta.path,) if self.delta else self.inputs.files.path

    @property
    def inputs(self) -> Inputs:
        """The files of a table that is no Delta table."""
        return Inputs(parquet=self.parquet, csv=self.csv)

    def at(self, paths: tuple[str, ...]) -> Join:
        """The same with other files; a Delta table stays where it is."""
        if self.delta:
            return self
        files = {kind: found for kind, found in self.inputs.at(paths).items() if kind in KINDS}
        return self.model_copy(update=files)


@dataclass(frozen=True, eq=False)
class Side:
    """A side table as it was planned: all that a worker needs to read the same one.

    Attributes:
      name: in the job's `join`.
      join: what the job says of it.
      keys: the job's columns it is looked up by, as they are read from the side table.
      splits: its files; of a Delta table one that stands for it, whose mark names the version.
    """

    name: str
    join: Join
    keys: Mapping[str, Column]
    splits: tuple[Split, ...]

    @cached_property
    def contract(self) -> Contract:
        """What a row of the side table must be: the key, under the names of the job, and the columns it adds.

        The rules of a column are left to those who validate the joined rows.
        """
        return Contract({**self.keys, **self.join.columns}, tuple(self.keys))

    @cached_property
    def digest(self) -> str:
        """32 hex digits over all that decides what is looked up; names the copy in this machine's cache."""
        plain = [self.join.model_dump(mode="json", by_alias=True), {n: c.type for n, c in self.keys.items()}]
        read = [[split.path, *_identity(split)] for split in self.splits]
        options = [{name: getattr(column, name) for name in _READ} for column in self.keys.values()]
        return hashlib.sha256(json.dumps([JOIN_FORMAT, plain, options, read]).encode()).hexdigest()[:32]

    @property
    def decides(self) -> list[Any]:
        """What of its files goes into a score_id; the options are in the job."""
        return [self.name, [list(_identity(split)) for split in self.splits]]

    def to_plain(self) -> dict[str, Any]:
        """As a plan stores it."""
        return {"name": self.name, "splits": [asdict(split) for split in self.splits]}


def side_of(name: str, join: Join, columns: Mapping[str, Column], splits: Sequence[Split] = ()) -> Side:
    """A side table.

    Args:
      name: in the job's `join`.
      join: what the job says of it.
      columns: the job's, of which `by` names some.
      splits: its files, once they are planned.
    """
    keys = {mine: _as_key(columns[mine], theirs) for mine, theirs in join.by.items()}
    return Side(name, join, keys, tuple(splits))


def side_from_plain(plain: Mapping[str, Any], joins: Mapping[str, Join], columns: Mapping[str, Column]) -> Side:
    """What `Side.to_plain` gave, with what the job says."""
    splits = tuple(Split(**{**split, "header": tuple(split["header"])}) for split in plain["splits"])
    return side_of(plain["name"], joins[plain["name"]], columns, splits)


def joined_columns(joins: Mapping[str, Join]) -> dict[str, Column]:
    """All columns that side tables add, in the job's order."""
    return {name: column for join in joins.values() for name, column in join.columns.items()}


def _as_key(column: Column, source: str) -> Column:
    """A key column as the side table holds it: of the same type, written the same way, and free of other rules."""
    spelled = {name: getattr(column, name) for name in _READ}
    return Column.model_validate({**spelled, "from": source, "nullable": True})


def _identity(split: Split) -> tuple[Any, ...]:
    return split.file, split.size, split.mark, split.start, split.end, split.compression, split.header
