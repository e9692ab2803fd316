"""Which name of a file was meant by one that it does not have."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

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
    return f" (is it {alike[near[0]]!r}? then write from: {alike[near[0]]})" if near else ""
