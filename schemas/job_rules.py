"""Rules that span several parts of a job; each part's own rules stand with its model."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from .contract import KEY_TYPES, Column
from .job import BIGQUERY_TABLE, Job
from .join import BY_TYPES
from .layout import braces_problem, date_problem, fill_date, is_url, layout, place_problem
from .sources import Rows

_NUMBER = re.compile(r"[-+.\d]")
Path = tuple[Any, ...]
Problem = tuple[Path, str]


def broken_rules(job: Job) -> Iterator[Problem]:
    """Everything wrong with a job whose parts are each sound: (path, sentence)."""
    yield from _names(job)
    yield from _key(job)
    yield from _passthrough(job)
    yield from _model(job)
    yield from _apart(job)
    yield from _training(job)
    yield from _joins(job)
    yield from _list_types(job)
    yield from _places(job)
    yield from _python(job)
    yield from _bigquery(job)
    yield from _bigquery_source(job)


def _names(job: Job) -> Iterator[Problem]:
    for name in job.columns:
        if name.startswith("_"):
            yield (
                ("columns", name),
                f"columns.{name}: names with a leading _ are Highbeam's own; rename it with from:",
            )
    for name in job.predictions or {}:
        if name.startswith("_"):
            yield ("predictions", name), f"predictions.{name}: names with a leading _ are Highbeam's own"
        if name in published_inputs(job):
            yield (
                ("predictions", name),
                f"predictions.{name}: already the name of a key or passthrough column",
            )
    inputs = [name for name in published_inputs(job) if name in job.contract.columns]
    if "date" in (*inputs, *(job.predictions or {})):
        yield ("output",), "date is the partition column of the table; rename the column with from:"


def published_inputs(job: Job) -> tuple[str, ...]:
    """Input columns that are published: the key, then passthrough."""
    return job.contract.key + job.output.passthrough


def _key(job: Job) -> Iterator[Problem]:
    for name in job.contract.key:
        column = job.columns.get(name)
        if column is None:
            yield ("key",), f"key: {name} is no column of the contract; columns are {', '.join(job.columns)}"
        elif column.type not in KEY_TYPES:
            yield ("key",), f"key: {name} is {column.type}; a key is one of {', '.join(KEY_TYPES)}"
        elif column.nullable or column.optional or column.default is not None:
            yield (
                ("key",),
                f"key: {name} may be missing; a key is neither nullable nor optional and has no default",
            )
    if len(set(job.contract.key)) < len(job.contract.key):
        yield ("key",), "key: a column stands twice"


def _passthrough(job: Job) -> Iterator[Problem]:
    seen: set[str] = set(job.contract.key)
    for name in job.output.passthrough:
        if name not in job.contract.columns:
            yield ("output", "passthrough"), f"output.passthrough: {name} is no column of the contract"
        elif name in seen:
            yield ("output", "passthrough"), f"output.passthrough: {name} is published already; leave it out"
        seen.add(name)


def _model(job: Job) -> Iterator[Problem]:
    version = job.model.version
    if not version.isdecimal() and version not in ("latest", "published"):
        labelled = f"labels such as {version!r} are not available yet"
        found = f"{version!r} is no version" if _NUMBER.match(version) else labelled
        yield ("model", "version"), f"model.version: {found}; write a number, latest or published"
    if job.transform and not job.transform.version.isdecimal() and job.transform.version != "latest":
        yield ("transform", "version"), "transform.version: write a number or latest"
    if job.model.input_format == "tf_example" and job.transform:
        yield (
            ("transform",),
            "transform: a model that takes tf.Examples has its own graph; leave transform out",
        )
    if job.postprocess and not job.predictions:
        yield ("predictions",), "predictions must be declared when postprocess makes them"
    for tensor, column in job.model.inputs.items():
        if not job.transform and column not in job.contract.columns:
            yield ("model", "inputs", tensor), f"model.inputs.{tensor}: {column} is no column of the contract"


def _apart(job: Job) -> Iterator[Problem]:
    if job.accelerator and job.preprocess == "fused":
        yield ("preprocess",), "preprocess: fused runs the model where rows are read; leave it out beside accelerator"
    if job.apart and job.model.input_format == "tf_example":
        where = "accelerator" if job.accelerator else "preprocess"
        yield (where,), f"{where}: a model that takes tf.Examples cannot be run apart from what comes before it"


def _training(job: Job) -> Iterator[Problem]:
    for name in job.training.columns if job.training else ():
        if name in job.contract.columns:
            yield ("training", "columns", name), f"training.columns.{name}: already a column of the contract"


def _joins(job: Job) -> Iterator[Problem]:
    taken = dict.fromkeys(job.columns, "columns")
    for name, side in job.join.items():
        for mine in side.by:
            if mine not in job.columns:
                known = ", ".join(job.columns)
                yield ("join", name, "by"), f"join.{name}.by: {mine} is no column of `columns`, which are {known}"
            elif job.columns[mine].type not in BY_TYPES:
                said = f"{mine} is {job.columns[mine].type}; a table is searched by {', '.join(BY_TYPES)}"
                yield ("join", name, "by"), f"join.{name}.by: {said}"
        for column, spec in side.columns.items():
            where = ("join", name, "columns", column)
            if column.startswith("_"):
                yield where, f"{'.'.join(where)}: names with a leading _ are Highbeam's own; rename it with from:"
            if column in taken:
                yield where, f"{'.'.join(where)}: already a column of {taken[column]}; rename it with from:"
            if side.csv and spec.typed.is_list:
                yield where, f"{'.'.join(where)}: a CSV field cannot hold a {spec.type}"
            taken[column] = f"join.{name}.columns"
        for path in side.paths:
            if problem := place_problem(path) or braces_problem(path):
                yield ("join", name), f"join.{name}: {path}: {problem}"


def _list_types(job: Job) -> Iterator[Problem]:
    columns: dict[Path, Column] = {("columns", name): column for name, column in job.columns.items()}
    if job.training:
        columns |= {("training", "columns", name): column for name, column in job.training.columns.items()}
    kind = {"csv": "CSV field", "log": "log field"}.get(job.source.format)
    for path, column in columns.items():
        if kind and column.typed.is_list:
            yield path, f"{'.'.join(path)}: a {kind} cannot hold a {column.type}"


def _places(job: Job) -> Iterator[Problem]:
    places: dict[Path, str | None] = {
        ("output", "delta", "path"): job.output.delta.path if job.output.delta else None,
        ("output", "bigquery", "staging"): job.output.bigquery.staging if job.output.bigquery else None,
        ("state",): job.state,
        ("model", "path"): job.model.path,
        ("transform", "path"): job.transform.path if job.transform else None,
    }
    dated = _dated(job)
    for where, place in {**places, **dated}.items():
        if place is not None and (problem := place_problem(place) or (where in dated and braces_problem(place))):
            yield where, f"{'.'.join(map(str, where))}: {problem}"
    inside = os.path.relpath(layout(job).state, layout(job).table)
    if not inside.startswith(("..", "_")):
        yield (
            ("state",),
            "state: must not lie among the table's files; write another folder, or one in it whose name begins with _",
        )


def _dated(job: Job) -> dict[Path, str | None]:
    """The paths that the night's date is filled into, but for those of side tables."""
    found: dict[Path, str | None] = {("source", "ready"): job.source.ready}
    for where, source in _sources(job).items():
        found |= {(*where, source.format, "path", i): path for i, path in enumerate(source.files.path)}
    return found


