"""Makes the next items while the last one is being worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_END = object()


def prefetched(items: Iterator[T]) -> Iterator[T]:
    """The same items; a thread makes one ahead. It ends with the iterator, also when that is left early."""
    with ThreadPoolExecutor(1, "prefetch") as thread:
        ahead = thread.submit(next, items, _END)
        while (item := ahead.result()) is not _END:
            ahead = thread.submit(next, items, _END)
            yield item  # type: ignore[misc]
