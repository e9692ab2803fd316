"""Fills in the parts of these pages that the code says better: `python docs/generate.py` after a change.

Such a part stands between `<!-- generated: NAME -->` and `<!-- end -->`. tests/docs/test_generate.py holds the pages
to what this file makes.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from highbeam.cli import parser
from highbeam.schemas.contract import KEY_TYPES, Column, Contract
from highbeam.schemas.features import Feature, features
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import RESERVED
from highbeam.schemas.manifest import EXIT_CODES, Manifest
from highbeam.schemas.reasons import REASONS
from highbeam.schemas.rejected import SCHEMA as REJECTED
from highbeam.schemas.types import PLAIN, REFUSED
from highbeam.transforms.published import ORIGIN, PARTITION
from highbeam.transforms.tables.columns import table_schema

PAGES = Path(__file__).resolve().parent
_PART = re.compile(r"(?<=<!-- generated: )(?P<name>[\w-]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
_NAMES = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "any value"}


def filled(page: str) -> str:
    """A page with its generated parts as they should be."""
    return _PART.sub(lambda part: f"{part['name']} -->\n\n{PARTS[part['name']]()}\n\n", page)


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# job.yaml


def job_keys() -> str:
    """A section for each part of job.yaml: its keys, their types and defaults, and what they mean."""
    places: dict[str, type[BaseModel]] = {}
    for path, model in _parts("", Job):
        if model not in places.values():  # source.csv stands for training.source.csv too
            places[path] = model
    return "\n\n".join(_section(path, model, places) for path, model in places.items())


def _parts(path: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Dotted path and model of a part and of all parts in it, in the order of the file."""
    yield path, model
    for name, field in keys(model):
        if inner := _model(field.annotation):
            yield from _parts(f"{path}.{name}".lstrip(".") + ".NAME" * _is_mapping(field.annotation), inner)


