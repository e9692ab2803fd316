"""What is looked up in side tables."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from highbeam import storage
from highbeam.schemas.batch import OFFSET
from highbeam.schemas.contract import Column, Contract
from highbeam.schemas.errors import InputChanged, Refused
from highbeam.schemas.job_file import parse_job
from highbeam.schemas.join import Join, Side, side_of
from highbeam.transforms import join_cache
from highbeam.transforms.join import join
from highbeam.transforms.join_hash import hashes
from highbeam.transforms.join_lookup import NOWHERE, Loaded, sorted_by_hash
from highbeam.transforms.join_plan import plan_sides

from tests.support.sides import (
    JOB,
    PLANES,
    WEATHER,
    cache_of_its_own,  # noqa: F401 - a fixture
    job_of,
    joined,
    planes,
    rows_of,
)


def test_columns_of_a_csv_file_by_one_column(tmp_path: Path) -> None:
    planes(tmp_path)
    job = job_of(tmp_path, PLANES.replace("seats: int32", "seats: {type: int32, nullable: true}").replace(
        "from: year}", "from: year, default: -1}"))  # fmt: skip
    found = joined(job, rows_of(job, tailnum=["N2", None, "N1", "N3", "N2"]))
    assert found.rows.schema.names == ["tailnum", "origin", "day", "seats", "made", OFFSET]
    assert found.rows["seats"].to_pylist() == [180, None, 50, None, 180]
    assert found.rows["made"].to_pylist() == [2004, -1, 1999, -1, 2004]
    assert found.rows.schema.types == [*job.contract.schema.types, pa.int64()]


def test_a_row_without_a_match_breaks_the_columns_rules(tmp_path: Path) -> None:
    planes(tmp_path)
    job = job_of(tmp_path, PLANES)
    found = joined(job, rows_of(job, tailnum=["N2", "N3"]))
    assert found.rejected.to_pylist()[0]["message"] == "column seats: null, and the column is not nullable"
    assert found.rejected["reason"].to_pylist() == ["null"]
    assert len(found) == 1


def test_a_row_without_a_match_is_rejected_if_the_join_says_so(tmp_path: Path) -> None:
    planes(tmp_path)
    job = job_of(tmp_path, PLANES.replace("by:", "missing: reject, by:"))
    found = joined(job, rows_of(job, tailnum=["N3", "N1", None]))
    assert found.rejected["reason"].to_pylist() == ["join_missing"] * 2
    assert found.rejected["stage"].to_pylist() == ["validate"] * 2
    assert found.rejected["message"].to_pylist() == [
        "join planes: no row of tailnum 'N3'",
        "join planes: no row of tailnum null",
    ]
    assert found.rows["seats"].to_pylist() == [50]


def test_columns_of_several_tables_by_several_columns(tmp_path: Path) -> None:
    planes(tmp_path)
    day = datetime.date(2013, 12, 1)
    table = {"station": ["JFK", "EWR", "JFK"], "date": [day, day, datetime.date(2013, 12, 2)], "temp": [1.5, 2.5, 3.5]}
    pq.write_table(pa.table(table), tmp_path / "w.parquet")
    job = job_of(tmp_path, PLANES, WEATHER)
    found = joined(job, rows_of(job, tailnum=["N1", "N2"], origin=["EWR", "JFK"]))
    assert found.rows["temp"].to_pylist() == [2.5, 1.5]
    assert found.rows["seats"].to_pylist() == [50, 180]


def test_a_delta_table_at_the_version_that_was_planned(tmp_path: Path) -> None:
    table = pa.table({"tailnum": ["N1", "N2"], "kind": ["jet", "prop"], "seats": pa.array([50, 180], pa.int64())})
    write_deltalake(str(tmp_path / "planes"), table, partition_by=["kind"])
    job = job_of(tmp_path, "  planes: {delta: {path: planes}, by: [tailnum], columns: {seats: int32, kind: string}}")
    sides = plan_sides(job, [])
    write_deltalake(str(tmp_path / "planes"), table.slice(0, 0), mode="overwrite")
    found = join(rows_of(job, tailnum=["N2", "N1"]), sides, job.contract)
    assert found.rows["seats"].to_pylist() == [180, 50]
    assert found.rows["kind"].to_pylist() == ["prop", "jet"]
    assert plan_sides(job, [])[0].digest != sides[0].digest


def test_tables_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    storage.put(f"{bucket}/join/planes.csv", planes(tmp_path).read_bytes())
    table = pa.table({"station": ["JFK", "EWR"], "temp": [1.5, 2.5]})
    plain = {"allow_http": "true", "conditional_put": "etag"}
    write_deltalake(f"{bucket}/join/weather", table, storage_options=plain)
    where = f"delta: {{path: '{bucket}/join/weather'}}"
    weather = f"  weather: {{{where}, by: {{origin: station}}, columns: {{temp: float32}}}}"
    job = job_of(tmp_path, PLANES.replace("planes.csv", f"'{bucket}/join/planes.csv'"), weather)
    found = joined(job, rows_of(job, tailnum=["N2", "N1"], origin=["EWR", "JFK"]))
    assert found.rows["seats"].to_pylist() == [180, 50]
    assert found.rows["temp"].to_pylist() == [2.5, 1.5]


def test_a_table_without_rows_matches_nothing(tmp_path: Path) -> None:
    planes(tmp_path, "tailnum,year,seats\n")
    job = job_of(tmp_path, PLANES.replace("by:", "missing: reject, by:"))
    assert len(joined(job, rows_of(job, tailnum=["N1"]))) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tailnum,year,seats\nN1,1,2\nN2,1,2\nN1,1,2\n", 'the key "N1" of tailnum stands there twice; keep one row'),
        ("tailnum,year,seats\nN1,1,many\n", "planes.csv at byte 19: column seats: 'many'"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    planes(tmp_path, text)
    job = job_of(tmp_path, PLANES)
    with pytest.raises(Refused) as caught:
        joined(job, rows_of(job, tailnum=["N1"]))
    assert said in str(caught.value)
    assert str(caught.value).startswith("join.planes: ")
    assert caught.value.reason == "side_table"


def test_a_file_that_changed_after_planning_is_refused(tmp_path: Path) -> None:
    path = planes(tmp_path)
    job = job_of(tmp_path, PLANES)
    sides = plan_sides(job, [])
    path.write_text("tailnum,year,seats\nN1,1999,51\n")
    with pytest.raises(InputChanged, match=r"planes\.csv"):
        join(rows_of(job, tailnum=["N1"]), sides, job.contract)


def test_a_table_is_read_once_a_machine(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planes(tmp_path)
    sides = plan_sides(job_of(tmp_path, PLANES), [])
    first = join_cache.load(sides[0])
    assert join_cache.load(sides[0]) is first
    monkeypatch.setattr(join_cache, "_LOADED", {})
    monkeypatch.setattr(join_cache, "read_side", pytest.fail)
    allocated = pa.total_allocated_bytes()
    again = join_cache.load(sides[0])
    assert again.rows.equals(first.rows)
    assert pa.total_allocated_bytes() == allocated  # mapped, not copied
    assert [path.suffix for path in sorted(cache.iterdir())] == [".arrow", ".lock"]


def test_all_tables_of_a_job_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planes(tmp_path)
    one = "{csv: {path: planes.csv}, by: tailnum, columns: {seats%d: {type: int32, from: seats}}}"
    job = job_of(tmp_path, *(f"  planes{n}: {one % n}" for n in range(9)))
    sides, loads, loaded = plan_sides(job, []), list[str](), join_cache._loaded

    def counted(side: Side) -> Loaded:
        loads.append(side.name)
        return loaded(side)

    monkeypatch.setattr(join_cache, "_loaded", counted)
    for _ in range(3):
        found = join(rows_of(job, tailnum=["N2"]), sides, job.contract)
    assert [found.rows[f"seats{n}"].to_pylist() for n in range(9)] == [[180]] * 9
    assert loads == [side.name for side in sides]


def test_copies_that_nobody_used_for_long_are_dropped(tmp_path: Path, cache: Path) -> None:
    path = planes(tmp_path)
    old = plan_sides(job_of(tmp_path, PLANES), [])[0]
    join_cache.load(old)
    os.utime(cache / f"{old.digest}.arrow", (0, 0))
    path.write_text("tailnum,year,seats\nN1,1999,51\n")
    new = plan_sides(job_of(tmp_path, PLANES), [])[0]
    join_cache.load(new)
    assert sorted(path.stem for path in cache.glob("*.arrow")) == [new.digest]


def test_a_job_without_joins_is_as_it_was(tmp_path: Path) -> None:
    job = parse_job(JOB.replace("join:\n", ""), str(tmp_path / "job.yaml"))
    batch = rows_of(job, tailnum=["N1"])
    assert join(batch, (), job.contract) is batch
    assert job.read_contract is job.contract
    assert plan_sides(job, []) == ()


KEYS = st.tuples(st.text(max_size=4, alphabet="a\0bÿ"), st.integers(-3, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(KEYS, st.just((None, 0))), unique=True), st.lists(st.one_of(KEYS, st.just((None, 1)))))
def test_lookups_are_those_of_a_dict(known: list[Any], asked: list[Any]) -> None:
    columns = {"a": Column(type="string", nullable=True), "b": Column(type="int16")}
    side = side_of("s", side_join("a", "b"), columns)
    names, values = [k[0] for k in known], [k[1] for k in known]
    table = [pa.array(names, pa.string()), pa.array(values, pa.int16()), pa.array(range(len(known)), pa.int64())]
    loaded = Loaded.of(side, sorted_by_hash(pa.table(table, ["a", "b", "v"]), side))
    mine = [
        pa.array([k[0] for k in asked], pa.string()).dictionary_encode(),
        pa.array([k[1] for k in asked], pa.int16()),
    ]
    places = loaded.places(pa.RecordBatch.from_arrays(mine, ["a", "b"]))
    truth = {key: at for at, key in enumerate(known) if key[0] is not None}
    assert loaded.values("v", places).to_pylist() == [truth.get(key) for key in asked]


def test_keys_with_equal_hashes_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def poor(columns: Sequence[pa.Array], seed: int) -> np.ndarray:
        return np.zeros(len(columns[0]), np.uint64) if seed == 0 else hashes(columns, seed)

    monkeypatch.setattr("highbeam.transforms.join_lookup.hashes", poor)
    side = Side("s", side_join("a"), {"a": Column(type="string")}, ())
    table = pa.table({"a": ["x", "y", "z"], "v": [1, 2, 3]})
    loaded = Loaded.of(side, sorted_by_hash(table, side))
    places = loaded.places(pa.RecordBatch.from_arrays([pa.array(["z", "w", "x"])], ["a"]))
    assert loaded.values("v", places).to_pylist() == [3, None, 1]
    assert places[1] == NOWHERE
    with pytest.raises(Refused, match="twice"):
        sorted_by_hash(pa.table({"a": ["x", "y", "x"], "v": [1, 2, 3]}), side)


def test_lookups_in_a_larger_table() -> None:
    known = np.random.default_rng(0).choice(60_000, 20_000, replace=False)
    side = side_of("s", side_join("a"), {"a": Column(type="int32")})
    table = pa.table({"a": pa.array(known, pa.int32()), "v": pa.array(known * 3)})
    loaded = Loaded.of(side, sorted_by_hash(table, side))
    asked = pa.RecordBatch.from_arrays([pa.array(range(-5, 60_005), pa.int32())], ["a"])
    found = loaded.values("v", loaded.places(asked)).to_pylist()
    held = set(known.tolist())
    assert found == [3 * a if a in held else None for a in range(-5, 60_005)]


def side_join(*by: str) -> Join:
    return Join.model_validate({"csv": {"path": "x.csv"}, "by": list(by), "columns": {"v": "int64"}})


def test_contract_without_columns() -> None:
    contract = Contract({"a": Column(type="int32"), "b": Column(type="int32")}, ("a",))
    assert list(contract.without({"b"}).columns) == ["a"]
    assert contract.without({"b"}).key == ("a",)
    assert contract.without({}) is contract
