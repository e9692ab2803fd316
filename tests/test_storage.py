from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highbeam import storage
from highbeam.storage import StorageError

TREE = ("a/x.csv", "a/y.txt", "a/_hidden.csv", "a/.dot.csv", "a/b/x.csv", "a/b/c/z.csv", "_skip/q.csv", "top.csv")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in TREE:
        storage.put(f"{tmp_path}/{name}", name.encode())
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a/*.csv", ["a/x.csv"]),
        ("a/?.*", ["a/x.csv", "a/y.txt"]),
        ("a/[xz].csv", ["a/x.csv"]),
        ("*/x.csv", ["a/x.csv"]),
        ("a/*/*.csv", ["a/b/x.csv"]),
        ("**/*.csv", ["a/b/c/z.csv", "a/b/x.csv", "a/x.csv", "top.csv"]),
        ("a/**/x.csv", ["a/b/x.csv", "a/x.csv"]),
        ("a/**", ["a/b/c/z.csv", "a/b/x.csv", "a/x.csv", "a/y.txt"]),
        ("a/_*.csv", ["a/_hidden.csv"]),
        ("a/.*.csv", ["a/.dot.csv"]),
        ("_skip/*", ["_skip/q.csv"]),
        ("a/_hidden.csv", ["a/_hidden.csv"]),
        ("a", []),
        ("a/b/*", ["a/b/x.csv"]),
        ("top.csv/*", []),
        ("nowhere/*.csv", []),
        ("a/none.csv", []),
    ],
)
def test_find(tree: Path, pattern: str, expected: list[str]) -> None:
    assert [file.path for file in storage.find(f"{tree}/{pattern}")] == [f"{tree}/{name}" for name in expected]


def test_find_in_the_working_directory(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert [file.path for file in storage.find("*.csv")] == ["top.csv"]
    assert [file.path for file in storage.find("a/*.csv")] == ["a/x.csv"]
    assert [file.path for file in storage.listing("")] == ["top.csv"]


def test_a_described_object_opens(tree: Path) -> None:
    for file in storage.find(f"{tree}/**/*.csv"):
        assert len(storage.read(file.path)) == file.size
        assert storage.stat(file.path) == file
        assert file.mark == str(Path(file.path).stat().st_mtime_ns)


def test_the_mark_changes_with_the_object(tmp_path: Path) -> None:
    path = f"{tmp_path}/x"
    storage.put(path, b"1")
    before = storage.stat(path)
    os.utime(path, ns=(0, 1))
    after = storage.stat(path)
    assert before
    assert after
    assert before.mark != after.mark


def test_put_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = f"{tmp_path}/new/folder/x"
    storage.put(path, b"one")
    storage.put(path, pa.py_buffer(b"two"))
    assert storage.read(path) == b"two"
    assert [p.name for p in (tmp_path / "new/folder").iterdir()] == ["x"]


def test_a_put_that_fails_leaves_the_old_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{tmp_path}/x"
    storage.put(path, b"old")
    monkeypatch.setattr(os, "fsync", _disk_full)
    with pytest.raises(OSError, match="disk full"):
        storage.put(path, b"new")
    assert storage.read(path) == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def _disk_full(_: int) -> None:
    raise OSError("disk full")


def test_sixteen_racing_creates_have_one_winner(tmp_path: Path) -> None:
    gate = threading.Barrier(16)

    def create(number: int) -> bool:
        gate.wait()
        return storage.create(f"{tmp_path}/x", str(number).encode())

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(create, range(16)))
    assert sum(won) == 1
    assert storage.read(f"{tmp_path}/x") == str(won.index(True)).encode()
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_sink_names_an_object_by_its_digest(tmp_path: Path) -> None:
    table = pa.table({"a": range(100_000)})
    with storage.writer(f"{tmp_path}/out") as sink:
        pq.write_table(table, sink.file)
        path = sink.commit(f"{sink.sha256}.parquet")
    written = Path(path).read_bytes()
    assert Path(path).name == f"{hashlib.sha256(written).hexdigest()}.parquet"
    assert len(written) == sink.size
    assert pq.read_table(path).equals(table)
    assert [p.name for p in (tmp_path / "out").iterdir()] == [Path(path).name]


