"""Which types of a file a column of the contract can be made of, whatever the values."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pyarrow as pa

from ...schemas.contract import Column
from ...schemas.types import TypeName, parse_type, type_name

_T = pa.types
_Test = Callable[[pa.DataType], bool]


def is_number(type: pa.DataType) -> bool:
    """Whether every value of a type is as good as any other: there is nothing to check where it is the type wanted."""
    return bool(_T.is_integer(type) or _T.is_floating(type) or _T.is_boolean(type) or _T.is_decimal(type))


def is_text(type: pa.DataType) -> bool:
    """Whether a type is one of Arrow's texts."""
    return bool(_T.is_string(type) or _T.is_large_string(type) or _T.is_string_view(type))


def is_bytes(type: pa.DataType) -> bool:
    """Whether a type is one of Arrow's bytes."""
    fixed = _T.is_fixed_size_binary(type)
    return bool(_T.is_binary(type) or _T.is_large_binary(type) or _T.is_binary_view(type) or fixed)


def is_list(type: pa.DataType) -> bool:
    """Whether a type is one of Arrow's lists."""
    views = _T.is_list_view(type) or _T.is_large_list_view(type)
    return bool(_T.is_list(type) or _T.is_large_list(type) or _T.is_fixed_size_list(type) or views)


def is_extension(type: pa.DataType) -> bool:
    """Whether a type is another one with a meaning added."""
    return isinstance(type, pa.BaseExtensionType)


def is_uuid(type: pa.DataType) -> bool:
    """Whether a type is Arrow's UUID."""
    return is_extension(type) and type.extension_name == "arrow.uuid"


# What a column's Arrow type is -> the types of a file it can be made of.
_SOURCES: tuple[tuple[_Test, tuple[_Test, ...]], ...] = (
    (_T.is_integer, (_T.is_integer, _T.is_floating, _T.is_decimal, is_text)),
    (_T.is_floating, (_T.is_integer, _T.is_floating, _T.is_decimal, is_text)),
    (_T.is_boolean, (_T.is_boolean, _T.is_integer, is_text)),
    (_T.is_decimal, (_T.is_integer, _T.is_decimal, is_text)),
    (_T.is_date, (_T.is_date, _T.is_timestamp, is_text)),
    (_T.is_timestamp, (_T.is_timestamp, is_text)),
    (_T.is_string, (is_text, is_bytes, is_uuid, _T.is_time)),
    (_T.is_binary, (is_text, is_bytes, is_uuid)),
)


def castable(type: pa.DataType, column: Column) -> str | None:
    """Why no value of a file's type can be one of a column, or None.

    Args:
      type: the file's Arrow type.
      column: what is wanted.

    Returns:
      The end of a sentence that begins with the column's name: `holds double, …; write type: …`.
    """
    return _refusal(type, column.type, column.timezone is None)


@lru_cache(maxsize=1024)  # asked again for every Batch
def _refusal(type: pa.DataType, name: str, zoneless: bool) -> str | None:
    """Why a file's type can be none of the type that job.yaml names; `zoneless` when it names no time zone."""
    type, wanted = plain(type), parse_type(name)
    if _T.is_null(type):
        return None
    if _T.is_union(type):
        refusals = [_refusal(type.field(at).type, name, zoneless) for at in range(type.num_fields)]
        return refusals[0] if all(refusals) else None
    if wanted.is_list and is_list(type):
        return _refusal(type.value_type, item_column(name).type, True) and _misfit(type, name)
    made_of = (tests for kind, tests in _SOURCES if kind(wanted.arrow))
    if not any(test(type) for tests in made_of for test in tests):
        return _misfit(type, name)
    if _T.is_timestamp(wanted.arrow) and _T.is_timestamp(type) and type.tz is None and zoneless:
        return "holds times without a zone; write timezone: UTC, or the zone they are of"
    if _T.is_date(wanted.arrow) and _T.is_timestamp(type) and type.tz is not None:
        return "holds instants, whose date depends on the zone; write type: timestamp"
    return None


@lru_cache(maxsize=64)
def item_column(type: str) -> Column:
    """The column that the items of a list would be."""
    return Column(type=type.removeprefix("list<").removesuffix(">"))


def plain(type: pa.DataType) -> pa.DataType:
    """The type of the values: of a dictionary its values', of an extension (but UUID) what it is stored as."""
    if _T.is_dictionary(type) or _T.is_run_end_encoded(type):
        return plain(type.value_type)
    if is_extension(type) and not is_uuid(type):
        return plain(type.storage_type)
    return type


def _misfit(type: pa.DataType, name: str) -> str:
    if _T.is_struct(type):
        fields = ", ".join(type.field(at).name for at in range(min(type.num_fields, 5)))
        return f"holds records, no {name}; name one of their fields ({fields}) with from: …"
    named = named_in_job(type)
    hint = f"; write type: {named}" if named else ""
    return f"holds {type}, of which no {name} can be made{hint}"


def named_in_job(type: pa.DataType) -> str | None:
    """The type of job.yaml that is nearest to a file's, or None."""
    if is_list(type):
        item = named_in_job(plain(type.value_type))
        return f"list<{item}>" if item and not item.startswith("list") else None
    near = [(is_text, "string"), (is_bytes, "binary"), (is_uuid, "string"), (_T.is_time, "string")]
    near += [(_T.is_timestamp, "timestamp"), (_T.is_date, "date"), (_T.is_uint64, "int64"), (_T.is_float16, "float32")]
    if found := next((name for test, name in near if test(type)), None):
        return found
    if _T.is_decimal(type):
        return f"decimal({type.precision}, {type.scale})" if type.precision <= 38 and type.scale >= 0 else None
    try:
        return TypeName(type_name(type), type).name
    except ValueError:
        return None
