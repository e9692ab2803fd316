from __future__ import annotations

import gzip
import itertools
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from highbeam import storage
from highbeam.schemas.batch import Batch
from highbeam.schemas.contract import Contract
from highbeam.schemas.errors import UnreadableInput, UsageError
from highbeam.schemas.reasons import REASONS
from highbeam.schemas.sources import Log, Source
from highbeam.schemas.split import Split
from highbeam.transforms.formats.lines import read_lines
from highbeam.transforms.formats.log_files import LogFormat
from highbeam.transforms.formats.log_parser import LogParser
from highbeam.transforms.formats.log_patterns import line_pattern
from highbeam.transforms.plan_splits import check_source
from highbeam.transforms.raw import fill_raw

from tests.support.csv_files import contract, rejected, rows

MAX = 1 << 20
NAMES = ("host", "ident", "user", "time", "request", "method", "path", "protocol", "status", "bytes", "referer",
         "user_agent")  # fmt: skip
TEXTS = contract({name: {"type": "string", "nullable": True} for name in NAMES})
USUAL = (
    '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 '
    '"http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"'
)
HEAD, TAIL = '::1 - - [10/Oct/2000:13:55:36 -0700] "', '" 400 - "-" "-"'


def log(format: str | None = "combined", pattern: str | None = None, **options: Any) -> LogFormat:
    return LogFormat(Log(path=("a.log",), format=format, pattern=pattern, **options))


def write(folder: Path, body: bytes, format: LogFormat, what: Contract = TEXTS, name: str = "a.log") -> list[Split]:
    path = folder / name
    path.write_bytes(body)
    file = storage.stat(str(path))
    assert file is not None
    return list(format.splits(file, name, what, 1 << 20))


def read(splits: list[Split], format: LogFormat, what: Contract = TEXTS, limit: int = MAX) -> list[Batch]:
    return [batch for split in splits for batch in format.read(split, what, limit)]


def fates(batches: list[Batch]) -> dict[int, Any]:
    """Offset of each record -> its values, or why it was turned away."""
    found: dict[int, Any] = {row.pop("_offset"): row for row in rows(batches).to_pylist()}
    for row in rejected(batches).to_pylist():
        assert row["offset"] not in found
        assert row["reason"] in REASONS
        found[row["offset"]] = (row["reason"], row["message"], row["key"])
    assert sum(batch.read for batch in batches) == len(found)
    return dict(sorted(found.items()))


def fate(folder: Path, line: str | bytes, format: LogFormat | None = None, what: Contract = TEXTS) -> Any:
    """What becomes of one line."""
    format = format or log()
    body = line.encode() if isinstance(line, str) else line
    (found,) = fates(read(write(folder, body, format, what), format, what)).values()
    return found


def test_every_field_of_a_combined_line(tmp_path: Path) -> None:
    assert fate(tmp_path, USUAL) == {
        "host": "127.0.0.1", "ident": None, "user": "frank", "time": "10/Oct/2000:13:55:36 -0700",
        "request": "GET /apache_pb.gif HTTP/1.0", "method": "GET", "path": "/apache_pb.gif", "protocol": "HTTP/1.0",
        "status": "200", "bytes": "2326", "referer": "http://www.example.com/start.html",
        "user_agent": "Mozilla/4.08 [en] (Win98; I ;Nav)",
    }  # fmt: skip


def test_common_is_that_without_the_last_two(tmp_path: Path) -> None:
    what = Contract({name: TEXTS.columns[name] for name in NAMES[:-2]})
    common = USUAL.partition(' "http://www')[0]
    assert fate(tmp_path, common, log("common"), what) == {
        name: value for name, value in fate(tmp_path, USUAL).items() if name in NAMES[:-2]
    }
    assert fate(tmp_path, USUAL, log("common"), what)[:2] == (
        "no_match",
        "the line does not match the common log format",
    )
    assert fate(tmp_path, common)[0] == "no_match"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("GET / HTTP/1.1", ("GET", "/", "HTTP/1.1")),
        ("PRI * HTTP/2.0", ("PRI", "*", "HTTP/2.0")),
        (r"GET /a\"b\\ HTTP/1.1", ("GET", r"/a\"b\\", "HTTP/1.1")),
        ("-", (None, None, None)),
        ("", (None, None, None)),
        (r"\x16\x03\x01\x02", (None, None, None)),
        ("GET /", (None, None, None)),
        ("GET /a b HTTP/1.1", (None, None, None)),
        ("GET  HTTP/1.1", (None, None, None)),
        ("x" * 5000, (None, None, None)),
    ],
)
def test_a_request_that_is_none_leaves_its_parts_null(tmp_path: Path, text: str, parts: tuple[str | None, ...]) -> None:
    found = fate(tmp_path, HEAD + text + TAIL)
    assert found["request"] == (text if text not in ("", "-") else None)
    assert (found["method"], found["path"], found["protocol"]) == parts
    assert found["status"] == "400"


