"""What a TensorFlow graph computes, as a digest: equal for equal graphs, in every process.

TensorFlow Transform's own key of an analyzer's cache leaves out which operations a graph is made of (in release 1.21
`x + 1` and `x - 1` have one key), so it cannot be trusted alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
_VOLATILE = frozenset({"_gradient_op_type", "config_proto", "_XlaMustCompile"})


def graph_digest(graph_def: Any) -> str | None:
    """Digests a GraphDef.

    Names of inner functions, which number a process's traces, count only by where they are used. Text that names a
    file stands for the file's bytes: a lookup table is read from it.

    Returns:
      Hex digits; or None when the graph calls Python, of which nothing is known.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    bodies = [graph_def.node, *(function.node_def for function in functions.values())]
    if any(node.op in _PYTHON for body in bodies for node in body):
        return None
    return _Digest(functions).of(graph_def.node)


class _Digest:
    """Walks a graph and the functions it calls, in the order they are met."""

    def __init__(self, functions: dict[str, Any]) -> None:
        self._functions = functions
        self._met: dict[str, str] = {}
        self._whole = hashlib.sha256()

    def of(self, nodes: Iterable[Any]) -> str:
        """The digest of a graph's nodes and all they lead to."""
        self._add_nodes(nodes, {})
        done = 0
        while done < len(self._met):
            self._add_function(self._functions[list(self._met)[done]])
            done += 1
        return self._whole.hexdigest()

    def _add_function(self, function: Any) -> None:
        """A function's arguments count by place: TensorFlow puts the number of the trace in some names."""
        places = {arg.name: f"argument {place}" for place, arg in enumerate(function.signature.input_arg)}
        self._add("function", [arg.type for arg in function.signature.input_arg])
        self._add([_renamed(function.ret[arg.name], places) for arg in function.signature.output_arg])
        self._add_nodes(function.node_def, places)

    def _add_nodes(self, nodes: Iterable[Any], places: Mapping[str, str]) -> None:
        for node in nodes:
            attributes = [
                (name, self._attribute(node.attr[name])) for name in sorted(node.attr) if name not in _VOLATILE
            ]
            self._add(node.name, self._named(node.op), [_renamed(name, places) for name in node.input], attributes)

    def _add(self, *parts: Any) -> None:
        self._whole.update(repr(parts).encode() + b"\n")

    def _attribute(self, value: Any) -> bytes:
        copy = type(value)()
        copy.CopyFrom(value)
        for function in ([copy.func] if copy.HasField("func") else []) + list(copy.list.func):
            function.name = self._named(function.name)
        for text in copy.tensor.string_val:
            self._whole.update(_file_bytes(text))
        return bytes(copy.SerializeToString(deterministic=True))

    def _named(self, name: str) -> str:
        """A name, or a function's place among those met."""
        if name not in self._functions:
            return name
        return self._met.setdefault(name, f"function {len(self._met)}")


def _renamed(tensor: str, places: Mapping[str, str]) -> str:
    name, colon, rest = tensor.partition(":")
    return places.get(name, name) + colon + rest


def _file_bytes(text: bytes) -> bytes:
    """A digest of the file a text names, if it names one."""
    try:
        path = Path(text.decode())
        return hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""
    except (OSError, ValueError):
        return b""
