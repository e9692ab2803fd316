"""Replays of every kind of file: what was rejected comes back from its bytes, or from the file where none were kept."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import highbeam
from highbeam.pipelines.rejects import reject_lines

from tests.support.jobs import DAY, JOB, make_job, shuffled
from tests.support.replays import GENEROUS, published, undisturbed
from tests.support.sources import KINDS

N, DIRTY = 200, 40
HAS_NO_LINES = ("Parquet", "Avro", "TFRecord")
LOG = """{path: "data/{date}/*.log", pattern: '(?P<k>\\d+) (?P<g>\\w) (?P<x>\\S+)'}"""


def rows() -> pa.Table:
    """Rows of which some hold a letter that no job but a mended one knows."""
    keys = shuffled(N)
    texts = ["q" if k % (N // DIRTY) == 0 else "abc"[k % 3] for k in keys]
    return pa.table({"k": pa.array(keys, pa.int64()), "g": texts, "x": pa.array([k / 4 for k in keys], pa.float32())})


def job_text(kind: str, folder: Path) -> str:
    """Writes the night as that kind of file, and gives the job that reads it."""
    folder.mkdir(parents=True)
    if kind == "log":
        lines = (f"{row['k']} {row['g']} {row['x']}\n" for row in rows().to_pylist())
        (folder / "a.log").write_text("".join(lines))
        return JOB.replace('csv: {path: "data/{date}/*.csv"}', f"log: {LOG}")
    source, ending, write = KINDS[kind]
    write(rows(), folder / f"a.{ending}")
    return JOB.replace("csv:", f"{source}:").replace("*.csv", f"*.{ending}")


@pytest.mark.parametrize(
    ("kind", "keep_raw"),
    [*((kind, "true") for kind in [*KINDS, "log"] if kind != "CSV"), ("JSON Lines", "false"), ("Avro", "false")],
)
def test_every_kind_of_file(kind: str, keep_raw: str, tmp_path: Path) -> None:
    text = job_text(kind, tmp_path / "data" / DAY)
    flags = [GENEROUS, f"rejects.keep_raw={keep_raw}"]
    first = highbeam.run(make_job(tmp_path, text, overrides=flags), DAY)
    assert (first.status, first.rejected) == ("published", DIRTY), first.message
    mended = make_job(tmp_path, text.replace("[a, b, c]", "[a, b, c, q]"), False, flags)
    rejects = list(reject_lines(mended, DAY))
    assert [reject["line"] is None for reject in rejects] == [kind in HAS_NO_LINES] * DIRTY
    if kind != "TFRecord":  # of which the bytes are text only by chance
        assert {reject["raw"] is None for reject in rejects} == {keep_raw == "false"}
    manifest = highbeam.replay(mended, DAY)
    assert (manifest.status, manifest.predicted, manifest.replayed["recovered"]) == ("published", N, DIRTY)
    assert published(mended).equals(undisturbed(mended, tmp_path))
    assert list(reject_lines(mended, DAY)) == []
    assert highbeam.replay(mended, DAY).status == "already_published"
