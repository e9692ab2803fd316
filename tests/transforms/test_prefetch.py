"""Items are made one ahead, in order, by a thread that ends with the iterator."""

import threading
import time
from collections.abc import Iterator

import pytest

from highbeam.transforms.prefetch import prefetched


def numbers(made: list[int], end: int = 5) -> Iterator[int]:
    for number in range(end):
        made.append(number)
        yield number


def settled(made: list[int], count: int) -> list[int]:
    """What was made, when there is nothing more to come for the moment."""
    deadline = time.monotonic() + 10
    while len(made) < count and time.monotonic() < deadline:
        time.sleep(0.001)
    return list(made)


def test_all_items_come_in_order() -> None:
    assert list(prefetched(numbers([]))) == [0, 1, 2, 3, 4]
    assert list(prefetched(iter(()))) == []


def test_one_is_made_while_the_last_is_worked_on_and_no_more() -> None:
    made: list[int] = []
    items = prefetched(numbers(made))
    for number in range(3):
        assert next(items) == number
        assert settled(made, number + 2) == list(range(number + 2))


def test_the_thread_ends_when_the_iterator_is_left() -> None:
    before = threading.active_count()
    items = prefetched(numbers([]))
    next(items)
    assert threading.active_count() == before + 1
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_an_error_comes_in_its_place() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("the disk")

    items = prefetched(failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="the disk"):
        next(items)
