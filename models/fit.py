"""Whether contract, transform graph and signature fit together, and how the columns get into the model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from ..schemas.contract import Column, Contract
from ..schemas.features import features
from ..schemas.types import parse_type
from .fit_rows import FitRow
from .graph import Graph
from .links import Giver, Link, link, shapes_fit
from .runtime import tf
from .specs import spec_text, type_spec
from .tensors import Feed, cast_problem


@dataclass(frozen=True, eq=False)
class Fit:
    """How the columns get into the model.

    Attributes:
      graph: the transform graph, or None.
      signature: the model's signature.
      outputs: the signature's outputs that are wanted.
      feeds: the columns the outputs depend on.
      links: the features the signature is fed with.
      offered: feature -> spec, of all that the signature may be fed with.
      rows: everything side by side.
    """

    graph: Graph | None
    signature: Graph
    outputs: tuple[str, ...]
    feeds: tuple[Feed, ...]
    links: tuple[Link, ...]
    offered: Mapping[str, Any]
    rows: tuple[FitRow, ...]


def fit(
    contract: Contract,
    graph: Graph | None,
    signature: Graph,
    mapping: Mapping[str, str],
    outputs: Collection[str],
) -> Fit:
    """Matches columns, graph and signature by name; what does not fit is a row with a problem.

    Args:
      contract: the columns of a row at scoring.
      graph: the transform graph; without it columns feed the signature.
      signature: the model's signature.
      mapping: signature input -> feature (or column), where the names differ.
      outputs: the signature's outputs that predictions are made of; inputs none of them depends on are not needed.
    """
    offered = graph.outputs if graph else _columns_as_specs(contract, signature, mapping)
    links, linked = link(Giver(offered, graph is not None), signature, mapping, signature.needed(outputs))
    if graph is None:
        wanted = {one.feature: offered[one.feature] for one in links}
        rows = [_direct_row(contract, row) for row in linked]
    else:
        names = graph.needed([row.name for row in linked if row.signature and row.graph and not row.note])
        wanted = {name: spec for name, spec in sorted(graph.inputs.items()) if name in names}
        rows = [*_raw_rows(contract, graph, wanted), *linked]
    feeds = [feed(contract, name, spec) for name, spec in wanted.items() if name in features(contract)]
    rows = [*_strays(signature, mapping), *rows]
    return Fit(graph, signature, tuple(outputs), tuple(feeds), tuple(links), offered, tuple(rows))


def _strays(signature: Graph, mapping: Mapping[str, str]) -> Iterator[FitRow]:
    there = ", ".join(sorted(signature.inputs))
    for tensor in mapping:
        if tensor not in signature.inputs:
            yield FitRow(tensor, problem=f"model.inputs.{tensor}: the signature has no such input; it takes {there}")


def _columns_as_specs(contract: Contract, signature: Graph, mapping: Mapping[str, str]) -> dict[str, Any]:
    """The columns as specs, in the type the signature takes where that is the column's own or the widened one."""
    wanted = {mapping.get(tensor, tensor): spec.dtype.name for tensor, spec in signature.inputs.items()}
    specs = {}
    for name, feature in features(contract).items():
        own = _own_dtype(contract.columns[name])
        specs[name] = type_spec(feature, own if wanted.get(name) == own else None)
    return specs


def _own_dtype(column: Column) -> str:
    """TensorFlow's name of a column's own type, before widening."""
    item = parse_type(column.cast or column.type).item
    return {pa.float32(): "float32", pa.float64(): "float64"}.get(item, str(item))


def _direct_row(contract: Contract, row: FitRow) -> FitRow:
    """A row of a model without a transform graph: the column stands where the feature would."""
    column = contract.columns.get(row.name)
    unmade = cast_problem(column) if column else None
    problem = row.problem or (f"columns.{row.name}: {unmade}" if unmade else "")
    return replace(row, contract=_column_text(contract, row.name), problem=problem)


def _raw_rows(contract: Contract, graph: Graph, wanted: Collection[str]) -> Iterator[FitRow]:
    """One row for each input of the graph, then the columns it does not take."""
    for name, spec in sorted(graph.inputs.items()):
        problem = _raw_problem(contract, name, spec) if name in wanted else ""
        note = "" if name in wanted else "not needed"
        yield FitRow(name, _column_text(contract, name), f"takes {spec_text(spec)}", "", note, problem)
    for name in contract.columns:
        if name not in graph.inputs:
            yield FitRow(name, _column_text(contract, name), note="not used")


def _raw_problem(contract: Contract, name: str, spec: Any) -> str:
    """Why a column is not what the graph was made for, or ""."""
    asked = f"the transform graph was made for another contract: it takes {name} {spec_text(spec)}"
    column, feature = contract.columns.get(name), features(contract).get(name)
    if column is None:
        return f"{asked}, the contract has no such column; declare it, or analyze again"
    if feature is None:
        return f"{asked}, the column is a {column.type}, which is no feature; say `as:` in its column"
    if column.cast and (unmade := cast_problem(column)):
        return f"columns.{name}: {unmade}"
    ours = type_spec(feature)
    dense = isinstance(ours, tf.TensorSpec)
    same = type(ours) is type(spec) and ours.dtype == spec.dtype
    if same and (not dense or shapes_fit(ours.shape, spec.shape)):
        return ""
    return f"{asked}, the contract gives {spec_text(ours)}; change the column back, or analyze again"


def _column_text(contract: Contract, name: str) -> str:
    column = contract.columns.get(name)
    if column is None:
        return ""
    size = f" of {column.size}" if column.size else ""
    cast = f" as {column.cast}" if column.cast else ""
    return f"{column.type}{size}{cast}" + (" or null" if column.nullable and column.default is None else "")


def feed(contract: Contract, name: str, spec: Any) -> Feed:
    """How a column travels to an input of that spec."""
    feature, column = features(contract)[name], contract.columns[name]
    listed = parse_type(column.cast or column.type).is_list
    return Feed(name, feature.kind, spec.dtype.name, feature.size, listed, column.cast)
