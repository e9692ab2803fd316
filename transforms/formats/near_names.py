"""Which name of a file was meant by one that it does not have."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence

import yaml

_NAME = re.compile(r"[\w .-]+")  # a header of another delimiter is one long name


def is_it(source: str, names: Sequence[str]) -> str:
    """A hint at the name that was meant, or nothing: one that goes on where `source` ends, or else one spelled alike.

    Args:
      source: what was asked for.
      names: what there is.
    """
    alike = {known.strip().casefold(): known for known in names}
    wanted = source.strip().casefold()
    longer = (known for known in alike if len(wanted) > 1 and known.startswith(wanted) and _NAME.fullmatch(known))
    near = sorted(longer, key=len) or difflib.get_close_matches(wanted, alike, 1)
    return f" (is it {alike[near[0]]!r}? then write from: {_as_yaml(alike[near[0]])})" if near else ""


def other_delimiter(names: Sequence[str]) -> str:
    """A hint at the delimiter of a header that was read as one name, or nothing."""
    sign = next((sign for sign in ";\t|," if len(names) == 1 and sign in names[0]), None)
    return f" (is {sign!r} its delimiter? then write delimiter: {json.dumps(sign)})" if sign else ""


def _as_yaml(value: str) -> str:
    """A text as it may stand in job.yaml, in quotes where it would be read as something else without."""
    text: str = yaml.safe_dump({"from": value}, default_flow_style=True, allow_unicode=True, width=10**9)
    return text.strip()[1:-1].partition(": ")[2]