def test_escaped_quotes_and_backslashes_break_no_line(tmp_path: Path) -> None:
    found = fate(tmp_path, HEAD + r'GET /\" HTTP/1.1" 200 1 "http://a/\"b\"" "say \"x\" \\"')
    assert (found["path"], found["referer"], found["user_agent"]) == (r"/\"", r"http://a/\"b\"", r"say \"x\" \\")
    assert fate(tmp_path, HEAD + r'GET / HTTP/1.1" 200 1 "-" "open \"')[0] == "no_match"


def test_a_dash_and_an_empty_text_are_null_as_the_job_says(tmp_path: Path) -> None:
    line = USUAL.replace("frank", "NA").replace("2326", "-")
    assert [fate(tmp_path, line)[name] for name in ("ident", "user", "bytes")] == [None, "NA", None]
    mine = log(nulls=("NA",))
    assert [fate(tmp_path, line, mine)[name] for name in ("ident", "user", "bytes")] == ["-", None, "-"]


TYPED = contract({
    "when": {"type": "timestamp", "from": "time"}, "status": "int16", "bytes": {"type": "int64", "nullable": True},
    "same": {"type": "string", "from": "status"}, "gone": {"type": "string", "optional": True, "nullable": True},
})  # fmt: skip


def test_fields_are_read_as_the_types_of_the_contract(tmp_path: Path) -> None:
    when = datetime(2000, 10, 10, 20, 55, 36, tzinfo=timezone.utc)
    found = fate(tmp_path, USUAL, what=TYPED)
    assert found == {"when": when, "status": 200, "bytes": 2326, "same": "200", "gone": None}
    assert fate(tmp_path, USUAL.replace("Oct", "Foo"), what=TYPED)[:2] == (
        "bad_value", "column when: '10/Foo/2000:13:55:36 -0700' is not a timestamp"
    )  # fmt: skip
    assert fate(tmp_path, USUAL.replace(" 200 ", " 99999 "), what=TYPED)[0] == "bad_value"
    day = contract({"day": {"type": "timestamp", "from": "time", "format": "%d/%b/%Y", "timezone": "UTC"}})
    assert fate(tmp_path, USUAL, what=day)[0] == "bad_value"  # a format that the column says is the one that counts


def test_bytes_that_are_no_utf8_matter_only_where_a_string_is_wanted(tmp_path: Path) -> None:
    line = USUAL.encode().replace(b"Mozilla", b"\xff\xfe")
    assert fate(tmp_path, line)[0] == "not_utf8"
    assert fate(tmp_path, line, what=TYPED)["status"] == 200
    raw = contract({"user_agent": "binary"})
    assert fate(tmp_path, line, what=raw)["user_agent"].startswith(b"\xff\xfe")


def test_a_contract_of_which_a_line_has_nothing_still_judges_it(tmp_path: Path) -> None:
    what = contract({"x": {"type": "string", "optional": True, "nullable": True}})
    body = f"{USUAL}\nnothing\n{USUAL}\n".encode()
    found = fates(read(write(tmp_path, body, log(), what), log(), what))
    assert list(map(_reason, found.values())) == [{"x": None}, "no_match", {"x": None}]


