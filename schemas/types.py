"""The type names of job.yaml and what they are in Arrow."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

PLAIN: dict[str, pa.DataType] = {
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "decimal": pa.decimal128(38, 9),
}
REFUSED = {
    "uint64": "no table format of ours holds it; write int64, or string",
    "float16": "no table format of ours holds it; write float32",
    "timestamp[ns]": "timestamps are kept in microseconds; write timestamp",
}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)$")
_LIST = re.compile(r"list<(.+)>$")


@dataclass(frozen=True)
class TypeName:
    """A type as job.yaml spells it.

    Attributes:
      name: the spelling, for example `list<float32>`.
      arrow: the Arrow type of one value.
    """

    name: str
    arrow: pa.DataType

    @property
    def is_list(self) -> bool:
        """Whether a value is a list."""
        return bool(pa.types.is_list(self.arrow))

    @property
    def item(self) -> pa.DataType:
        """The type of a value, or of a list's items."""
        return self.arrow.value_type if self.is_list else self.arrow


def parse_type(name: str) -> TypeName:
    """Reads a type name.

    Raises:
      ValueError: when there is no such type, with the known ones; or when it is one we refuse, with the reason.
    """
    name = name.strip()
    if name in REFUSED:
        raise ValueError(f"type {name} is not supported: {REFUSED[name]}")
    if match := _LIST.match(name):
        item = parse_type(match[1])
        if item.is_list:
            raise ValueError(f"type {name} is not supported: lists hold plain values")
        return TypeName(name, pa.list_(item.arrow))
    if match := _DECIMAL.match(name):
        return TypeName(name, _decimal(name, int(match[1]), int(match[2])))
    if name not in PLAIN:
        raise ValueError(f"unknown type {name!r}; known are {', '.join(PLAIN)}, decimal(p, s) and list<type>")
    return TypeName(name, PLAIN[name])


def _decimal(name: str, precision: int, scale: int) -> pa.DataType:
    if not 1 <= precision <= 38 or scale > precision:
        raise ValueError(
            f"type {name} is not supported: a decimal has 1 to 38 digits, as many or fewer after the point"
        )
    return pa.decimal128(precision, scale)


def type_name(type: pa.DataType) -> str:
    """The name of job.yaml for an Arrow type.

    Raises:
      ValueError: when it has none.
    """
    if pa.types.is_list(type):
        return f"list<{type_name(type.value_type)}>"
    if pa.types.is_decimal(type) and type != PLAIN["decimal"]:
        return f"decimal({type.precision}, {type.scale})"
    found = next((name for name, arrow in PLAIN.items() if arrow == type), None)
    if found is None:
        raise ValueError(f"no type of job.yaml is {type}")
    return found
