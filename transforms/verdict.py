"""The first thing that is wrong with each row of a batch."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Verdict:
    """Collects blame; what is said first about a row stands.

    Costs nothing a row while nobody is blamed.

    Args:
      rows: how many rows there are to judge.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._parts: list[tuple[Rows, str, pa.Array]] = []

    @cached_property
    def guilty(self) -> Mask:
        """Which rows were blamed; bool[rows]."""
        return np.zeros(self._rows, bool)

    def blame(self, rows: Rows, reason: str, messages: str | pa.Array) -> None:
        """Finds rows guilty, unless they already are.

        Args:
          rows: their positions, each at most once.
          reason: a code of `schemas.reasons.REASONS`.
          messages: a sentence, one for all or string[len(rows)].
        """
        first = ~self.guilty[rows]
        if not first.any():
            return
        if isinstance(messages, str):
            messages = pa.repeat(messages, len(rows))
        self._parts.append((rows[first], reason, messages.filter(pa.array(first))))
        self.guilty[rows] = True

    def adopt(self, inner: Verdict, rows: Rows) -> None:
        """Blames rows for what another verdict found of them.

        Args:
          inner: a verdict on some of the rows.
          rows: which they are here.
        """
        for at, reason, messages in inner._parts:
            self.blame(rows[at], reason, messages)

    def __bool__(self) -> bool:
        """Whether any row is guilty."""
        return bool(self._parts)

    @property
    def innocent(self) -> Rows:
        """Positions of the rows nobody blamed, ascending."""
        return np.flatnonzero(~self.guilty) if self._parts else np.arange(self._rows)

    def findings(self) -> tuple[Rows, pa.Array, pa.Array]:
        """Positions of the guilty rows, ascending; their reasons and messages as string arrays."""
        rows = np.concatenate([rows for rows, _, _ in self._parts] or [np.empty(0, np.int64)])
        order = pa.array(np.argsort(rows, kind="stable"))
        reasons = [pa.repeat(reason, len(rows)) for rows, reason, _ in self._parts]
        messages = [message for _, _, message in self._parts]
        return np.sort(rows), _joined(reasons).take(order), _joined(messages).take(order)


def as_mask(answers: pa.Array) -> Mask:
    """Arrow's answers as a mask; no answer, for a null, is no."""
    if answers.null_count:
        answers = answers.fill_null(False)
    mask: Mask = answers.to_numpy(zero_copy_only=False)
    return mask


def at_indices(of_values: Mask, indices: pa.Array) -> Mask:
    """What is true of a dictionary's values, for the rows that point to them; of a null nothing is true."""
    mask: Mask = np.append(of_values, False)[indices.fill_null(len(of_values)).to_numpy()]
    return mask


def _joined(parts: list[pa.Array]) -> pa.Array:
    return pa.concat_arrays([part.cast(pa.string()) for part in parts] or [pa.array([], pa.string())])
