"""What of a JSON record a contract wants: which fields, where they lie, and as what pyarrow.json may read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import pyarrow as pa

from ...schemas.contract import Column, Contract

Path: TypeAlias = tuple[str, ...]
Tree: TypeAlias = "dict[str, Tree | pa.DataType]"
Paths: TypeAlias = "dict[str, Paths]"


@dataclass(frozen=True)
class Field:
    """Where the values of a column lie.

    Attributes:
      name: the column's.
      column: what it must be.
      paths: where to look, in this order: a field of the record whose name is all of `from`, dots and all; then, if
        there are dots, a field of an object in an object.
      read: what pyarrow.json reads a value as.
    """

    name: str
    column: Column
    paths: tuple[Path, ...]
    read: pa.DataType

    @property
    def is_read(self) -> bool:
        """Whether pyarrow.json makes the values themselves, so that there is nothing left to convert."""
        return self.read == self.column.typed.arrow and not is_textual(self.column.typed.item)


@dataclass(frozen=True)
class Shape:
    """The fields of a contract, as a tree.

    Args:
      contract: the columns wanted.
      quoted: names of columns whose numbers stand in quotes, so that they are read as text.
    """

    contract: Contract
    quoted: frozenset[str] = frozenset()

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """A field for every column, in the contract's order."""
        return tuple(
            Field(name, column, _paths(column.source or name), _read_type(column, name in self.quoted))
            for name, column in self.contract.columns.items()
        )

    @cached_property
    def tree(self) -> Tree | None:
        """Field name -> Arrow type, or the tree of an object; None where two columns want one field differently."""
        tree: Tree = {}
        leaves = ((path, field.read) for field in self.fields for path in field.paths)
        return tree if all(_planted(tree, path, read) for path, read in leaves) else None

    @cached_property
    def schema(self) -> pa.Schema | None:
        """The tree as pyarrow.json wants it, or None."""
        return None if self.tree is None else pa.schema(_arrow_fields(self.tree))

    @cached_property
    def has_decimals(self) -> bool:
        """Whether pyarrow.json is to make decimals."""
        return any(field.is_read and pa.types.is_decimal(field.column.typed.item) for field in self.fields)

    @cached_property
    def paths(self) -> Paths:
        """All names on the paths of the fields, as a tree of nothing but names."""
        paths: Paths = {}
        for path in (path for field in self.fields for path in field.paths):
            below = paths
            for name in path:
                below = below.setdefault(name, {})
        return paths

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names on these paths, in double quotes."""
        return tuple({f'"{name}"' for field in self.fields for path in field.paths for name in path})


def is_textual(type: pa.DataType) -> bool:
    """Whether a type's values stand as texts in JSON."""
    text = pa.types.is_string(type) or pa.types.is_binary(type)
    return bool(text or pa.types.is_timestamp(type) or pa.types.is_date(type))


def _paths(source: str) -> tuple[Path, ...]:
    return ((source,), tuple(source.split("."))) if "." in source else ((source,),)


def _read_type(column: Column, quoted: bool) -> pa.DataType:
    item = pa.string() if quoted or is_textual(column.typed.item) else column.typed.item
    return pa.list_(item) if column.typed.is_list else item


def _planted(tree: Tree, path: Path, read: pa.DataType) -> bool:
    """Puts a leaf into the tree. Whether there was room for it."""
    for name in path[:-1]:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):
            return False
        tree = below
    return bool(tree.setdefault(path[-1], read) == read)


def _arrow_fields(tree: Mapping[str, Tree | pa.DataType]) -> Iterable[pa.Field]:
    for name, below in tree.items():
        yield pa.field(name, pa.struct(list(_arrow_fields(below))) if isinstance(below, dict) else below)
