"""The user's code reaches the workers, whatever becomes of the job's folder; its digest is part of the score."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from pathlib import Path

import pytest

import highbeam
from highbeam.models.code_archive import code_of, load_postprocess, unpack
from highbeam.models.user_code import load_function
from highbeam.pipelines.planning import make_plan
from highbeam.schemas.errors import HighbeamError, UsageError
from highbeam.schemas.job import Job
from highbeam.schemas.job_file import load_job
from highbeam.schemas.plan import load_plan

from tests.support.jobs import DAY, JOB, csv_lines, make_job, save_model, write_night

POST = """\
import pyarrow as pa
import pyarrow.compute as pc
from near import FACTOR
from shared.bias import BIAS

def fn(rows):
    y = pc.add(pc.multiply(rows["y"], pa.scalar(FACTOR, pa.float32())), pa.scalar(BIAS, pa.float32()))
    return pa.RecordBatch.from_arrays([y], ["y"])
"""
CODE = """\
postprocess: steps/post.py:fn
code: [steps/near.py, shared]
predictions: {y: {tensor: y, type: float32}}
"""


def write_code(folder: Path, factor: float = 3, bias: float = 1) -> None:
    """The user's files: a function, its neighbour, and a package."""
    for name, text in {
        "steps/post.py": POST,
        "steps/near.py": f"FACTOR = {factor}\n",
        "shared/bias.py": f"BIAS = {bias}\n",
        "shared/__pycache__/bias.pyc": "left out",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job whose folder holds nothing but job.yaml and code; all else lies elsewhere."""
    folder, world = tmp_path / "job", tmp_path / "world"
    save_model(world, 1)
    write_night(world, csv_lines(range(6)))
    write_code(folder)
    text = JOB.replace("data/", f"{world}/data/").replace("path: models", f"path: {world}/models")
    (folder / "job.yaml").write_text(text.replace("path: table", f"path: {world}/table") + CODE)
    return load_job(str(folder))


def test_workers_need_no_job_folder(job: Job) -> None:
    """The folder goes away as soon as the plan is written, long before the worker processes have started."""
    folder = Path(job.folder)
    plans = folder.parent / "world" / "table" / "_highbeam" / "staging"

    def rename() -> None:
        while not list(plans.glob("*/plan-*.json")):
            time.sleep(0.01)
        folder.rename(folder.with_name("gone"))

    thread = threading.Thread(target=rename)
    thread.start()
    flags = ["--direct_running_mode=multi_processing", "--direct_num_workers=1"]
    manifest = highbeam.run(job, DAY, beam_flags=flags)
    thread.join()
    assert (manifest.status, manifest.message) == ("published", "")
    assert not folder.exists()
    found = {row["k"]: row["y"] for row in highbeam.lookup(job, range(6)).to_pylist()}
    assert found == {k: 3 * (2 * (k / 4) + 1) + 1 for k in range(6)}


def test_a_neighbour_decides_the_score(job: Job) -> None:
    first = make_plan(job, DAY)[0].score_id
    assert make_plan(job, DAY)[0].score_id == first
    write_code(Path(job.folder), bias=2)
    assert make_plan(job, DAY)[0].score_id != first


def test_a_changed_neighbour_is_loaded_anew(tmp_path: Path) -> None:
    def loaded(bias: float) -> object:
        write_code(tmp_path, bias=bias)
        job = make_job(tmp_path, JOB + CODE, model=False)
        return load_postprocess(job).__globals__["BIAS"]

    assert [loaded(1), loaded(2), loaded(1)] == [1, 2, 1]


def test_the_archive_holds_what_is_named_and_the_same_bytes(tmp_path: Path) -> None:
    write_code(tmp_path / "job")
    (tmp_path / "elsewhere.py").write_text("")
    job = make_job(tmp_path / "job", JOB + CODE.replace("shared]", "shared, ../elsewhere.py]"), model=False)
    code = code_of(job)
    assert set(code.files) == {"steps/post.py", "steps/near.py", "shared/bias.py", "elsewhere.py"}
    assert code.roots == (".", "steps")
    assert code.pack() == code_of(job).pack()
    assert Path(unpack(code.pack()), "shared", "bias.py").read_text() == "BIAS = 1\n"


WRONG = {
    "code: [absent.py]": "code: absent.py: there is no file .*absent.py",
    "code: [empty]": "code: empty: .*empty is empty",
    "code: [steps/near.py]": r"No module named 'shared'.*; workers get it if you write code: \[shared\]",
    "code: [shared]": r"job/steps/post.py failed at line 3: .*; workers get it if you write code: \[steps/near.py\]",
    "code: [shared, steps/near.py, ../near.py]": "code: ../near.py: another file is named near.py already",
}


@pytest.mark.parametrize("code", WRONG)
def test_what_is_missing_is_named(tmp_path: Path, code: str) -> None:
    folder = tmp_path / "job"
    write_code(folder)
    (folder / "empty").mkdir()
    (folder / "near.py").write_text("FACTOR = 1\n")
    (tmp_path / "near.py").write_text("FACTOR = 2\n")
    text = CODE.replace("code: [steps/near.py, shared]", code.replace("../near.py", "near.py, ../near.py"))
    (folder / "near.py").unlink() if "../" not in code else None
    with pytest.raises(UsageError, match=WRONG[code]):
        load_postprocess(make_job(folder, JOB + text, model=False))


def test_a_module_inside_of_a_folder_is_proposed(tmp_path: Path) -> None:
    write_code(tmp_path)
    (tmp_path / "steps" / "post.py").write_text("from bias import BIAS\ndef calibrate(rows): return rows\n")
    job = make_job(tmp_path, JOB + CODE, model=False)
    with pytest.raises(UsageError, match=r"No module named 'bias'.*write code: \[shared/bias\.py\]"):
        load_postprocess(job)


def test_preprocessing_imports_it_too(tmp_path: Path) -> None:
    write_code(tmp_path)
    (tmp_path / "pre.py").write_text("from near import FACTOR\ndef fn(inputs): return FACTOR\n")
    assert load_function("pre.py:fn", str(tmp_path), ["steps/near.py"])({}) == 3


def test_a_worker_of_another_release_says_so(tmp_path: Path, job: Job) -> None:
    plan = make_plan(job, DAY)[0]
    other = dataclasses.replace(plan, versions={"highbeam": "0.0.1"})
    stored = {**json.loads(other.to_json()), "unknown to this release": 1}
    (tmp_path / "plan.json").write_text(json.dumps(stored))
    with pytest.raises(HighbeamError, match=r"planned by 0.0.1: give the workers an image of 0.0.1, or launch with"):
        load_plan(str(tmp_path / "plan.json"))
