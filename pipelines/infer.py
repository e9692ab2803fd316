"""Drafts a job from data: what the first rows of some files look like, as a job.yaml to read through and finish."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from .. import storage
from ..schemas.errors import UsageError
from ..schemas.layout import is_url
from .draft import Drafted, contract_name, drafted, flow
from .sample import Sample, sample

_DATE = re.compile(r"(?<!\d)(?:(?P<dashed>\d{4}-[01]\d-[0-3]\d)|(?P<plain>(?:19|20)\d\d[01]\d[0-3]\d))(?!\d)")


@dataclass(frozen=True)
class Draft:
    """A drafted job.

    Attributes:
      name: the job's name.
      source: the kind of the files, and what must be said of them.
      columns: in the order of the files.
      left_out: columns that no contract holds, with the reason.
      rows: how many rows were looked at.
      whole: whether these were all.
      remarks: what of the files is no row, a sentence each.
    """

    name: str
    source: Mapping[str, Any]
    columns: Sequence[Drafted]
    left_out: Sequence[str]
    rows: int
    whole: bool
    remarks: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """The job as plain data."""
        columns = {c.name: c.spec["type"] if len(c.spec) == 1 else c.spec for c in self.columns}
        places = {"model": {"path": f"models/{self.name}"}, "output": {"delta": {"path": "predictions"}}}
        return {"name": self.name, "source": dict(self.source), "columns": columns, **places}

    def text(self) -> str:
        """The job as a job.yaml, with remarks."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"# Drafted from {'all' if self.whole else 'the first'} {self.rows:,} rows; read it through."
        yield from (f"# {remark}" for remark in self.remarks)
        yield f"name: {flow(self.name)}"
        yield "source:"
        yield from (f"  {kind}: {flow(options)}" for kind, options in self.source.items())
        yield "columns:"
        yield from (f"  {column.line()}" for column in self.columns)
        yield from (f"  # left out: {reason}" for reason in self.left_out)
        keys = sorted((column.name for column in self.columns if column.key), key=_unlike_a_key)
        yield f"# key: {flow(keys[0] if keys else 'NAME')}  # lookup needs a key, and the table is sorted by it"
        yield f"model: {{path: {flow(f'models/{self.name}')}}}  # holds 1/saved_model.pb and so on"
        yield "output:"
        yield "  delta: {path: predictions}  # where predictions go"
        yield "  # passthrough: [NAME]  # columns to keep beside the predictions"


def _unlike_a_key(name: str) -> bool:
    return not re.search(r"(?i)id$|^id|key|uuid|number", name)


def infer(files: Sequence[str], folder: str = "") -> Draft:
    """Drafts a job.

    Looks at the first 4 MiB of each file, or 65,536 rows.

    Args:
      files: of one kind.
      folder: what the paths of the draft are relative to; the working directory without it.

    Returns:
      The draft; its `text()` is a job that `load_job` takes.

    Raises:
      UsageError: when a file cannot be read or has no rows, or the files are of several kinds.
    """
    if not files:
        raise UsageError("name at least one file")
    for path in files:
        if path.lower().endswith((".yaml", ".yml")):  # most likely the job itself; as a CSV file it would be a draft
            raise UsageError(f"{path}: is YAML by its name; a job is drafted from data, so name a file of rows")
    samples = {path: sample(path) for path in files}
    first = next(iter(samples.values()))
    for path, other in samples.items():
        if other.format != first.format:
            raise UsageError(f"{path} is {other.format}, {files[0]} is {first.format}; a job reads files of one kind")
    columns, left_out = _columns(list(samples.values()))
    if not columns:
        raise UsageError(f"{files[0]}: no column of it can be read: {'; '.join(left_out)}")
    source = {first.format: {"path": _paths(files, folder), **_options(samples)}}
    rows = sum(one.table.num_rows for one in samples.values())
    whole = all(one.whole for one in samples.values())
    return Draft(_name(files[0]), source, columns, left_out, rows, whole, _remarks(samples))


