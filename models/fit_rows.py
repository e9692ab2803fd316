"""Contract, transform graph and signature side by side, a line for each name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FitRow:
    """One name as contract, graph and signature see it; a line of `highbeam check`.

    Attributes:
      name: a raw column or a feature.
      contract: what the contract says of it, or "".
      graph: what the transform graph takes (`takes …`) or gives (`gives …`), or "".
      signature: what the signature takes, or "".
      note: "" where all is well, or a remark such as `not needed`.
      problem: a sentence on what does not fit, or "".
    """

    name: str
    contract: str = ""
    graph: str = ""
    signature: str = ""
    note: str = ""
    problem: str = ""


def problems(rows: Sequence[FitRow]) -> list[str]:
    """What does not fit, one sentence each."""
    return [row.problem for row in rows if row.problem]


def table(rows: Sequence[FitRow]) -> list[str]:
    """The rows as aligned lines of text, with a heading."""
    lines = [("name", "contract", "transform graph", "signature", "")]
    lines += [(r.name, r.contract, r.graph, r.signature, "does not fit" if r.problem else r.note) for r in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(5)]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
