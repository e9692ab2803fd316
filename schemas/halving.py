"""Finding guilty rows: try the whole block, and halve what fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import pyarrow as pa

R = TypeVar("R")


def halving(
    rows: pa.RecordBatch,
    attempt: Callable[[pa.RecordBatch], R],
    errors: tuple[type[Exception], ...] = (Exception,),
) -> Iterator[tuple[pa.RecordBatch, R | Exception]]:
    """Tries `attempt` on all rows, then on the halves of whatever raised, down to single rows.

    Costs one call when nothing is wrong, and about 2 log2(n) calls for each guilty row among n.

    Args:
      rows: what to try.
      attempt: called with consecutive rows; its result stands for exactly those.
      errors: what counts as guilt; anything else is raised.

    Yields:
      (rows, result) pieces that follow each other and cover all rows; a piece whose result is an exception has one row.
    """
    pieces = [rows]
    while pieces:
        piece = pieces.pop()
        try:
            result: R | Exception = attempt(piece)
        except errors as error:
            if piece.num_rows > 1:
                half = piece.num_rows // 2
                pieces += [piece.slice(half), piece.slice(0, half)]
                continue
            result = error
        yield piece, result