def test_a_sink_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with storage.writer(str(tmp_path)) as sink:
            sink.file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_sink_without_commit_leaves_nothing(tmp_path: Path) -> None:
    with storage.writer(str(tmp_path)) as sink:
        sink.file.write(b"half")
        assert storage.listing(str(tmp_path)) == []  # nor does anybody see it meanwhile
    assert list(tmp_path.iterdir()) == []


def test_a_repeated_commit_leaves_the_first_object(tmp_path: Path) -> None:
    marks = []
    for _ in range(2):
        with storage.writer(str(tmp_path)) as sink:
            sink.file.write(b"same")
            marks.append(storage.stat(sink.commit("x")))
    assert marks[0] == marks[1]
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_commit_over_a_damaged_object_is_refused(tmp_path: Path) -> None:
    storage.put(f"{tmp_path}/x", b"trunc")
    with storage.writer(str(tmp_path)) as sink:
        sink.file.write(b"whole!")
        with pytest.raises(StorageError, match="has 5 bytes where 6 belong"):
            sink.commit("x")
    assert storage.read(f"{tmp_path}/x") == b"trunc"


@given(st.lists(st.binary(max_size=50)))
def test_a_sink_digests_what_it_writes(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    with storage.writer(str(tmp_path_factory.getbasetemp() / "digests")) as sink:
        for part in parts:
            sink.file.write(part)
        path = sink.commit(sink.sha256)
    assert storage.read(path) == b"".join(parts)
    assert Path(path).name == hashlib.sha256(b"".join(parts)).hexdigest()


def test_removing_what_is_not_there_is_no_error(tree: Path) -> None:
    storage.remove(f"{tree}/top.csv")
    storage.remove(f"{tree}/top.csv")
    storage.remove_tree(f"{tree}/a")
    storage.remove_tree(f"{tree}/a")
    assert not storage.exists(f"{tree}/top.csv")
    assert storage.find(f"{tree}/**") == []


def test_two_may_remove_a_tree_at_once(tmp_path: Path) -> None:
    for number in range(300):
        storage.put(f"{tmp_path}/t/{number % 7}/{number}", b"")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(storage.remove_tree, [f"{tmp_path}/t"] * 4))
    assert not (tmp_path / "t").exists()


def test_a_listing_is_sorted_and_flat(tree: Path) -> None:
    assert [file.path for file in storage.listing(f"{tree}/a")] == [
        f"{tree}/a/{name}" for name in ("_hidden.csv", "x.csv", "y.txt")
    ]
    assert storage.listing(f"{tree}/nowhere") == []


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("a", "b", "c"), "a/b/c"),
        (("a/", "b"), "a/b"),
        (("", "b"), "b"),
        (("a", "/b"), "/b"),
        (("a", "s3://b/c"), "s3://b/c"),
        (("s3://a/b", "c"), "s3://a/b/c"),
    ],
)
def test_join(parts: tuple[str, ...], joined: str) -> None:
    assert storage.join(*parts) == joined


@pytest.mark.parametrize(
    "call",
    [
        storage.find,
        storage.stat,
        storage.exists,
        storage.listing,
        storage.read,
        storage.remove,
        storage.remove_tree,
        lambda path: storage.put(path, b""),
        lambda path: storage.create(path, b""),
        lambda path: storage.writer(path).__enter__(),
    ],
)
def test_object_stores_are_refused(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match=r"s3://bucket/\*: object stores \(s3://\) are not available yet"):
        call("s3://bucket/*")
    assert list(tmp_path.iterdir()) == []
