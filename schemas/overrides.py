"""`--set`: values that win over those of job.yaml."""

from __future__ import annotations

from typing import Any

from .errors import UsageError
from .yaml_lines import Path, parse_value


def override(data: dict[str, Any], text: str) -> Path:
    """Sets one value of a job.

    Args:
      data: the job as plain data; changed in place.
      text: `key.path=value`, the value as YAML, with variables as in the file.

    Returns:
      Its path.

    Raises:
      UsageError: it is not written so, or leads nowhere.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--set {text}: write it as key.path=value")
    path = tuple(name.split("."))
    place: Any = data
    for depth, part in enumerate(path[:-1], 1):
        place = _entered(place, part, path[:depth])
    if not isinstance(place, dict):
        raise UsageError(f"--set {text}: {'.'.join(path[:-1])} holds no keys")
    try:
        place[path[-1]] = parse_value(value)
    except ValueError as error:
        raise UsageError(f"--set {text}: {error}") from None
    return path


def _entered(place: Any, part: str, path: Path) -> Any:
    """What lies at a key, to set a key in; made where there is nothing, spelled out where it is a shorthand."""
    if not isinstance(place, dict):
        return None
    short = _key_of_shorthand(path)
    if short and part in place and not isinstance(place[part], (dict, type(None))):
        place[part] = {short: place[part]}
    return place.setdefault(part, {})


def _key_of_shorthand(path: Path) -> str | None:
    """Which key a plain value stands for, at the places where job.yaml takes one in the place of a mapping."""
    if path[-2:-1] == ("columns",) and (len(path) == 2 or path[0] in ("training", "join")):
        return "type"
    return {("accelerator",): "type", ("key",): "columns"}.get(path)
