"""Numbered versions: whole or not there, and never twice the same number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from highbeam.models.store import MODELS, TRANSFORMS, digest, resolve, versions, write_version
from highbeam.schemas.errors import NotAvailable, UsageError


def build(text: str = "x") -> Callable[[str], None]:
    """What a writer puts into a version."""

    def write(folder: str) -> None:
        (Path(folder) / "saved_model.pb").write_text(text)
        (Path(folder) / "variables").mkdir()
        (Path(folder) / "variables" / "v").write_text(text)

    return write


def bare(root: Path, *names: str) -> None:
    """Versions as TensorFlow Serving knows them, without model.yaml."""
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "saved_model.pb").write_text(name)


def test_numbers_are_versions_and_nothing_else(tmp_path: Path) -> None:
    bare(tmp_path, "2", "10", "9", "best", "07", ".3", "1.5")
    assert [version.number for version in versions(str(tmp_path))] == [2, 9, 10]
    assert resolve(str(tmp_path)).number == 10
    assert resolve(str(tmp_path), "9").path == str(tmp_path / "9")


def test_latest_passes_over_what_is_not_complete(tmp_path: Path) -> None:
    bare(tmp_path, "1")
    (tmp_path / "2").mkdir()  # a copy that has just begun
    third = Path(write_version(str(tmp_path), build(), {"backend": "tensorflow"}).path)
    assert resolve(str(tmp_path)).number == 3
    (third / "variables" / "v").write_text("xx")
    assert resolve(str(tmp_path)).number == 1
    with pytest.raises(UsageError, match=r"3 is not complete: variables/v missing or changed.*versions 1$"):
        resolve(str(tmp_path), "3")
    (third / "variables" / "v").unlink()
    assert resolve(str(tmp_path)).number == 1
    with pytest.raises(UsageError, match=r"2 is not complete: it has no saved_model.pb"):
        resolve(str(tmp_path), "2")


@pytest.mark.parametrize("text", ["", "files: 3", "{", "files: [a]", "- a"])
def test_a_manifest_that_cannot_be_read_is_no_version(tmp_path: Path, text: str) -> None:
    bare(tmp_path, "1", "2")
    (tmp_path / "2" / "model.yaml").write_text(text)
    assert resolve(str(tmp_path)).number == 1


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    bare(tmp_path, "1", "4")
    with pytest.raises(UsageError, match=r"3 does not exist; .* holds model versions 1, 4"):
        resolve(str(tmp_path), "3")
    with pytest.raises(UsageError, match="does not exist, so there is no transform graph: run `highbeam analyze`"):
        resolve(str(tmp_path / "none"), "latest", TRANSFORMS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no complete model: run `highbeam package`"):
        resolve(str(tmp_path / "empty"))


def test_labels_are_for_later(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match="model version 'champion': labels are not available yet"):
        resolve(str(tmp_path), "champion")


def test_writing_numbers_on_from_the_greatest(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()  # not complete, but taken
    first = write_version(str(tmp_path), build("a"), {"backend": "tensorflow", "transform": 3})
    assert (first.number, first.meta["transform"]) == (8, 3)
    written = yaml.safe_load((tmp_path / "8" / "model.yaml").read_text())
    assert list(written) == ["backend", "transform", "files"]
    assert sorted(written["files"]) == ["saved_model.pb", "variables/v"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_somebody_else_has_begun_is_left_alone(tmp_path: Path) -> None:
    """Renaming onto an empty folder would succeed, and mix two versions."""
    bare(tmp_path, "007")  # no number of ours

    def write(folder: str) -> None:
        build()(folder)
        (tmp_path / "1").mkdir()

    assert write_version(str(tmp_path), write).number == 2
    assert list((tmp_path / "1").iterdir()) == []


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"saved_model.pb is missing from what was built"):
        write_version(str(tmp_path), lambda folder: None)
    assert list(tmp_path.iterdir()) == []


def test_writers_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    """All have seen the same numbers before any of them is done."""
    count, gate = 8, threading.Barrier(8)
    made: list[int] = []

    def write(name: str) -> None:
        def wait(folder: str) -> None:
            build(name)(folder)
            gate.wait()

        made.append(write_version(str(tmp_path), wait, {"name": name}).number)

    threads = [threading.Thread(target=write, args=(str(number),)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == list(range(1, count + 1))
    texts = {(Path(version.path) / "saved_model.pb").read_text() for version in versions(str(tmp_path))}
    assert texts == {str(number) for number in range(count)}


def test_the_digest_is_of_names_and_bytes(tmp_path: Path) -> None:
    first = write_version(str(tmp_path / "a"), build("x"), {"backend": "tensorflow"})
    second = write_version(str(tmp_path / "b"), build("x"))
    assert first.digest == second.digest == digest(first.path) == resolve(str(tmp_path / "a")).digest
    Path(second.path, "variables", "v").rename(Path(second.path, "variables", "w"))
    renamed = digest(second.path)
    Path(second.path, "variables", "w").write_text("y")
    assert len({first.digest, renamed, digest(second.path)}) == 3


def test_a_model_may_hold_its_transform_graph(tmp_path: Path) -> None:
    bare(tmp_path, "1", "2")
    graph = tmp_path / "2" / "transform_fn"
    graph.mkdir()
    (graph / "saved_model.pb").write_text("g")
    assert resolve(str(tmp_path), "1").transform is None
    assert resolve(str(tmp_path), "2").transform == str(tmp_path / "2")
    assert [version.number for version in versions(str(tmp_path), TRANSFORMS)] == [2]
    assert [version.number for version in versions(str(tmp_path), MODELS)] == [1, 2]