def _reason(found: Any) -> Any:
    return found[0] if isinstance(found, tuple) else found


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("Jan  2 03:04:05 web-1 sshd[812]: Failed password for root", ("Jan  2 03:04:05", "web-1", "sshd", "812",
                                                                    "Failed password for root")),
        ("Jan 12 03:04:05 web-1 kernel: [1.2] up: yes", ("Jan 12 03:04:05", "web-1", "kernel", None, "[1.2] up: yes")),
        ("<34>Jan 12 03:04:05 h su: ", ("Jan 12 03:04:05", "h", "su", None, None)),
        ("2023-01-02T03:04:05.678901+01:00 h postfix/smtpd[1]: connect",
         ("2023-01-02T03:04:05.678901+01:00", "h", "postfix/smtpd", "1", "connect")),
        ("Jan 12 03:04:05 h -- MARK --", ("Jan 12 03:04:05", "h", None, None, "-- MARK --")),
        ("Jan 12 03:04:05 h last message repeated 2 times: x",
         ("Jan 12 03:04:05", "h", None, None, "last message repeated 2 times: x")),
    ],
)  # fmt: skip
def test_syslog_as_its_files_are(tmp_path: Path, line: str, fields: tuple[str | None, ...]) -> None:
    names = ("time", "host", "program", "pid", "message")
    what = contract({name: {"type": "string", "nullable": True} for name in names})
    assert tuple(fate(tmp_path, line, log("syslog"), what).values()) == fields


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"<34>1 2003-10-11T22:14:15.003Z h su - ID47 - \xef\xbb\xbf'su root' failed",
         (34, 1, "su", None, "ID47", None, "'su root' failed")),
        (rb'<165>1 2003-10-11T22:14:15Z h ev 8 - [e@1 a="x\]\" y" b="2"][f@2] An event',
         (165, 1, "ev", "8", None, r'[e@1 a="x\]\" y" b="2"][f@2]', "An event")),
        (b"<0>1 2003-10-11T22:14:15Z h a - - -", (0, 1, "a", None, None, None, None)),
    ],
)  # fmt: skip
def test_syslog_of_rfc_5424(tmp_path: Path, line: bytes, fields: tuple[Any, ...]) -> None:
    names = ("program", "pid", "msgid", "data", "message")
    what = contract({"pri": "int16", "version": "int8"} | {n: {"type": "string", "nullable": True} for n in names})
    assert tuple(fate(tmp_path, line, log("syslog5424"), what).values()) == fields
    time = contract({"time": "timestamp"})
    assert fate(tmp_path, line, log("syslog5424"), time)["time"].year == 2003


def test_a_pattern_of_ones_own_matches_whole_lines(tmp_path: Path) -> None:
    mine = log(None, r"(?i)(get|put) (?P<what>\w+)(?: took (?P<ms>[0-9]+))?|(?P<other>#.*)")
    what = contract({name: {"type": "string", "nullable": True} for name in ("what", "ms", "other")})
    body = b"GET x took 12\nput y\n# note\nget x now\n get x\n"
    found = [_reason(each) for each in fates(read(write(tmp_path, body, mine, what), mine, what)).values()]
    assert found[:3] == [
        {"what": "x", "ms": "12", "other": None}, {"what": "y", "ms": None, "other": None},
        {"what": None, "ms": None, "other": "# note"},
    ]  # fmt: skip
    assert found[3:] == ["no_match", "no_match"]


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


def test_strings_are_dictionaries_and_the_keys_are_plain(tmp_path: Path) -> None:
    what = contract({"host": "string", "method": "string"}, ("host",))
    for body in (USUAL, f"{USUAL}\n{USUAL}\nbad"):
        (batch,) = read(write(tmp_path, body.encode(), log(), what), log(), what)
        assert batch.rows.schema == what.schema.append(pa.field("_offset", pa.int64()))
        assert batch.rows.column("method").dictionary.to_pylist() == ["GET"]


def test_an_empty_file_has_no_splits_and_a_split_without_records_one_empty_batch(tmp_path: Path) -> None:
    assert write(tmp_path, b"", log()) == []
    (batch,) = read(write(tmp_path, b"\n\n", log()), log())
    assert (batch.read, batch.last, batch.rows.num_rows) == (0, True, 0)


# Properties

MIXED = contract({
    "status": "int32", "bytes": {"type": "int64", "nullable": True}, "host": "string",
    "request": {"type": "string", "nullable": True}, "path": {"type": "string", "nullable": True},
    "time": {"type": "timestamp"}, "user_agent": {"type": "string", "nullable": True},
    "referer": {"type": "binary", "nullable": True},
}, ("host",))  # fmt: skip
PLAIN = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=6)
WORD = st.text(st.characters(exclude_characters='\r\n "\\', exclude_categories=["Cs"]), min_size=1, max_size=6)
ROW = st.tuples(
    st.integers(0, 999), st.integers(0, 1 << 62) | st.none(), WORD.filter(lambda word: word != "-"), WORD,
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0)), PLAIN, PLAIN,
)  # fmt: skip
Row = tuple[int, int | None, str, str, datetime, str, str]