def _remarks(samples: Mapping[str, Sample]) -> list[str]:
    """What is said of the files, each by its name where there are several."""
    said = [
        (f"{path}: " if len(samples) > 1 else "", remark) for path, one in samples.items() for remark in one.remarks
    ]
    return [" ".join(f"{path}{remark}".split()) for path, remark in said]


def _columns(samples: Sequence[Sample]) -> tuple[list[Drafted], list[str]]:
    made: list[Drafted] = []
    left_out: list[str] = []
    text = samples[0].format != "parquet"
    for source in dict.fromkeys(name for one in samples for name in one.table.column_names):
        holding = [one for one in samples if source in one.table.column_names]
        if any(one.table.column_names.count(source) > 1 for one in holding):
            left_out.append(f"{source!r}, which the file has twice")
            continue
        values = _joined([one.table[source] for one in holding])
        wrong = [one.wrong[source] for one in holding if source in one.wrong]
        several = (sum(count for count, _ in wrong), wrong[0][1]) if wrong else None
        notes = list(dict.fromkeys(one.notes[source] for one in holding if source in one.notes))
        name = contract_name(source, {column.name for column in made})
        optional = len(holding) < len(samples)
        readable = bool(source) and "${" not in source
        column = drafted(name, values, source, text, optional, several, notes) if readable else None
        if column:
            made.append(column)
        else:
            left_out.append(f"{source!r}, {_kind(values.type) if source else 'a column without a name'}")
    return made, left_out


def _joined(parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """One column of several files; as text where their types do not go together."""
    try:
        return pa.concat_tables([pa.table({"x": part}) for part in parts], promote_options="permissive")["x"]
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.chunked_array([pa.array([None if v is None else str(v) for part in parts for v in part.to_pylist()])])


def _kind(type: pa.DataType) -> str:
    if pa.types.is_map(type):
        return "a map"
    return "lists of objects, or of several types" if "struct" in str(type) else f"of the type {type}"


def _options(samples: Mapping[str, Sample]) -> dict[str, Any]:
    """What the files have in common; spellings of null are gathered."""
    first = next(iter(samples.values())).options
    for path, one in samples.items():
        for option in set(one.options) | set(first):
            if option != "nulls" and one.options.get(option) != first.get(option):
                raise UsageError(
                    f"{path} has another {option} than {next(iter(samples))}; a job reads files of one kind"
                )
    nulls = dict.fromkeys(spelling for one in samples.values() for spelling in one.options.get("nulls", ()))
    return {
        **{name: value for name, value in first.items() if name != "nulls"},
        **({"nulls": [*nulls]} if nulls else {}),
    }


def _paths(files: Sequence[str], folder: str) -> str | list[str]:
    """The files as a job names them: relative to it, and with `{date}` where they name one."""
    paths = [path if is_url(path) else os.path.relpath(path, folder or os.curdir) for path in files]
    paths = [storage.escape(path) for path in paths]  # a job takes them for patterns
    dated = list(dict.fromkeys(_DATE.sub(lambda d: "{date}" if d["dashed"] else "{date:%Y%m%d}", p) for p in paths))
    return dated[0] if len(dated) == 1 else dated


def _name(path: str) -> str:
    stem = os.path.basename(path).partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", _DATE.sub("", stem)).strip("-_")
    return name if re.match(r"[A-Za-z0-9]", name) else "job"


def write(draft: Draft, path: str) -> None:
    """Writes a draft to a file that is not there yet.

    Raises:
      UsageError: when it is, or cannot be written.
    """
    if is_url(path):
        raise UsageError(f"{path}: a job.yaml lies on this machine; name a file of it")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(draft.text() + "\n")
    except FileExistsError:
        raise UsageError(f"{path}: exists; name another file, or remove it") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
