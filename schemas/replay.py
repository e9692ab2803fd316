"""What a replay builds on: the run whose rejects it scores again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .split import Split

INPUT = "_input"
"""Column of rows on their way to a replayed night: int32, the position of their file among the parent's files."""


@dataclass(frozen=True)
class Replay:
    """The part of a plan that only a replay has.

    The plan's splits are of two kinds: first what the parent made, carried over as it is, then the rejects to score
    again.

    Attributes:
      parent: run_id of the run whose rejects are scored again.
      published: whether the parent's rows are the night's; else the parent was refused, and its rows are staged.
      model_version: of the parent, for rows that were staged and never published.
      read: records that the parent read.
      predicted: rows that the parent made.
      ancestors: score_ids of the parent and of all it builds on, and that of a whole run of this job.
      inputs: the splits of the files that were read at first; those of the first of all parents.
      carried: how many of the plan's splits are carried over.
      unread: rejects whose bytes could not be read again, and that stay rejected for that.
    """

    parent: str
    published: bool
    model_version: str
    read: int
    predicted: int
    ancestors: tuple[str, ...]
    inputs: tuple[Split, ...]
    carried: int
    unread: int = 0

    @property
    def files(self) -> tuple[str, ...]:
        """The files that were read at first, in plan order."""
        return files_of(self.inputs)

    def counts(self, predicted: int, rejected: int) -> dict[str, int]:
        """What a manifest says of a replay that came to so many rows; read = predicted + recovered + still_rejected."""
        return {
            "read": self.read,
            "predicted": self.predicted,
            "recovered": predicted - self.predicted,
            "still_rejected": rejected,
            "not_read_again": self.unread,
        }

    def to_plain(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Replay:
        """Reads what `to_plain` made."""
        inputs = tuple(Split(**{**split, "header": tuple(split["header"])}) for split in plain["inputs"])
        return cls(**{**plain, "inputs": inputs, "ancestors": tuple(plain["ancestors"])})


def files_of(splits: tuple[Split, ...]) -> tuple[str, ...]:
    """The files of some splits, each once, in plan order."""
    return tuple(dict.fromkeys(split.file for split in splits))
