from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from highbeam.schemas.errors import UnreadableInput, UsageError
from highbeam.schemas.sources import Log, Source
from highbeam.transforms.plan_splits import check_source

from tests.support.csv_files import contract
from tests.support.log_files import USUAL, fates, log, read, write


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(?P<a>", "source.log.pattern: not a pattern of RE2: missing ): (?P<a>"),
        ("(?P<a>.)(?=b)", "source.log.pattern: not a pattern of RE2: invalid perl operator: (?="),
        ("(?P<a>.))(", "source.log.pattern: not a pattern of RE2: unexpected ): (?P<a>.))("),
        ("(a) [(?P<b>]", "source.log.pattern: has no named group; write each field as (?P<name>…)"),
        ("(?P<a>.)(?P<a>.)", "source.log.pattern: names a twice"),
        ("(?P<ab>.)(?P<c>.)",
         "column abc: source.log.pattern has no field 'abc' (is it 'ab'? then write from: ab); its fields are ab, c"),
    ],
)  # fmt: skip
def test_a_pattern_that_cannot_be_meant_is_found_before_launch(pattern: str, said: str) -> None:
    source = Source.model_validate({"log": {"path": "a.log", "pattern": pattern}})
    with pytest.raises(UsageError) as error:
        check_source(source, contract({"abc": "string"}))
    assert str(error.value) == said


def test_columns_that_no_field_fits_are_found_before_launch() -> None:
    what = contract({"agent": "string", "gone": {"type": "int8", "optional": True, "default": 1}, "l": "list<int8>",
                     "t": {"type": "timestamp", "from": "time", "format": "%Q", "timezone": "UTC"}})  # fmt: skip
    problems = list(log().problems(what))
    assert [problem.partition(":")[0] for problem in problems] == ["column l", "column t", "column agent", "column l"]
    assert "column agent: the combined log format has no field 'agent'" in problems[2]
    assert "its fields are host, ident, user, time, request, method, path, protocol, status," in problems[2]


@pytest.mark.parametrize("options", [{}, {"format": "common", "pattern": "(?P<a>.)"}, {"format": "ncsa"}])
def test_a_job_names_one_of_format_and_pattern(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="format"):
        Log.model_validate({"path": "a.log", **options})


def test_gzip_reads_as_plain_does_and_a_truncated_one_says_so(tmp_path: Path) -> None:
    body = f"{USUAL}\nx\n{USUAL}".encode() * 50
    packed = gzip.compress(body)
    plain = fates(read(write(tmp_path, body, log()), log()))
    assert fates(read(write(tmp_path, packed, log(), name="a.log.gz"), log())) == plain
    with pytest.raises(UnreadableInput, match=r"b\.log\.gz"):
        read(write(tmp_path, packed[:-9], log(), name="b.log.gz"), log())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (gzip.compress(USUAL.encode(), mtime=0), "a.log: is gzip; write compression: gzip"),
        (USUAL.encode("utf-16"), "a.log: is UTF-16; Highbeam reads UTF-8, so convert it"),
    ],
)
def test_a_file_that_is_no_text_is_found_before_launch(tmp_path: Path, body: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        write(tmp_path, body, log())


def test_an_empty_file_has_no_splits_and_a_split_without_records_one_empty_batch(tmp_path: Path) -> None:
    assert write(tmp_path, b"", log()) == []
    (batch,) = read(write(tmp_path, b"\n\n", log()), log())
    assert (batch.read, batch.last, batch.rows.num_rows) == (0, True, 0)
