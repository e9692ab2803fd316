"""The contract: what a row must be, as the job's `columns` and `key` say it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from .base import Model
from .consistency import inconsistency
from .types import TypeName, parse_type

Duplicates = Literal["keep", "reject", "refuse"]
KEY_TYPES = ("int8", "int16", "int32", "int64", "string", "date", "timestamp")


class Column(Model):
    """What one column must be."""

    type: str = Field(
        description="`int8` to `int64`, `uint8` to `uint32`, `float32`, `float64`, `bool`, `string`, "
        "`binary`, `date`, `timestamp`, `decimal`, `decimal(p, s)` or `list<type>`"
    )
    source: str | None = Field(None, alias="from", description="its name in the input, where that differs")
    nullable: bool = Field(False, description="whether a value may be missing")
    optional: bool = Field(
        False,
        description="whether the whole column may be missing from a file; needs `nullable` or `default`",
    )
    default: Any = Field(None, description="what a missing value becomes before the graph sees it")
    min: Any = Field(None, description="smallest value allowed, of a list each item")
    max: Any = Field(None, description="largest value allowed, of a list each item")
    values: tuple[Any, ...] | None = Field(None, description="the only values allowed, of a list as items")
    pattern: str | None = Field(None, description="RE2 pattern the whole text must match, of a list each item")
    max_length: int | None = Field(None, ge=0, description="most characters (bytes of a `binary`, items of a list)")
    size: int | None = Field(None, gt=0, description="items in every list")
    ragged: bool = Field(False, description="a RaggedTensor instead of a SparseTensor")
    allow_nan: bool = Field(False, description="whether NaN and infinity may pass")
    format: str | None = Field(None, description="strptime format of a `timestamp`; ISO 8601 without it")
    timezone: str | None = Field(None, description="time zone of a `timestamp` whose text carries none")
    ambiguous: Literal["earliest", "latest", "reject"] = Field(
        "earliest", description="which instant a local time that happens twice means"
    )
    cast: str | None = Field(
        None,
        alias="as",
        description="type the graph gets instead; needed for `date` and `decimal` to be features",
    )

    @field_validator("type", "cast")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name if name is None else parse_type(name).name

    @model_validator(mode="after")
    def _consistent(self) -> Column:
        if problem := inconsistency(self):
            raise ValueError(problem)
        return self

    @cached_property
    def typed(self) -> TypeName:
        """The parsed type."""
        return parse_type(self.type)


class Key(Model):
    """The columns that name a row."""

    columns: tuple[str, ...] = Field(min_length=1, description="one column, or several")
    duplicates: Duplicates = Field(
        "keep",
        description="`keep` publishes all rows of one key, `reject` the first and "
        "rejects the others, `refuse` publishes nothing",
    )


@dataclass(frozen=True)
class Contract:
    """What every row must be, in the order of the job's `columns`.

    Attributes:
      columns: name -> Column.
      key: names of the key's columns; empty without a key.
      duplicates: what happens to rows of equal key.
    """

    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()
    duplicates: Duplicates = "keep"

    @cached_property
    def schema(self) -> pa.Schema:
        """Arrow schema of a Batch's rows, without `_offset`.

        Strings are dictionary<int32, string>, so that equal values cost once and reach TensorFlow as indices; the
        key's strings are plain, since they hardly repeat.
        """
        return pa.schema([pa.field(name, self.arrow_type(name)) for name in self.columns])

    def arrow_type(self, name: str) -> pa.DataType:
        """Arrow type of a column in a Batch."""
        kind = self.columns[name].typed.arrow
        if pa.types.is_string(kind) and name not in self.key:
            return pa.dictionary(pa.int32(), pa.string())
        return kind

    def without(self, names: Collection[str]) -> Contract:
        """This contract without some columns; the same object when there are none to leave out."""
        kept = {name: column for name, column in self.columns.items() if name not in names}
        return Contract(kept, self.key, self.duplicates) if names else self

    def extended(self, columns: Mapping[str, Column]) -> Contract:
        """This contract with more columns: labels and weights, for training."""
        return Contract({**self.columns, **columns}, self.key, self.duplicates)
