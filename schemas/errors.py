"""What can go wrong, and the exit status each ends with.

HighbeamError            1  anything unforeseen that still deserves a sentence
|-- UsageError           2  the job, a flag or an input is wrong; found before launch
|   |-- JobError         2  job.yaml: every mistake at once, with line and remedy
|   |-- NotAvailable     2  recognised, but not built yet
|   `-- Unpublished      2  a night was asked for that nobody published
|-- Refused              3  nothing was published, the table is as it was
|   |-- UnreadableInput  3  a file cannot be framed to its end
|   |-- InputChanged     3  a file is not the one that was planned
|   `-- Superseded       3  another run, of this attempt or a later one, holds the partition
`-- Unconserved          1  rows appeared or vanished: a bug, never bad data
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class HighbeamError(Exception):
    """Base of every error whose text is meant for a person.

    Attributes:
      exit_code: the status a command ends with.
      reason: a short code for machines, as it stands in a manifest.
    """

    exit_code = 1
    reason = "failed"


class UsageError(HighbeamError):
    """The job, a flag or an input is wrong, and it was seen before launch."""

    exit_code = 2
    reason = "usage"


class JobError(UsageError):
    """Everything that is wrong with a job, one problem a line.

    Args:
      problems: sentences, each with its place and remedy.
    """

    reason = "job"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class NotAvailable(UsageError):
    """A name that is reserved and not built yet."""

    reason = "not_available"


class Unpublished(UsageError):
    """A lookup in a night that was never published."""

    reason = "unpublished"


class Problems:
    """Collects the mistakes of parts that do not depend on each other, so that all are told at once.

    Example:
      problems = Problems()
      with problems.part():
          model = resolve(job)
      with problems.part():
          files = list_files(job)
      problems.raise_all()
    """

    def __init__(self) -> None:
        self._found: list[UsageError] = []

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return bool(self._found)

    @contextmanager
    def part(self) -> Iterator[None]:
        """Looks at one part; the block ends at its first UsageError."""
        try:
            yield
        except UsageError as error:
            self._found.append(error)

    def raise_all(self) -> None:
        """Raises what was found.

        Raises:
          UsageError: the only one as it was, or several as one, each on lines of its own.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise UsageError("\n".join(map(str, self._found)))


class Refused(HighbeamError):
    """A run that must not be published.

    Args:
      message: what was found, where, and what to do.
      reason: short code, for example `over_budget`.
    """

    exit_code = 3
    reason = "refused"

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or type(self).reason


class UnreadableInput(Refused):
    """A file that cannot be framed to its end."""

    reason = "unreadable_input"


class InputChanged(Refused):
    """A file whose size or mark is not the one that was planned."""

    reason = "input_changed"


class Superseded(Refused):
    """Another run holds the partition at this attempt or a later one."""

    reason = "superseded"


class Unconserved(HighbeamError):
    """The law of a Batch is broken: a row was lost or made up."""

    reason = "unconserved"


def first_line(error: BaseException) -> str:
    """What an error of a library says, in a line; of one without words, its name."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
