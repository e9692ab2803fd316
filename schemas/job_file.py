"""Reading job.yaml: every mistake at once, each with its line and what to do."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from .errors import JobError, UsageError
from .job import Job
from .job_rules import broken_rules
from .layout import is_url, resolve
from .overrides import override
from .schema_pbtxt import read_schema
from .yaml_lines import Document, Path, read_yaml

SOURCES = ("iceberg", "kafka", "pubsub")
RESERVED: dict[Path, tuple[str, ...]] = {
    (): (
        "schedule",
        "require",
        "report",
        "models",
        "answer",
        "experiments",
        "evaluation",
        "fallback",
        "compile",
        "publish",
        "parent",
    ),
    ("source",): SOURCES,
    ("training", "source"): SOURCES,
    ("output",): ("parquet", "iceberg"),
    ("model",): ("backend", "files"),
}
_WANTED = {  # pydantic's kinds of problems in the words of job.yaml
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "string_type": "should be a text",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
    "model_attributes_type": "should be a mapping",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "invalid_key": "keys should be texts (YAML reads an unquoted on, off, yes or no as true or false)",
    "string_pattern_mismatch": "should be of letters, digits, `.`, `_` and `-`, with a letter or digit first",
}
_SECRET = re.compile(r"password|passwd|secret|token|credential|api_?key|access_?key|private_?key", re.IGNORECASE)


def load_job(path: str, overrides: Sequence[str] = ()) -> Job:
    """Reads a job.

    Args:
      path: job.yaml, or the folder it lies in.
      overrides: `key.path=value` texts, the value as YAML; they win over the file.

    Returns:
      The job, with `folder` set to the file's folder (absolute).

    Raises:
      JobError: everything that is wrong, one line each: `job.yaml:12: what was found; what to do`.
      UsageError: no such file.
    """
    if is_url(path):
        raise UsageError(f"{path}: a job.yaml and the Python files beside it lie on this machine; copy the folder here")
    if os.path.isdir(path):
        path = os.path.join(path, "job.yaml")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; name a job.yaml or the folder it lies in") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    return parse_job(text, path, overrides)


def parse_job(text: str, path: str, overrides: Sequence[str] = ()) -> Job:
    """Reads a job from its text; `path` names it in messages and gives the folder. Raises as `load_job`."""
    document = read_yaml(text)
    name = path if os.path.relpath(path).startswith("..") else os.path.relpath(path)
    unread = [(line, f"{name}:{line}: {sentence}") for line, sentence in document.problems]
    if not unread and not isinstance(document.data, dict):
        unread = [(1, f"{name}:1: not a mapping; a job needs name, source, columns, model and output")]
    if unread:
        raise _job_error(unread)
    for flag in overrides:
        document.overridden.add(override(document.data, flag))
    problems = list(_taken_out(document.data))
    folder = os.path.dirname(os.path.abspath(path))
    if unexpressed := list(_columns_of_schema(document.data, folder)):
        raise _job_error([_placed(document, name, where, sentence) for where, sentence in [*problems, *unexpressed]])
    job, more = _validate(document.data, folder)
    problems += more if job is None else broken_rules(job)
    if problems or job is None:
        raise _job_error([_placed(document, name, where, sentence) for where, sentence in problems])
    return job


def _placed(document: Document, name: str, where: Path, sentence: str) -> tuple[int, str]:
    """A problem with its place: the line of the file, or the flag it came by."""
    came = any(where[:end] in document.overridden for end in range(1, len(where) + 1))
    made = where not in document.lines and any(path[: len(where)] == where for path in document.overridden)
    if came or made:
        return 0, f"--set: {sentence}"
    line = document.line(where)
    return line, f"{name}:{line}: {sentence}"


def _job_error(problems: list[tuple[int, str]]) -> JobError:
    return JobError([sentence for _, sentence in sorted(set(problems))])


def _taken_out(data: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Secrets, and names that are reserved: takes them out, so that the rest can be looked at, and says so."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            yield from _taken_out(item, (*path, index))
    for name in list(data) if isinstance(data, dict) else ():
        here = (*path, name)
        if not _names_columns(path) and _SECRET.search(str(name)):
            yield (
                here,
                f"{dotted(here)}: secrets do not belong in a job; leave it out and use the environment variables "
                "of the SDK (AWS_…, GOOGLE_APPLICATION_CREDENTIALS)",
            )
            del data[name]
        elif name in RESERVED.get(path, ()):
            yield here, f"{dotted(here)}: not available yet"
            del data[name]
        else:
            yield from _taken_out(data[name], here)


def _names_columns(path: Path) -> bool:
    """Whether the keys below a path are names of columns, which may be any."""
    return path[:1] in (("columns",), ("predictions",)) or (
        path[:1] == ("join",) and path[2:] in (("columns",), ("by",))
    )


def _columns_of_schema(data: Any, folder: str) -> Iterator[tuple[Path, str]]:
    """Puts the columns of a TensorFlow Metadata schema in the place of its path; says what no column can express."""
    file, training = data.get("columns"), data.get("training")
    if not isinstance(file, str):
        return
    labels = training.get("columns") if isinstance(training, dict) else None
    try:
        data["columns"], problems = read_schema(resolve(folder, file), labels if isinstance(labels, dict) else ())
    except ValueError as error:
        problems = [str(error)]
    yield from ((("columns",), f"columns: {file}: {problem}") for problem in problems)


def _validate(data: Any, folder: str) -> tuple[Job | None, list[tuple[Path, str]]]:
    try:
        return Job.model_validate(data).model_copy(update={"folder": folder}), []
    except ValidationError as error:
        return None, [_explain(problem) for problem in error.errors()]


def _explain(problem: Any) -> tuple[Path, str]:
    """One of pydantic's problems as a sentence with its remedy."""
    path: Path = tuple(problem["loc"])
    name, kind = dotted(path), problem["type"]
    if kind == "extra_forbidden":
        return path, f"{name}: unknown key{_nearest(path)}"
    if kind == "missing":
        return path, f"{name} is missing{_what(path)}"
    if kind == "value_error":
        return path, f"{name}: {problem['ctx']['error']}"
    if kind in ("too_short", "string_too_short"):
        return path, f"{name} is empty; {'name at least one' if kind == 'too_short' else 'write one character'}"
    said = _WANTED.get(kind) or problem["msg"].removeprefix("Input ").removeprefix("String ")
    return path, f"{name}: {said}, found {_found(problem['input'])}"