def quoted(text: str) -> str:
    """As Apache writes a header."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def written(row: Row) -> bytes:
    status, size, host, path, at, referer, agent = row
    time, size_text = at.strftime("%d/%b/%Y:%H:%M:%S +0000"), "-" if size is None else size
    request = f"GET {path} HTTP/1.1"
    return f'{host} - - [{time}] "{request}" {status} {size_text} "{quoted(referer)}" "{quoted(agent)}"'.encode()


def expected(row: Row) -> dict[str, Any]:
    status, size, host, path, at, referer, agent = row
    return {
        "status": status, "bytes": size, "host": host, "request": f"GET {path} HTTP/1.1",
        "path": None if path == "-" else path, "time": at.replace(tzinfo=timezone.utc),
        "user_agent": None if agent in ("", "-") else quoted(agent),
        "referer": None if referer in ("", "-") else quoted(referer).encode(),
    }  # fmt: skip


def cut(whole: Split, at: list[int]) -> list[Split]:
    bounds = sorted({0, whole.size, *(offset for offset in at if 0 < offset < whole.size)})
    return [replace(whole, number=n, start=a, end=b) for n, (a, b) in enumerate(itertools.pairwise(bounds))]


def read_cut(splits: list[Split], what: Contract, limit: int, batch_rows: int, block_bytes: int) -> list[Batch]:
    parser = LogParser(line_pattern(log().options), log().options.nulls, what)
    batches = []
    for split in splits:
        mine = list(read_lines(split, parser, what, limit, batch_rows, block_bytes=block_bytes))
        assert [batch.last for batch in mine] == [False] * (len(mine) - 1) + [True]
        batches += mine
    return batches


@settings(max_examples=60)
@given(st.lists(ROW, min_size=1, max_size=20), st.sampled_from([b"\n", b"\r\n"]),
       st.lists(st.integers(0, 2000), max_size=8), st.integers(1, 7), st.integers(1, 300))  # fmt: skip
def test_rows_come_back_once_in_order_with_exact_offsets(
    tmp_path_factory: pytest.TempPathFactory, given_rows: list[Row], end: bytes, cuts: list[int], batch_rows: int,
    block_bytes: int,
) -> None:  # fmt: skip
    lines = [written(row) for row in given_rows]
    (whole,) = write(tmp_path_factory.getbasetemp(), end.join(lines), log(), MIXED)
    batches = read_cut(cut(whole, cuts), MIXED, MAX, batch_rows, block_bytes)
    assert rejected(batches).to_pylist() == []
    offsets = [sum(len(line) + len(end) for line in lines[:n]) for n in range(len(lines))]
    table = rows(batches)
    assert table["_offset"].to_pylist() == offsets
    assert table.drop_columns("_offset").to_pylist() == [expected(row) for row in given_rows]
    raw, lengths = log().raw(pa.array(offsets).to_numpy(), whole, MAX)
    assert (raw.to_pylist(), lengths.tolist()) == (lines, list(map(len, lines)))
    again = log().again(whole, raw, pa.array(offsets), MIXED, MAX)
    assert rows([again]).to_pylist() == table.to_pylist()


LINE = ROW.map(written)
DIRTY = st.one_of(
    LINE,
    st.builds(lambda line, at, by: line[: at % len(line)] + by + line[at % len(line) + 1 :], LINE, st.integers(0, 500),
              st.binary(max_size=4).map(lambda by: by.replace(b"\n", b""))),
    st.builds(lambda line, at: line[: at % len(line)], LINE, st.integers(0, 500)),
    st.sampled_from([b"", b"\r", b'"', b"\\", b"\x00", b"x" * 300, b"\xff", b"\xef\xbb\xbf" + USUAL.encode(),
                     USUAL.encode() + b"\r\r", (HEAD + "\\" + TAIL).encode(), (HEAD + TAIL + " ").encode()]),
    st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(DIRTY, max_size=10), st.lists(st.integers(0, 900), max_size=4), st.integers(1, 5), st.integers(1, 90))
@example([USUAL.encode(), b"\xff", USUAL.encode()], [], 5, 90)
def test_no_bytes_crash_it_lose_a_row_or_change_a_neighbours_fate(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cuts: list[int], batch_rows: int, block_bytes: int
) -> None:
    folder, limit = tmp_path_factory.getbasetemp(), 250
    splits = write(folder, b"\n".join(lines), log(), MIXED)
    batches = read_cut([part for whole in splits for part in cut(whole, cuts)], MIXED, limit, batch_rows, block_bytes)
    found = fates(batches) if batches else {}
    records, at = {}, 0
    for line in lines:
        if record := line.removesuffix(b"\r"):
            records[at] = record
        at += len(line) + 1
    assert list(found) == list(records)
    for offset, record in records.items():
        (alone,) = fates(read(write(folder, record + b"\r\n", log(), MIXED, "b.log"), log(), MIXED, limit)).values()
        assert repr(found[offset]) == repr(alone)
    for batch in batches:
        for row in fill_raw(batch.rejected, batch.split, log(), limit).to_pylist():
            assert row["raw"] == records[row["offset"]][:limit]
