"""How far a run is: staged splits over planned ones, seen in storage, so that it works with every runner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from .. import storage
from ..schemas.plan import Plan
from ..transforms.staged import Staged

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Progress:
    """What is staged so far.

    Attributes:
      splits: splits of the plan.
      staged: those that are staged.
      read: records in them.
      rejected: records of them turned away.
      seconds: since the run began.
      resumed: splits that an earlier attempt had staged.
      resumed_read: records in those.
      over: whether the run has ended.
    """

    splits: int
    staged: int = 0
    read: int = 0
    rejected: int = 0
    seconds: float = 0.0
    resumed: int = 0
    resumed_read: int = 0
    over: bool = False

    @property
    def rows_per_second(self) -> float:
        """Records a second since the run began."""
        return (self.read - self.resumed_read) / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the splits staged in this run; None before the first."""
        done = self.staged - self.resumed
        return self.seconds * (self.splits - self.staged) / done if done else None


class Watch:
    """Polls the staging folder of a plan; opens each staged object once."""

    def __init__(self, plan: Plan) -> None:
        self._waiting = {plan.staged(number) for number in range(len(plan.splits))}
        self._folder = plan.layout.staging(plan.score_id)
        self._started = time.monotonic()
        self._now = Progress(len(plan.splits))
        first = self.poll()
        self._now = Progress(len(plan.splits), first.staged, first.read, first.rejected, 0.0, first.staged, first.read)

    def poll(self) -> Progress:
        """Looks once."""
        there = {storage.join(self._folder, info.path.rpartition("/")[2]) for info in storage.listing(self._folder)}
        now, staged, read, rejected = self._now, 0, 0, 0
        for path in sorted(self._waiting & there):
            with Staged(path) as done:
                staged, read, rejected = staged + 1, read + done.footer.read, rejected + done.footer.rejected
            self._waiting.remove(path)
        self._now = Progress(
            now.splits,
            now.staged + staged,
            now.read + read,
            now.rejected + rejected,
            time.monotonic() - self._started,
            now.resumed,
            now.resumed_read,
        )
        return self._now


@contextmanager
def watching(plan: Plan, report: Callable[[Progress], None] | None) -> Iterator[None]:
    """Reports progress from a thread of its own for as long as the block runs, and once at its end."""
    if report is None:
        yield
        return
    watch, over = Watch(plan), threading.Event()

    def loop() -> None:
        while not over.wait(POLL_SECONDS):
            report(watch.poll())

    thread = threading.Thread(target=loop, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        report(replace(watch.poll(), over=True))
