"""How the ways of reading are timed."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.sources import medians


def test_ways_take_turns_until_each_has_had_enough() -> None:
    taken: list[str] = []

    def way(name: str, *seconds: float) -> Callable[[], float]:
        left = iter(seconds)

        def take() -> float:
            taken.append(name)
            return next(left)

        return take

    ways = {"long": way("long", 9, 1, 5), "short": way("short", 0.5, 0.25, 0.75, 0.5, 0.5)}
    assert medians(ways, times=3, seconds=2.5) == {"long": 5, "short": 0.5}
    assert taken == ["long", "short"] * 3 + ["short"] * 2
