"""Which files were analysed before, and keeping what came of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam.schemas.split import Split
from highbeam.transforms import analysis_cache as cache
from highbeam.transforms.analysis_cache import Group, Kept, divide
from highbeam.transforms.counts import Counts


def split(number: int, file: str, size: int = 10, mark: str = "m") -> Split:
    return Split(number, f"/d/{file}", file, size, mark, 0, size)


def splits_of(files: str) -> list[Split]:
    return [split(number, file) for number, file in enumerate(files)]


def kept(files: str) -> Kept:
    return Kept(f"/c/{files}", tuple((file, 10, "m") for file in files), Counts(1))


@pytest.mark.parametrize(
    ("wanted", "before", "reused", "fresh"),
    [
        ("abc", [], [], ["abc"]),
        ("abc", ["abc"], ["abc"], []),
        ("abcd", ["abc"], ["abc"], ["d"]),
        ("bcd", ["abc"], [], ["bcd"]),
        ("abcd", ["a", "bc"], ["bc", "a"], ["d"]),
        ("abcd", ["ab", "abc"], ["abc"], ["d"]),
    ],
    ids=["first", "again", "one more", "one less", "two groups", "overlap"],
)
def test_a_group_serves_when_all_of_it_is_wanted(
    wanted: str, before: list[str], reused: list[str], fresh: list[str]
) -> None:
    old, new = divide(splits_of(wanted), [kept(files) for files in before])
    assert ["".join(name for name, _, _ in group.files) for _, group in old] == reused
    assert ["".join(name for name, _, _ in group.files) for group in new] == fresh


@pytest.mark.parametrize(("size", "mark"), [(11, "m"), (10, "later")], ids=["size", "mark"])
def test_a_file_that_changed_is_analysed_again(size: int, mark: str) -> None:
    splits = [split(0, "a"), split(1, "b", size, mark)]
    old, new = divide(splits, [kept("ab"), kept("a")])
    assert [one.path for one, _ in old] == ["/c/a"]
    assert [group.files for group in new] == [(("b", size, mark),)]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40), st.sets(st.integers(0, 39)), st.integers(1, 600))
def test_every_split_stands_in_one_group(sizes: list[int], before: set[int], group_bytes: int) -> None:
    splits = [split(2 * i + part, f"{i:02}", size) for i, size in enumerate(sizes) for part in (0, 1)]
    known = [Kept(str(i), ((f"{i:02}", sizes[i], "m"),), Counts()) for i in before if i < len(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "GROUP_BYTES", group_bytes)
        old, new = divide(splits, known)
    assert sorted(s.number for group in [*new, *(g for _, g in old)] for s in group.splits) == list(range(len(splits)))
    assert {group.files[0] for _, group in old} == {one.files[0] for one in known}
    assert [s.number for group in new for s in group.splits] == sorted(s.number for group in new for s in group.splits)
    assert len(new) <= cache.MOST_NEW_GROUPS


@pytest.mark.parametrize("count", [0, 1, 4096, 4097])
def test_records_come_back(tmp_path: Path, count: int) -> None:
    records = [str(number).encode() * 3 for number in range(count)]
    cache.write_records(str(tmp_path / "r.arrow"), iter(records))
    assert list(cache.read_records(str(tmp_path / "r.arrow"))) == records


def keep(folder: Path, group: Group, record: bytes, counts: Counts) -> None:
    built = folder / f"built-{record.decode()}"
    cache.write_records(str(built / group.id / cache.result_name(b"e")), [record])
    cache.keep(str(folder / "kept"), str(built), [(group, counts)])


def test_a_group_is_kept_whole_and_never_changed(tmp_path: Path) -> None:
    group = Group(tuple(splits_of("ab")))
    keep(tmp_path, group, b"first", Counts(7))
    keep(tmp_path, group, b"second", Counts(8))
    (found,) = cache.kept_groups(str(tmp_path / "kept"))
    assert (found.files, found.counts) == (group.files, Counts(7))
    assert [list(cache.read_records(path)) for path in found.records_of(b"e")] == [[b"first"]]
    assert found.records_of(b"without records") == []


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_group_that_is_not_whole_does_not_serve(tmp_path: Path, damage: str) -> None:
    keep(tmp_path, Group(tuple(splits_of("a"))), b"a", Counts(1))
    keep(tmp_path, Group(tuple(splits_of("b"))), b"b", Counts(2))
    one, other = cache.kept_groups(str(tmp_path / "kept"))
    (path,) = map(Path, one.records_of(b"e"))
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:-1])
    assert cache.kept_groups(str(tmp_path / "kept")) == [other]


def test_groups_without_use_are_forgotten_once_they_are_old(tmp_path: Path) -> None:
    old = cache.KEPT_SECONDS * 2
    for name, age in (("now/used", old), ("now/young", 0), ("now/old", old), ("before/old", old)):
        (tmp_path / name).mkdir(parents=True)
        stamp = os.stat(tmp_path).st_mtime - age
        os.utime(tmp_path / name, (stamp, stamp))
    cache.forget(str(tmp_path), [str(tmp_path / "now/used")])
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*")} == {"now/used", "now/young"}
    cache.forget(str(tmp_path / "absent"), [])
