"""What `make bench` prints: two tables, and the targets with what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.measure import Cost
from benchmarks.programs import BARE, PROGRAMS
from benchmarks.results import HANDFUL, SMALL, Results, largest

MB = 1_000_000
TEN_MILLION, FIFTY_MILLION = 10_000_000, 50_000_000


def whole_table(results: Results) -> list[str]:
    """Each program over all rows, as a whole process."""
    head = ["", "seconds", "CPU s", "rows/s", "peak MB", "above bare", "time / Highbeam's"]
    rows = [[PROGRAMS[name].title, *_figures(results, name, cost)] for name, cost in results.whole.items()]
    bare = results.bare
    rows.append([BARE.title, f"{bare.seconds:.2f}", f"{bare.cpu_seconds:.2f}", "", f"{bare.peak / MB:,.0f}", "", ""])
    return [f"{results.rows:,} rows, whole processes, medians of {results.runs}", "", *aligned([head, *rows])]


def _figures(results: Results, name: str, cost: Cost) -> list[str]:
    highbeam = results.whole.get("highbeam")
    return [
        f"{cost.seconds:.2f}",
        f"{cost.cpu_seconds:.2f}",
        f"{results.rows / cost.seconds:,.0f}",
        f"{cost.peak / MB:,.0f}",
        f"{results.above_bare(name) / MB:,.0f}" if name == "highbeam" else "",
        f"{cost.seconds / highbeam.seconds:.2f}" if highbeam else "",
    ]


def small_table(results: Results) -> list[str]:
    """Each program over a few rows, start-up taken off."""
    head = ["", "seconds", "start-up", "rows/s without it", "Highbeam's speed / this"]
    rows = []
    for name, cost in results.small.items():
        ratio = f"{results.speed('highbeam') / results.speed(name):.1f}" if "highbeam" in results.small else ""
        start_up = f"{results.start_up[name].seconds:.2f}"
        rows.append([PROGRAMS[name].title, f"{cost.seconds:.2f}", start_up, f"{results.speed(name):,.0f}", ratio])
    title = f"{SMALL:,} rows; start-up is the same program on {HANDFUL} rows; the quickest runs"
    return [title, "", *aligned([head, *rows])]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells as lines, the first column to the left and figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    ]


def targets(all_results: Sequence[Results]) -> list[str]:
    """One line for each target: pass, FAIL, or what would have to run to tell."""
    ten = largest(all_results, TEN_MILLION, FIFTY_MILLION)
    fifty = largest(all_results, FIFTY_MILLION, float("inf"))
    newest = fifty or ten
    return [
        _line("time / hand-written loop's, 10 M rows", _against_loop(ten), "at most", 1.05),
        _line("time / hand-written loop's, 50 M rows", _against_loop(fifty), "at most", 0.8),
        _line(f"speed / row-by-row Beam's, {SMALL:,} rows", _against_beam(all_results), "at least", 50),
        _line("the same, but Highbeam's over 10 M rows or more", _night_against_beam(all_results), "at least", 50),
        _line("MB above the bare imports and model", _above_bare(newest), "at most", 500),
        _line("peak memory at 50 M rows / at 10 M", _growth(ten, fifty), "at most", 1.1),
    ]


def _line(what: str, found: float | None, bound: str, limit: float) -> str:
    if found is None:
        return f"----  {what}: {bound} {limit:g}; not measured yet"
    passed = found <= limit if bound == "at most" else found >= limit
    return f"{'pass' if passed else 'FAIL'}  {what}: {found:,.2f}, {bound} {limit:g}"


def _against_loop(results: Results | None) -> float | None:
    if results is None or not {"highbeam", "loop"} <= results.whole.keys():
        return None
    return results.whole["highbeam"].seconds / results.whole["loop"].seconds


def _against_beam(all_results: Sequence[Results]) -> float | None:
    measured = [each for each in all_results if {"highbeam", "beam"} <= each.small.keys()]
    return measured[-1].speed("highbeam") / measured[-1].speed("beam") if measured else None


def _night_against_beam(all_results: Sequence[Results]) -> float | None:
    """Each `make bench` holds both to one another, as all its figures are of one day."""
    measured = [each for each in all_results if "highbeam" in each.whole and "beam" in each.small]
    found = largest(measured, TEN_MILLION, float("inf"))
    return found.night_speed("highbeam") / found.speed("beam") if found else None


def _above_bare(results: Results | None) -> float | None:
    return results.above_bare("highbeam") / MB if results and "highbeam" in results.whole else None


def _growth(ten: Results | None, fifty: Results | None) -> float | None:
    if not (ten and fifty and "highbeam" in ten.whole and "highbeam" in fifty.whole):
        return None
    return fifty.whole["highbeam"].peak / ten.whole["highbeam"].peak


def lines(results: Results, all_results: Sequence[Results]) -> Iterator[str]:
    """The whole report."""
    if results.whole:
        yield from [*whole_table(results), ""]
    if results.small:
        yield from [*small_table(results), ""]
    yield from targets(all_results)