def _found(value: Any) -> str:
    """A value as job.yaml would hold it, or of what kind it is."""
    kinds = {dict: "a mapping", list: "a list", tuple: "a list", type(None): "nothing"}
    return kinds.get(type(value)) or (str(value).lower() if isinstance(value, bool) else repr(value))


def _nearest(path: Path) -> str:
    known = _keys(path[:-1])
    near = difflib.get_close_matches(str(path[-1]), known, 1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


def _what(path: Path) -> str:
    model = _model(path[:-1])
    field = model.model_fields.get(str(path[-1])) if model else None
    return f": {field.description}" if field and field.description else ""


def _keys(path: Path) -> list[str]:
    model = _model(path)
    return [field.alias or name for name, field in model.model_fields.items() if name != "folder"] if model else []


def _model(path: Path) -> type[BaseModel] | None:
    """The model that stands at a path of the file, going through mappings of models."""
    model: type[BaseModel] | None = Job
    mapping = False
    for part in path:
        if mapping:
            mapping = False
            continue
        field = model.model_fields.get(str(part)) if model else None
        if field is None:
            return None
        model = _first_model(field.annotation)
        mapping = "dict[" in str(field.annotation)
    return model


def _first_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not hasattr(annotation, "__args__") and issubclass(annotation, BaseModel):
        return annotation
    found = (_first_model(part) for part in getattr(annotation, "__args__", ()))
    return next((model for model in found if model), None)


def dotted(path: Path) -> str:
    """A path as a person writes it: `columns.distance.min`."""
    return ".".join(str(part) for part in path)
