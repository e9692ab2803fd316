"""Which inputs of a TensorFlow graph its outputs depend on, and the graph cut down to those.

Works on the graph's protocol buffers, nested functions included: a SavedModel's signature is usually a single call of
an inner function, through which every input seems to reach every output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
READS = ("LookupTableFindV2", "LookupTableSizeV2", "LookupTableExportV2", "ReadVariableOp")
"""Operations that are ordered among others by control edges, but change nothing: without a consumer they may go."""


@dataclass(frozen=True)
class Tensor:
    """One output of one node."""

    node: str
    index: int


@dataclass(frozen=True)
class Node:
    """What the search needs of a node: where its data comes from, and which function it calls."""

    inputs: tuple[Tensor, ...]
    function: str | None


class Library:
    """The functions of a graph, and which of their arguments each of their results depends on."""

    def __init__(self, functions: Iterable[Any]) -> None:
        self._functions = {function.signature.name: function for function in functions}
        self._nodes: dict[str, dict[str, Node]] = {}
        self._known: dict[tuple[str, int], frozenset[int]] = {}

    def arguments(self, name: str, result: int) -> frozenset[int]:
        """Positions of the arguments that result number `result` of a function depends on."""
        known = self._known.get((name, result))
        if known is None:
            known = self._known[name, result] = self._find(name, result)
        return known

    def _find(self, name: str, result: int) -> frozenset[int]:
        function = self._functions[name]
        places = {arg.name: place for place, arg in enumerate(function.signature.input_arg)}
        if name not in self._nodes:
            self._nodes[name] = nodes_of(function.node_def)
        start = parse(function.ret[function.signature.output_arg[result].name])
        return frozenset(places[leaf] for leaf in leaves(self._nodes[name], [start], self) if leaf in places)


def nodes_of(node_defs: Iterable[Any]) -> dict[str, Node]:
    """The nodes of a graph or a function by name."""
    return {
        node.name: Node(
            tuple(parse(name) for name in node.input if not name.startswith("^")),
            node.attr["f"].func.name if node.op in CALLS else None,
        )
        for node in node_defs
    }


def parse(name: str) -> Tensor:
    """Reads `node`, `node:1` (a graph's spelling) or `node:output:1` (a function's)."""
    parts = name.split(":")
    return Tensor(parts[0], int(parts[-1]) if len(parts) > 1 else 0)


def leaves(nodes: Mapping[str, Node], start: Iterable[Tensor], library: Library) -> set[str]:
    """Names of the nodes without inputs, and of what is not a node (a function's arguments), that data comes from.

    Control edges do not count: an assertion about a label does not make a prediction depend on the label.
    """
    found, seen, todo = set(), set(), list(start)
    while todo:
        tensor = todo.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        node = nodes.get(tensor.node)
        if node is None or not node.inputs:
            found.add(tensor.node)
        elif node.function is None:
            todo.extend(node.inputs)
        else:
            todo.extend(node.inputs[place] for place in library.arguments(node.function, tensor.index))
    return found


def dependencies(graph_def: Any, outputs: Sequence[str]) -> set[str]:
    """Names of the placeholders, and other nodes without inputs, that some tensors depend on.

    Args:
      graph_def: a GraphDef with its library.
      outputs: names of tensors, as `node:0`.
    """
    library = Library(graph_def.library.function)
    return leaves(nodes_of(graph_def.node), [parse(name) for name in outputs], library)


def prune(graph_def: Any, outputs: Sequence[str], unneeded: Collection[str]) -> Any:
    """The graph without what its outputs do not need.

    Keeps what the outputs are computed from, and the assertions (and other effects) ordered before them, except those
    that look at an input no output depends on: an assertion about a label must not run when there is no label.

    Args:
      graph_def: a GraphDef with its library.
      outputs: names of the tensors to keep.
      unneeded: names of placeholders that no output depends on.

    Returns:
      A GraphDef. A placeholder of `unneeded` is left in it only where an inner function takes it without using it.
    """
    nodes = {node.name: node for node in graph_def.node}
    dropped = _downstream(graph_def.node, unneeded) | {node.name for node in graph_def.node if node.op in READS}
    kept: set[str] = set()
    todo = [parse(name).node for name in outputs]
    while todo:
        name = todo.pop()
        if name not in kept:
            kept.add(name)
            todo += [parse(data).node for data in nodes[name].input if not data.startswith("^")]
            todo += [control for control in _controls(nodes[name]) if control not in dropped]
    return _subgraph(graph_def, kept)


def _controls(node: Any) -> Iterator[str]:
    return (name[1:] for name in node.input if name.startswith("^"))


def _downstream(node_defs: Sequence[Any], sources: Collection[str]) -> set[str]:
    """Names of the nodes that data of `sources` flows into, and `sources`."""
    consumers: dict[str, list[str]] = {}
    for node in node_defs:
        for name in node.input:
            if not name.startswith("^"):
                consumers.setdefault(parse(name).node, []).append(node.name)
    reached: set[str] = set()
    todo = list(sources)
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += consumers.get(name, [])
    return reached


def _subgraph(graph_def: Any, kept: Collection[str]) -> Any:
    pruned = type(graph_def)()
    pruned.versions.CopyFrom(graph_def.versions)
    pruned.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        if node.name in kept:
            copy = pruned.node.add()
            copy.CopyFrom(node)
            copy.input[:] = [name for name in node.input if not name.startswith("^") or name[1:] in kept]
    return pruned
