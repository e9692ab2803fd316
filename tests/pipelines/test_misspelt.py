"""Fields that a job names otherwise than its files: warned of before launch, and named in the rejects."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from highbeam.cli import main
from highbeam.models.runtime import tf
from highbeam.pipelines.misspelt import misspelt
from highbeam.schemas.sources import Source
from highbeam.transforms.plan_splits import plan_splits

from tests.support.csv_files import contract
from tests.support.jobs import DAY, JOB, make_job

LINES = [json.dumps({"k": i, "geo": {"country": "a", "city": None}, "x": 1.5}) for i in range(3000)]


def said(folder: Path, source: str = "json", **columns: Any) -> tuple[str, ...]:
    """What is warned of, with columns beside `k`."""
    what = contract({"k": "int64", **columns})
    files = Source.model_validate({source: {"path": "*.x*"}})
    return misspelt(files, what, plan_splits(files, what, str(folder), None))


def of(field: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "from": field, "nullable": True, **more}


@pytest.mark.parametrize("form", ["lines", "array", "gzip"])
def test_json(tmp_path: Path, form: str) -> None:
    text = {"array": f"\ufeff[{', '.join(LINES)}]"}.get(form, "\n".join(LINES)).encode()
    (tmp_path / f"a.x{'.gz' * (form == 'gzip')}").write_bytes(gzip.compress(text, mtime=0) if form == "gzip" else text)
    warned = "source field geo.contry is in none of the first 1,000 records; is it geo.country?"
    assert said(tmp_path, g=of("geo.contry", default="zz")) == (warned,)
    for sound in (of("geo.country"), of("geo.city"), of("geo"), of("nothing_alike"), "string"):
        assert said(tmp_path, g=sound) == ()
    assert said(tmp_path, g=of("geo.contry"), h=of("geo.country")) == ()  # that one has its own column


def test_what_cannot_be_looked_at_is_not_warned_of(tmp_path: Path) -> None:
    (tmp_path / "a.x").write_text('{"flightid": 1\n[2]\n\n')
    assert said(tmp_path, flight_id="int64") == ()
    (tmp_path / "a.x").write_text('{"flightid": 1}\n')
    assert said(tmp_path, flight_id="int64") == ("source field flight_id is not in the first record; is it flightid?",)
    files = Source.model_validate({"json": {"path": "*.x*"}})
    what = contract({"flight_id": "int64"})
    splits = plan_splits(files, what, str(tmp_path), None)
    (tmp_path / "a.x").unlink()
    assert misspelt(files, what, splits) == ()


def test_features_of_tfrecord(tmp_path: Path) -> None:
    ints = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    with tf.io.TFRecordWriter(str(tmp_path / "a.x")) as out:
        for _ in range(3):
            out.write(
                tf.train.Example(features=tf.train.Features(feature={"k": ints, "delay": ints})).SerializeToString()
            )
        out.write(b"\xff no example")
    assert said(tmp_path, "tfrecord", delay="int64") == ()
    warned = "source field dealy is in none of the first 4 records; is it delay?"
    assert said(tmp_path, "tfrecord", x={"type": "int64", "from": "dealy"}) == (warned,)


def test_check_and_run_say_it_before_launch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data" / DAY).mkdir(parents=True)
    (tmp_path / "data" / DAY / "a.json").write_text("\n".join(LINES[:50]))
    text = JOB.replace("csv:", "json:").replace("*.csv", "*.json").replace("values: [a, b, c]", "from: geo.contry")
    make_job(tmp_path, text)
    warned = "source field geo.contry is in none of the first 50 records; is it geo.country?"
    assert main(["check", str(tmp_path), "--date", DAY, "--json"]) == 0
    printed = capsys.readouterr()
    assert (json.loads(printed.out)["warnings"], printed.err) == ([warned], f"highbeam: warning: {warned}\n")
    assert main(["run", str(tmp_path), "--date", DAY]) == 3
    assert capsys.readouterr().err.startswith(f"highbeam: warning: {warned}\n")
    assert main(["rejects", str(tmp_path)]) == 0
    assert "column g: no value in geo.contry, and the column is not nullable" in capsys.readouterr().out
