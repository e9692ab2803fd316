"""What a contract demands of a column's values, as rules that judge a whole column at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..schemas.consistency import constant, whole
from ..schemas.contract import Column
from .verdict import Mask, Rows, as_mask, at_indices

_SHOWN_VALUES = 8
Broken = Callable[[pa.Array], Mask]
"""values[n] -> bool[n], true where a rule is broken; no nulls are."""


@dataclass(frozen=True)
class Rule:
    """One demand on the values of a column; nulls always pass.

    Attributes:
      reason: code of the rejects.
      said: ends the sentence `column NAME: VALUE …`.
      broken: bool[n] for values[n], which are not dictionary-encoded.
    """

    reason: str
    said: str
    broken: Broken

    def about(self, values: pa.Array) -> str | pa.Array:
        """What ends the sentence about each of some values that break the rule."""
        if self.reason != "not_finite" or pa.types.is_list(values.type):
            return self.said
        overflown = f"{self.said}: infinite, or too large for a float{values.type.bit_width}"
        return pc.if_else(pc.is_inf(values), overflown, self.said)

    def breakers(self, values: pa.Array) -> Rows:
        """Positions of the values that break the rule; of a dictionary each value is looked at once."""
        encoded = pa.types.is_dictionary(values.type)
        broken = self.broken(values.dictionary if encoded else values)
        if not broken.any():
            return np.empty(0, np.int64)
        if encoded:
            broken = at_indices(broken, values.indices)
        return np.flatnonzero(broken)


def column_rules(column: Column) -> Iterator[Rule]:
    """The rules of a column, in the order in which they are tried. Missing values are not their business."""
    type, item = column.typed.arrow, column.typed.item
    if pa.types.is_list(type):
        yield Rule("null", " has an item that is null", _has_null_item)
    for reason, said, broken in _item_rules(column, item):
        if pa.types.is_list(type):
            yield Rule(reason, f" has an item that{said}", partial(_any_item, broken=broken))
        else:
            yield Rule(reason, said, broken)
    if column.max_length is not None:
        unit = "items" if pa.types.is_list(type) else "bytes" if pa.types.is_binary(type) else "characters"
        yield Rule("too_long", f" is longer than {column.max_length} {unit}", _longer(column.max_length))
    if column.size is not None:
        yield Rule("wrong_size", f" does not have {column.size} items", _other_size(column.size))


def _item_rules(column: Column, item: pa.DataType) -> Iterator[tuple[str, str, Broken]]:
    """The rules of a value, or of each item of a list."""
    if pa.types.is_floating(item) and not column.allow_nan:
        yield "not_finite", " is not finite", _not_finite
    if column.min is not None:
        yield "below_min", f" is below the min, {column.min}", _beyond(pc.less, column.min, item)
    if column.max is not None:
        yield "above_max", f" is above the max, {column.max}", _beyond(pc.greater, column.max, item)
    if column.values is not None:
        yield "not_in_values", f" is not one of {_some(column.values)}", _not_in(column.values, item)
    if column.pattern is not None:
        yield "pattern", f" does not match the pattern {column.pattern}", _mismatch(column.pattern)


def _some(values: tuple[Any, ...]) -> str:
    more = f" and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
    return ", ".join(map(str, values[:_SHOWN_VALUES])) + more


def _numbers(values: pa.Array) -> npt.NDArray[Any] | None:
    """Numbers without nulls, not copied; numpy judges them several times faster than Arrow's kernels do."""
    plain = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    return values.to_numpy() if plain and not values.null_count else None


def _not_finite(values: pa.Array) -> Mask:
    if (numbers := _numbers(values)) is not None:
        return np.asarray(np.logical_not(np.isfinite(numbers)))
    return as_mask(pc.invert(pc.is_finite(values)))


def _has_null_item(values: pa.Array) -> Mask:
    return _any_item(values, lambda items: as_mask(items.is_null()))


def _any_item(lists: pa.Array, broken: Broken) -> Mask:
    guilty = np.zeros(len(lists), bool)
    guilty[pc.list_parent_indices(lists).to_numpy()[broken(pc.list_flatten(lists))]] = True
    return guilty


def _beyond(compare: Callable[..., pa.Array], bound: Any, type: pa.DataType) -> Broken:
    limit = constant(bound, type)
    operator = np.less if compare is pc.less else np.greater

    def broken(values: pa.Array) -> Mask:
        if (numbers := _numbers(values)) is not None:
            return np.asarray(operator(numbers, numbers.dtype.type(limit.as_py())))
        return as_mask(compare(values, limit))

    return broken


def _not_in(allowed: tuple[Any, ...], type: pa.DataType) -> Broken:
    if all(isinstance(value, str) for value in allowed) and pa.types.is_string(type):
        known = pa.array(allowed, type)  # long lists are lists of texts
    else:
        known = pa.array([constant(value, type).as_py() for value in allowed], type)
    return lambda values: as_mask(pc.and_not(values.is_valid(), pc.is_in(values, value_set=known)))


def _mismatch(pattern: str) -> Broken:
    return lambda values: as_mask(pc.invert(pc.match_substring_regex(values, whole(pattern))))


def _longer(most: int) -> Broken:
    return lambda values: as_mask(pc.greater(_length(values), most))


def _other_size(size: int) -> Broken:
    return lambda values: as_mask(pc.not_equal(_length(values), size))


def _length(values: pa.Array) -> pa.Array:
    if pa.types.is_list(values.type):
        return pc.list_value_length(values)
    return pc.utf8_length(values) if pa.types.is_string(values.type) else pc.binary_length(values)
