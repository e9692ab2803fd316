from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections.abc import Callable
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


BUCKETS = ["bucket", "gcs_bucket"]


@pytest.fixture(params=["tmp_path", *BUCKETS])
def root(request: pytest.FixtureRequest) -> str:
    """A folder of this machine, and one in a bucket of each service."""
    place = str(request.getfixturevalue(request.param))
    return place if request.param == "tmp_path" else f"{place}/{uuid.uuid4().hex}"


@pytest.fixture
def tree(root: str) -> str:
    for name in TREE:
        storage.put(f"{root}/{name}", name.encode())
    return root


def names(folder: str) -> list[str]:
    """Whatever lies in a folder, passing names too."""
    if storage.scheme(folder) is None:
        return sorted(path.name for path in Path(folder).iterdir())
    return [file.path.rpartition("/")[2] for file in storage.listing(folder)]


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
def test_find(tree: str, pattern: str, expected: list[str]) -> None:
    assert [file.path for file in storage.find(f"{tree}/{pattern}")] == [f"{tree}/{name}" for name in expected]


def test_find_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TREE:
        storage.put(f"{tmp_path}/{name}", b"")
    monkeypatch.chdir(tmp_path)
    assert [file.path for file in storage.find("*.csv")] == ["top.csv"]
    assert [file.path for file in storage.find("a/*.csv")] == ["a/x.csv"]
    assert [file.path for file in storage.listing("")] == ["top.csv"]


def test_a_described_object_opens(tree: str) -> None:
    for file in storage.find(f"{tree}/**/*.csv"):
        assert len(storage.read(file.path)) == file.size
        assert storage.stat(file.path) == file


def test_the_mark_changes_with_the_object(root: str) -> None:
    path = f"{root}/x"
    marks = []
    for text in (b"1", b"2"):
        storage.put(path, text)
        found = storage.stat(path)
        assert found
        marks.append(found.mark)
    assert marks[0] != marks[1]


def test_a_listing_and_a_look_agree_in_a_bucket_that_keeps_versions(s3_server: str) -> None:
    import boto3

    client = boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1")
    client.create_bucket(Bucket="versioned")
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    storage.put("s3://versioned/x", b"1")
    assert storage.find("s3://versioned/*") == [storage.stat("s3://versioned/x")]


def test_the_mark_of_a_file_is_its_time(tmp_path: Path) -> None:
    storage.put(f"{tmp_path}/x", b"1")
    os.utime(f"{tmp_path}/x", ns=(0, 17))
    found = storage.stat(f"{tmp_path}/x")
    assert found
    assert found.mark == "17"


def test_an_object_is_read_from_anywhere_in_it(root: str) -> None:
    data = os.urandom(5_000_000)
    storage.put(f"{root}/x", data)
    with storage.open_input(f"{root}/x") as file:
        assert file.size() == len(data)
        for at, length in ((4_999_990, 20), (0, 3), (2_500_000, 2_000_000), (1, 1)):
            file.seek(at)
            assert file.read(length) == data[at : at + length]


@pytest.mark.parametrize(
    ("name", "said"),
    [("none", "no such file"), ("wide", "is not UTF-8, at byte 2"), ("folder", "is a folder; name a file")],
)
def test_why_a_text_is_none(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "wide").write_bytes(b"ab\xff")
    with pytest.raises(StorageError) as told:
        storage.read_text(f"{tmp_path}/{name}")
    assert str(told.value) == f"{tmp_path}/{name}: {said}"


def test_a_text_without_its_byte_order_mark(root: str) -> None:
    storage.put(f"{root}/x", "\ufeffé\r\n".encode())
    assert storage.read_text(f"{root}/x") == "é\r\n"


def test_put_replaces_and_leaves_nothing_beside(root: str) -> None:
    path = f"{root}/new/folder/x"
    storage.put(path, b"one")
    storage.put(path, pa.py_buffer(b"two"))
    assert storage.read(path) == b"two"
    assert names(f"{root}/new/folder") == ["x"]


def test_a_put_that_fails_leaves_the_old_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{tmp_path}/x"
    storage.put(path, b"old")
    monkeypatch.setattr(os, "fsync", _disk_full)
    with pytest.raises(OSError, match="disk full"):
        storage.put(path, b"new")
    assert storage.read(path) == b"old"
    assert names(str(tmp_path)) == ["x"]


def _disk_full(_: int) -> None:
    raise OSError("disk full")


