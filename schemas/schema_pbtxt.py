"""A schema of TensorFlow Metadata, as TFX users have one, read as the `columns` of a job."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from .. import storage

Spec = dict[str, Any]
"""A column as job.yaml would describe it."""

SERVING = "serving"
"""The environment that TFX users leave labels out of; compared without regard to case."""
_LIVES = ("UNKNOWN_STAGE", "ALPHA", "BETA", "PRODUCTION")
_TYPES = {"INT": "int64", "FLOAT": "float32", "BYTES": "string"}
_DOMAINS = {
    "int_domain": ("INT",),
    "float_domain": ("FLOAT",),
    "string_domain": ("BYTES",),
    "bool_domain": ("INT", "BYTES"),
}


class Inexpressible(ValueError):
    """A feature that no column describes."""


def read_schema(path: str, skipped: Collection[str] = ()) -> tuple[dict[str, Spec], list[str]]:
    """Reads a `schema.pbtxt`.

    Features that are deprecated, or not of the environment SERVING, are left out.

    Args:
      path: the file.
      skipped: features to leave out: those that only training has.

    Returns:
      (columns, problems): name -> description, in the order of the file; and what no column can say, a sentence a
      feature.

    Raises:
      ValueError: when the file cannot be read, or is no such schema.
    """
    schema = _parsed(path)
    columns: dict[str, Spec] = {}
    problems = [
        f"feature {one.name}: a sparse_feature is put together from others; read those, and combine them in "
        "preprocessing_fn"
        for one in schema.sparse_feature
    ]
    for feature in schema.feature:
        if feature.name in skipped or not _alive(feature, schema):
            continue
        try:
            _check_name(feature.name, columns)
            columns[feature.name] = _column(feature, schema)
        except Inexpressible as error:
            problems.append(f"feature {feature.name}: {error}")
    if not columns and not problems:
        raise ValueError("has no feature that is read at scoring")
    return columns, problems


def _check_name(name: str, taken: Collection[str]) -> None:
    if name in taken:
        raise Inexpressible("the schema describes it twice; remove one of them")
    if name.startswith("_"):
        raise Inexpressible(
            "names with a leading _ are Highbeam's own; rename it in the schema and the data, or write the columns out "
            f"in job.yaml, one of them with from: {name}"
        )


def _parsed(path: str) -> Any:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    try:
        text = storage.read(path).decode("utf-8-sig")
    except (storage.StorageError, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read: {error}") from None
    try:
        return text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise ValueError(f"is no TensorFlow Metadata schema in text form (line {error})") from None


def _alive(feature: Any, schema: Any) -> bool:
    """Whether rows have the feature at scoring."""
    stage = feature.DESCRIPTOR.fields_by_name["lifecycle_stage"].enum_type.values_by_number[feature.lifecycle_stage]
    if feature.deprecated or stage.name not in _LIVES:
        return False
    default, more, fewer = (
        {name.lower() for name in names}
        for names in (schema.default_environment, feature.in_environment, feature.not_in_environment)
    )
    if SERVING in more or not (default or more):
        return SERVING not in fewer
    return SERVING in default - fewer if default else SERVING in more


def _column(feature: Any, schema: Any) -> Spec:
    kind = type(feature).DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number[feature.type].name
    if kind not in _TYPES:
        raise Inexpressible(f"its type is {kind}; a column is INT, FLOAT or BYTES")
    binary = feature.WhichOneof("domain_info") == "image_domain"
    item = "binary" if binary else _TYPES[kind]
    column = {**_shape(feature, item), **_presence(feature), **_domain(feature, schema, kind)}
    variable = column["type"].startswith("list<") and "size" not in column
    return {**column, **dict(_represented(feature.name, schema, variable))}


def _shape(feature: Any, item: str) -> Spec:
    """Type, size and length: one value, or a list of them."""
    which = feature.WhichOneof("shape_type")
    if which == "shape":
        sizes = [dim.size for dim in feature.shape.dim]
        if len(sizes) > 1 or any(size < 1 for size in sizes):
            raise Inexpressible(f"its shape is {sizes}; a column holds one value, or a list of them")
        return {"type": item} if sizes in ([], [1]) else {"type": f"list<{item}>", "size": sizes[0]}
    if which == "value_counts":
        raise Inexpressible("value_counts describes nested lists; lists hold plain values")
    least, most = feature.value_count.min, feature.value_count.max
    if which is None or most == 1:
        return {"type": item}  # that no count is given tells nothing: most files hold one value
    if least > 1 and least != most:
        raise Inexpressible(f"value_count {{min: {least}}}: a list has a size or a max_length, no least length")
    if least == most and most:
        return {"type": f"list<{item}>", "size": most}
    return {"type": f"list<{item}>", **({"max_length": most} if most else {})}


def _presence(feature: Any) -> Spec:
    """Whether a value, or the whole column, may be missing."""
    if feature.presence.min_fraction >= 1:
        return {}
    return {"nullable": True} if feature.presence.min_count > 0 or feature.presence.min_fraction > 0 else {
        "nullable": True, "optional": True
    }  # fmt: skip


def _domain(feature: Any, schema: Any, kind: str) -> Spec:
    """The values allowed; what a value means (an image, a language, a time) is left aside."""
    which, domain = _domain_of(feature, schema)
    if which in _DOMAINS and kind not in _DOMAINS[which]:
        raise Inexpressible(f"a {which} does not go with its type, {kind}")
    if which == "string_domain":
        return _texts(feature, domain)
    if which == "bool_domain" and kind == "INT":
        return {"min": 0, "max": 1}
    if which == "bool_domain":
        spelled = [domain.true_value, domain.false_value]
        return {"values": spelled} if all(spelled) else {}
    if which in ("int_domain", "float_domain"):
        return {bound: getattr(domain, bound) for bound in ("min", "max") if domain.HasField(bound)}
    return {}


def _domain_of(feature: Any, schema: Any) -> tuple[str, Any]:
    """A feature's own domain, or the schema's that it names; and the name of its kind."""
    which = feature.WhichOneof("domain_info") or ""
    if which != "domain":
        return which, getattr(feature, which) if which else None
    for shared in ("string_domain", "int_domain", "float_domain"):
        for domain in getattr(schema, shared):
            if domain.name == feature.domain:
                return shared, domain
    raise Inexpressible(f"the schema has no domain {feature.domain!r}")


def _texts(feature: Any, domain: Any) -> Spec:
    if feature.HasField("distribution_constraints") and feature.distribution_constraints.min_domain_mass < 1:
        return {}  # other values are allowed too
    values = [_text(value) for value in domain.value]
    return {"values": values} if values else {}


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _represented(name: str, schema: Any, listed: bool) -> Iterator[tuple[str, Any]]:
    """What the schema says of the tensor a feature becomes."""
    groups = schema.tensor_representation_group.values()
    made = [group.tensor_representation[name] for group in groups if name in group.tensor_representation]
    ragged = schema.represent_variable_length_as_ragged or any(one.HasField("ragged_tensor") for one in made)
    if listed and ragged:
        yield "ragged", True
    for one in made:
        which = one.dense_tensor.default_value.WhichOneof("kind")
        if which and not listed:
            yield "default", _text(getattr(one.dense_tensor.default_value, which))
