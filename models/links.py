"""Which feature feeds which input of a signature: matched by name, and held against each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .fit_rows import FitRow
from .graph import Graph, flatten
from .specs import spec_text


@dataclass(frozen=True)
class Link:
    """A feature and the signature's inputs it feeds: one, or one for each component of a composite tensor."""

    feature: str
    tensors: tuple[str, ...]


@dataclass(frozen=True)
class Giver:
    """What feeds a signature: the transform graph's outputs, or the contract's columns.

    Attributes:
      offered: feature -> spec.
      transformed: whether a transform graph stands between.
    """

    offered: Mapping[str, Any]
    transformed: bool

    @property
    def label(self) -> str:
        """What messages call it."""
        return "the transform graph" if self.transformed else "the contract"


def link(
    giver: Giver, signature: Graph, mapping: Mapping[str, str], needed: Collection[str]
) -> tuple[list[Link], list[FitRow]]:
    """Finds the feature for each of a signature's inputs.

    Args:
      giver: what is there.
      signature: what is asked for.
      mapping: signature input -> feature, where the names differ.
      needed: the signature's inputs that matter; others are not linked.

    Returns:
      The links that fit, and a row for every input and every feature.
    """
    links, rows, done = [], [], set()
    for tensor in sorted(signature.inputs):
        feature = mapping.get(tensor, tensor)
        parts = _part_names(tensor, giver.offered.get(feature), signature)
        if tensor in done:
            continue
        done |= set(parts)
        wanted = bool(set(parts) & set(needed))
        problem = _problem(giver, signature, feature, parts) if wanted else ""
        rows.append(_row(giver, signature, feature, parts, "" if wanted else "not needed", problem))
        if wanted and not problem:
            links.append(Link(feature, tuple(parts)))
    used = {row.name for row in rows}
    rows += [_row(giver, signature, name, [], "not used", "") for name in giver.offered if name not in used]
    return links, rows


def _part_names(tensor: str, spec: Any, signature: Graph) -> list[str]:
    """A signature flattens a composite input `x` into `x`, `x_1` and so on."""
    count = len(flatten(spec)) if spec is not None else 1
    names = [tensor, *(f"{tensor}_{number}" for number in range(1, count))]
    return names if all(name in signature.inputs for name in names) else [tensor]


def _row(giver: Giver, signature: Graph, feature: str, parts: list[str], note: str, problem: str) -> FitRow:
    spec = giver.offered.get(feature)
    given = f"gives {spec_text(spec)}" if giver.transformed and spec is not None else ""
    taken = ", ".join(spec_text(signature.inputs[part]) for part in parts)
    return FitRow(feature, "", given, taken, note, problem)


def _problem(giver: Giver, signature: Graph, feature: str, parts: list[str]) -> str:
    """Why a feature cannot feed some inputs, or ""."""
    spec = giver.offered.get(feature)
    takes = f"{signature.label} takes {parts[0]} {spec_text(signature.inputs[parts[0]])}"
    if spec is None:
        return _missing(giver, signature, parts[0], feature, takes)
    inner = flatten(spec)
    difference = f"{takes}, {giver.label} gives {feature} {spec_text(spec)}"
    if len(inner) != len(parts):
        return f"{difference}; " + (
            "make it dense in preprocessing_fn" if giver.transformed else "give the column a default, or a size"
        )
    for given, wanted in zip(inner, (signature.inputs[part] for part in parts), strict=True):
        if given.dtype != wanted.dtype:
            return f"{difference}; " + (
                "cast it in preprocessing_fn" if giver.transformed else "change the column's type, or cast it by as:"
            )
        if not shapes_fit(given.shape, wanted.shape):
            return f"{difference}; the shapes differ"
    return ""


def _missing(giver: Giver, signature: Graph, tensor: str, feature: str, takes: str) -> str:
    if len(signature.inputs) == 1 and signature.inputs[tensor].shape.rank == 2 and len(giver.offered) > 1:
        where = "preprocessing_fn" if giver.transformed else "a transform graph, or inside the signature"
        return (
            f"{takes}: one matrix for all features, and nothing says in which order. Features are fed by name; "
            f"concatenate them in {where} into one called {tensor}"
        )
    there = ", ".join(sorted(giver.offered)) or "nothing"
    return f"{takes}, {giver.label} has no {feature}; it gives {there}. Name it under model.inputs: {{{tensor}: …}}"


def shapes_fit(given: Any, wanted: Any) -> bool:
    """Whether one shape can be fed as the other; `[?]` and `[?, 1]` are one column either way."""
    if given.is_compatible_with(wanted):
        return True
    if {given.rank, wanted.rank} != {1, 2}:
        return False
    return (given if given.rank == 2 else wanted)[1] in (1, None)