def test_sixteen_racing_creates_have_one_winner(root: str) -> None:
    gate = threading.Barrier(16)

    def create(number: int) -> bool:
        gate.wait()
        return storage.create(f"{root}/x", str(number).encode())

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(create, range(16)))
    assert sum(won) == 1
    assert storage.read(f"{root}/x") == str(won.index(True)).encode()
    assert names(root) == ["x"]


def test_a_sink_names_an_object_by_its_digest(root: str) -> None:
    table = pa.table({"a": range(100_000)})
    with storage.writer(f"{root}/out") as sink:
        pq.write_table(table, sink.file)
        path = sink.commit(f"{sink.sha256}.parquet")
    written = storage.read(path)
    assert path.rpartition("/")[2] == f"{hashlib.sha256(written).hexdigest()}.parquet"
    assert len(written) == sink.size
    assert pq.read_table(pa.BufferReader(written)).equals(table)
    assert names(f"{root}/out") == [path.rpartition("/")[2]]


def test_a_sink_that_fails_leaves_nothing(root: str) -> None:
    def fail() -> None:
        with storage.writer(root) as sink:
            sink.file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(root) == []


def test_a_sink_without_commit_leaves_nothing(root: str) -> None:
    with storage.writer(root) as sink:
        sink.file.write(b"half")
        assert storage.listing(root) == []  # nor does anybody see it meanwhile
    assert names(root) == []


def test_a_repeated_commit_leaves_the_first_object(root: str) -> None:
    marks = []
    for _ in range(2):
        with storage.writer(root) as sink:
            sink.file.write(b"same")
            marks.append(storage.stat(sink.commit("x")))
    assert marks[0] == marks[1]
    assert names(root) == ["x"]


def test_a_commit_over_a_damaged_object_is_refused(root: str) -> None:
    storage.put(f"{root}/x", b"trunc")
    with storage.writer(root) as sink:
        sink.file.write(b"whole!")
        with pytest.raises(StorageError, match="has 5 bytes where 6 belong"):
            sink.commit("x")
    assert storage.read(f"{root}/x") == b"trunc"


@given(st.lists(st.binary(max_size=50)))
def test_a_sink_digests_what_it_writes(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    with storage.writer(str(tmp_path_factory.getbasetemp() / "digests")) as sink:
        for part in parts:
            sink.file.write(part)
        path = sink.commit(sink.sha256)
    assert storage.read(path) == b"".join(parts)
    assert Path(path).name == hashlib.sha256(b"".join(parts)).hexdigest()


def test_removing_what_is_not_there_is_no_error(tree: str) -> None:
    storage.remove(f"{tree}/top.csv")
    storage.remove(f"{tree}/top.csv")
    storage.remove_tree(f"{tree}/a")
    storage.remove_tree(f"{tree}/a")
    assert not storage.exists(f"{tree}/top.csv")
    assert storage.find(f"{tree}/**") == []


def test_removing_a_folder_leaves_those_whose_names_begin_alike(root: str) -> None:
    storage.put(f"{root}/t/x", b"")
    storage.put(f"{root}/tt/x", b"")
    storage.remove_tree(f"{root}/t")
    assert [file.path for file in storage.find(f"{root}/**")] == [f"{root}/tt/x"]


def test_two_may_remove_a_tree_at_once(root: str) -> None:
    for number in range(40):
        storage.put(f"{root}/t/{number % 7}/{number}", b"")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(storage.remove_tree, [f"{root}/t"] * 4))
    assert storage.find(f"{root}/t/**") == []


def test_a_listing_is_sorted_and_flat(tree: str) -> None:
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


@pytest.mark.parametrize("service", BUCKETS)
def test_a_bucket_that_is_not_there_is_named(service: str, request: pytest.FixtureRequest) -> None:
    bucket = request.getfixturevalue(service)
    nowhere = f"{storage.scheme(bucket)}://no-such-bucket-here/x"
    with pytest.raises(StorageError, match=nowhere):
        storage.listing(nowhere)
    assert nowhere in (storage.unwritable(nowhere) or "")
    assert storage.unwritable(f"{bucket}/anything") is None


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    assert storage.unwritable(str(tmp_path / "not" / "yet")) is None
    assert list(tmp_path.iterdir()) == []
    assert "is not writable" in (storage.unwritable("/proc/foo") or "")  # whose bits say that it is


@pytest.mark.parametrize("call", [storage.find, storage.stat, storage.read, lambda path: storage.put(path, b"")])
def test_an_unknown_store_is_refused(
    call: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match=r"ftp://host/\*: no store is known for ftp://"):
        call("ftp://host/*")
    assert list(tmp_path.iterdir()) == []