def keys(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """The keys of a part, as job.yaml spells them; `folder` is none."""
    fields = ((field.alias or name, field) for name, field in model.model_fields.items())
    return [(name, field) for name, field in fields if not field.exclude]


def _section(path: str, model: type[BaseModel], places: dict[str, type[BaseModel]]) -> str:
    title = f"### `{path}`\n\n{(model.__doc__ or '').splitlines()[0]}" if path else "### Top level"
    rows = [
        (f"`{name}`", _type(field.annotation, places), _default(field), field.description or "")
        for name, field in keys(model)
    ]
    return f"{title}\n\n{table(('key', 'type', 'default', 'meaning'), rows)}"


def _type(annotation: Any, places: dict[str, type[BaseModel]]) -> str:
    """A type as a reader of YAML says it, with a link to the section of a part."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return _type(next(part for part in parts if part is not NoneType), places)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in parts)
    if origin is tuple:
        return f"list of {_type(parts[0], places)}"
    if origin is dict:
        return f"mapping of name to {_type(parts[1], places)}"
    if model := _model(annotation):
        place = next(path for path, part in places.items() if part is model)
        return f"[{place}](#{re.sub(r'[^a-z]', '', place.lower())})"
    return _NAMES[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default
    assert default is not PydanticUndefined
    if default in (None, (), {}) and not isinstance(default, bool):
        return ""
    if isinstance(default, BaseModel):
        return "as below"
    if isinstance(default, tuple):
        return ", ".join(f"`{item}`" for item in default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_model, get_args(annotation))), None)


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(map(_is_mapping, get_args(annotation)))


def reserved() -> str:
    """Names that are kept for what is planned."""
    places = [(".".join(path) or "top level", names) for path, names in RESERVED.items() if path[:1] != ("training",)]
    return table(("where", "not available yet"), [(f"`{at}`", ", ".join(f"`{n}`" for n in ns)) for at, ns in places])


COLUMNS: tuple[dict[str, Any], ...] = (
    *({"type": name} for name in PLAIN),
    {"type": "decimal(10, 2)", "as": "float32"},
    {"type": "date", "as": "int64"},
    {"type": "float32", "nullable": True, "default": 0},
    {"type": "float32", "nullable": True},
    {"type": "list<float32>", "size": 8},
    {"type": "list<float32>"},
    {"type": "list<float32>", "ragged": True},
)


def types() -> str:
    """What each kind of column is in Arrow, in the Delta table and to a transform graph."""
    return table(("column", "Arrow", "Delta Lake", "TensorFlow Transform"), [_kind(column) for column in COLUMNS])


def _kind(said: dict[str, Any]) -> tuple[str, ...]:
    contract = Contract({"c": Column.model_validate(said)})
    arrow = contract.columns["c"].typed.arrow
    held = table_schema(pa.schema([("c", arrow)])).field("c").type
    spelled = ", ".join(f"{name}: {str(value).lower() if value is True else value}" for name, value in said.items())
    text = f"`{{{spelled}}}`" if len(said) > 1 else f"`{said['type']}`"
    return text, f"`{_arrow(arrow)}`", f"`{_arrow(held)}`", _feature(features(contract).get("c"))


def _arrow(type: pa.DataType) -> str:
    return str(type).replace("item: ", "").replace("child 0, ", "")


def _feature(feature: Feature | None) -> str:
    if feature is None:
        return "none"
    size = "" if feature.size is None else str(feature.size)
    spec = {"fixed": f"FixedLen [{size}]", "varlen": "VarLen", "ragged": "Ragged"}[feature.kind]
    return f"{spec}, {feature.dtype}"


def refused_types() -> str:
    """The types that are refused, with the reason."""
    return "\n".join(f"- `{name}`: {reason}" for name, reason in REFUSED.items())


def key_types() -> str:
    """The types a key may have."""
    return ", ".join(f"`{name}`" for name in KEY_TYPES)


# Commands


def commands() -> str:
    """What all commands take, and a section for each: what it does and what else it takes."""
    top = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    each = {name: (command.description, _arguments(command)) for name, command in top.choices.items()}
    jobs = [rows for name, (_, rows) in each.items() if name != "infer"]
    common = [row for row in each["check"][1] if all(row in rows for rows in jobs)]
    sections = [_arguments_table("Every command but `infer` takes:", common)]
    for name, (description, rows) in each.items():
        own = [row for row in rows if row not in common or name == "infer"]
        sections.append(_arguments_table(f"### highbeam {name}\n\n{description}", own))
    return "\n\n".join(sections)


def _arguments(command: argparse.ArgumentParser) -> list[tuple[str, ...]]:
    actions = [action for action in command._actions if action.dest != "help"]
    return [(_spelled(action), action.help or "") for action in actions]


def _arguments_table(title: str, rows: list[tuple[str, ...]]) -> str:
    return f"{title}\n\n{table(('argument', 'meaning'), rows)}" if rows else title


def _spelled(action: argparse.Action) -> str:
    value = f"{action.metavar or ''}{'…' if action.nargs == '*' else ''}"
    required = ", required" if action.required and action.option_strings else ""
    return f"`{' '.join([*action.option_strings, value]).strip()}`{required}"


STATUSES = {
    "published": "the night's predictions are in the table",
    "already_published": "the night holds what this run would publish; nothing was done",
    "refused": "rows are missing, too few or too bad; the table is as it was",
    "superseded": "another run, of the same attempt or a later one, holds the night; the table is as it was",
    "submitted": "handed to the runner with `--detach`",
    "dry_run": "scored, and nothing published",
    "failed": "something broke; run again, and what was scored is not scored twice",
}


def statuses() -> str:
    """How a run may end."""
    rows = [(f"`{status}`", str(code), STATUSES[status]) for status, code in EXIT_CODES.items()]
    return table(("status", "exit status", "meaning"), rows)


def manifest() -> str:
    """What a manifest holds, by the docstring of its class."""
    lines = re.findall(r"^  (\w+): (.*)\.$", inspect.cleandoc(Manifest.__doc__ or ""), re.MULTILINE)
    return table(("key", "meaning"), [(f"`{name}`", meaning) for name, meaning in lines])


# Tables


def origin() -> str:
    """The columns Highbeam adds to predictions."""
    rows = [(f"`{name}`", meaning) for name, meaning in {**ORIGIN, PARTITION: "the night; the partition"}.items()]
    return table(("column", "meaning"), rows)


REJECT_COLUMNS = {
    "file": "the input file, relative to the job",
    "offset": "where the record begins: its byte offset in the file, after decompression",
    "length": "bytes of the record, without its line break",
    "stage": "the step that turned it away",
    "reason": "a code of the table above",
    "message": "a sentence for a person",
    "key": "the key as JSON, if it could be read",
    "raw": "the record's bytes, without its line break; null with `rejects.keep_raw: false`",
    "truncated": "whether `raw` was cut at `source.max_record_bytes`",
}


def reject_columns() -> str:
    """The columns of the rejects table."""
    rows = [(f"`{field.name}`", f"`{field.type}`", REJECT_COLUMNS[field.name]) for field in REJECTED]
    return table(("column", "type", "meaning"), [*rows, ("`date`, `run_id`", "`string`", "the run; the partition")])


def reasons() -> str:
    """Every reason code."""
    return table(("reason", "meaning"), [(f"`{reason}`", meaning) for reason, meaning in REASONS.items()])


PARTS: dict[str, Callable[[], str]] = {
    "job-keys": job_keys,
    "reserved": reserved,
    "types": types,
    "refused-types": refused_types,
    "key-types": key_types,
    "commands": commands,
    "statuses": statuses,
    "manifest": manifest,
    "origin": origin,
    "reject-columns": reject_columns,
    "reasons": reasons,
}


def main() -> None:
    """Rewrites the pages."""
    for path in sorted(PAGES.glob("*.md")):
        path.write_text(filled(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
