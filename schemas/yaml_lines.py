"""YAML with line numbers, environment variables filled in, and duplicate keys refused."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[Any, ...]
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass
class Document:
    """A YAML text read into plain data.

    Attributes:
      data: mappings, lists and scalars.
      lines: line number (from 1) of every key and item, by its path.
      problems: (line, sentence) for what cannot be read.
      overridden: paths whose value does not come from the text.
    """

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    overridden: set[Path] = field(default_factory=set)

    def line(self, path: Path) -> int:
        """Line of a path, or of its nearest parent that stands in the text."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Loader(yaml.SafeLoader):
    """SafeLoader that leaves dates as text; a job's dates are parsed by the column they belong to."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(text: str, environment: Mapping[str, str] | None = None) -> Document:
    """Reads YAML; `${NAME}` and `${NAME:-default}` are filled from the environment.

    Args:
      text: the YAML.
      environment: variables; the process's own when None.

    Returns:
      A Document; what is wrong stands in its `problems`.
    """
    document = Document()
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            _visit(loader, node, (), document, os.environ if environment is None else environment)
            document.data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        document.problems.append((line, f"not YAML: {error.problem}{_quoted(text, line)}"))
    except yaml.YAMLError as error:
        document.problems.append((1, f"not YAML: {error}"))
    finally:
        loader.dispose()
    return document


def parse_value(text: str) -> Any:
    """One value as it would stand in job.yaml, for `--set`; variables are filled in too.

    Raises:
      ValueError: when it is not YAML, or a variable is not set.
    """
    document = read_yaml(text)
    if document.problems:
        raise ValueError("; ".join(sentence for _, sentence in document.problems))
    return document.data


def _quoted(text: str, line: int) -> str:
    """What to do about a line that is not YAML for the braces of a variable."""
    there = text.splitlines()[line - 1 : line]
    return "; put quotes around a text with ${…} in it" if any("${" in found for found in there) else ""


def _visit(loader: _Loader, node: yaml.Node, path: Path, document: Document, environment: Mapping[str, str]) -> None:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = getattr(key, "value", None)
            if name in seen:
                document.problems.append((key.start_mark.line + 1, f"{_dotted(path + (name,))} stands twice"))
            seen.add(name)
            document.lines[path + (name,)] = key.start_mark.line + 1
            _visit(loader, value, path + (name,), document, environment)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _visit(loader, item, path + (index,), document, environment)
    elif isinstance(node, yaml.ScalarNode) and "${" in node.value:
        _fill(loader, node, document, environment)


def _fill(loader: _Loader, node: yaml.ScalarNode, document: Document, environment: Mapping[str, str]) -> None:
    def value(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name not in environment and default is None:
            document.problems.append(
                (
                    node.start_mark.line + 1,
                    f"${{{name}}}: no such environment variable; set it, or write ${{{name}:-default}}",
                )
            )
        return environment.get(name, default or "")

    node.value = _VARIABLE.sub(value, node.value)
    if node.style is None:  # a plain scalar may have become a number
        node.tag = str(loader.resolve(yaml.ScalarNode, node.value, (True, False)))  # type: ignore[no-untyped-call]


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)