def _sources(job: Job) -> dict[Path, Rows]:
    """Where rows come from: those of the night, and those that only training reads."""
    training = job.training.source if job.training else None
    return {("source",): job.source, **({("training", "source"): training} if training else {})}


def _python(job: Job) -> Iterator[Problem]:
    """Code is imported and sent along from where the job is."""
    files: dict[Path, str | None] = {("code", i): place for i, place in enumerate(job.code)}
    files[("transform", "preprocessing_fn")] = job.transform.preprocessing_fn if job.transform else None
    files[("postprocess",)] = job.postprocess
    for where, file in files.items():
        if file and is_url(file):
            yield (
                where,
                f"{'.'.join(map(str, where))}: {file}: Python files lie on this machine; copy it beside job.yaml",
            )


def _bigquery(job: Job) -> Iterator[Problem]:
    """BigQuery loads files of this machine, or of a bucket of Google's."""
    if job.output.bigquery is None:
        return
    staging = job.output.bigquery.staging
    if job.state is None:
        yield ("state",), "state is missing: a folder for staging, runs and rejects; BigQuery has none"
    elif staging is None and is_url(job.state) and not job.state.startswith("gs://"):
        yield ("state",), f"state: BigQuery cannot load files of {job.state}; name gs://… as output.bigquery.staging"
    if staging is not None and not staging.startswith("gs://"):
        yield ("output", "bigquery", "staging"), f"output.bigquery.staging: write gs://bucket/…, found {staging}"
    names = [*published_inputs(job), *(job.predictions or {})]
    for name in names:
        if twin := next((other for other in names if other != name and other.lower() == name.lower()), None):
            yield ("output",), f"output.bigquery: {name} and {twin} are one name to BigQuery; rename one with from:"
            return


def _bigquery_source(job: Job) -> Iterator[Problem]:
    for path, source in _sources(job).items():
        rows, where = source.bigquery, ".".join((*path, "bigquery"))
        if rows is None:
            continue
        for name in ("table", "where", "query"):
            if problem := date_problem(getattr(rows, name) or ""):
                yield (*path, "bigquery", name), f"{where}.{name}: {problem}"
        if rows.table and not BIGQUERY_TABLE.fullmatch(fill_date(rows.table, "2013-12-01")):
            yield (*path, "bigquery", "table"), f"{where}.table: write project.dataset.name, found {rows.table}"
