"""What is said when BigQuery refuses, or cannot be reached; and how long that takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.api_core import exceptions as google
from google.auth.exceptions import RefreshError, TransportError
from google.cloud import bigquery
from requests.exceptions import ConnectionError as Unconnected

from highbeam.schemas.errors import HighbeamError, UsageError
from highbeam.transforms.tables import bigquery_jobs, bigquery_told
from highbeam.transforms.tables.base import Current, Publication, Written
from highbeam.transforms.tables.bigquery import BigQueryPredictions
from highbeam.transforms.tables.bigquery_told import Remedies, told

from tests.support.bigquery import Warehouse
from tests.support.bigquery import bigquery_server as bigquery_server
from tests.support.bigquery import warehouse as warehouse
from tests.support.bigquery_nights import DAY, SCHEMA, A, Nights
from tests.support.bigquery_nights import nights as nights

REMEDIES = Remedies(roles="of a reader", missing="make it", wrong="mend it")
DENIED = (403, "accessDenied", "Access Denied: bigquery.jobs.create")
NOBODY = "http://localhost:1"


def refused(kind: type[google.GoogleAPICallError], reason: str, message: str = "No") -> google.GoogleAPICallError:
    return kind("GET https://bigquery/…: No", errors=[{"reason": reason, "message": f"{message}.\nJob ID: 7"}])


SAID = [
    (refused(google.NotFound, "notFound"), "it: No; make it"),
    (refused(google.Forbidden, "accessDenied"), "it: No; ask for the roles of a reader"),
    (google.Forbidden("Access denied"), "it: Access denied; ask for the roles of a reader"),
    (refused(google.Forbidden, "quotaExceeded", "Quota"), "it: BigQuery says: Quota; try again"),
    (refused(google.BadRequest, "invalidQuery"), "it: BigQuery says: No; mend it"),
    (refused(google.InternalServerError, "x"), "it: BigQuery says: No; try again"),
    (google.RetryError("Timeout", refused(google.BadGateway, "x")), "it: BigQuery says: No; try again"),
    (
        google.RetryError("Timeout", TimeoutError("timed out")),
        "it: BigQuery cannot be reached: timed out; look at the network",
    ),
    (google.Unauthorized("No token"), "it: BigQuery does not know who asks: No token; look at the credentials"),
    (RefreshError("invalid_grant"), "it: BigQuery does not know who asks: invalid_grant; look at the credentials"),
    (TransportError("no way"), "it: BigQuery cannot be reached: no way; look at the network, and try again"),
    (Unconnected("no way"), "it: BigQuery cannot be reached: no way; look at the network, and try again"),
]


@pytest.mark.parametrize(("error", "line"), SAID, ids=[type(error).__name__ for error, _ in SAID])
def test_everything_google_raises_becomes_a_line(error: Exception, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    with pytest.raises(UsageError) as seen, told("it", REMEDIES):
        raise error
    assert str(seen.value).startswith(line)
    assert "\n" not in str(seen.value)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BigQueryPredictions:
    """A table that nobody serves, and little patience."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", NOBODY)
    monkeypatch.setattr(bigquery_told, "PATIENCE", 0.2)
    return BigQueryPredictions("p.d.t", None, str(tmp_path), "flights")


ASKED: dict[str, Callable[[BigQueryPredictions], Any]] = {
    "unusable": lambda table: table.unusable(),
    "check_schema": lambda table: table.check_schema(SCHEMA),
    "current": lambda table: table.current(DAY),
    "dates": lambda table: table.dates(),
    "model_version": lambda table: table.model_version(Current(f"{DAY}-0001-{A}", 1, A, (), 1, 0)),
    "search": lambda table: table.search(["k"], pa.array([1]), None, False),
}
UNREACHED = rf"^p\.d\.t: BigQuery cannot be reached at {NOBODY} \(BIGQUERY_EMULATOR_HOST\): Connection refused; look at"


@pytest.mark.parametrize("ask", ASKED)
def test_what_is_asked_while_somebody_waits_is_not_asked_for_long(nowhere: BigQueryPredictions, ask: str) -> None:
    began = time.monotonic()
    with pytest.raises(UsageError, match=UNREACHED):
        ASKED[ask](nowhere)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("what", ["commit", "reject"])
def test_a_publication_asks_for_longer_and_ends_in_a_line(
    nowhere: BigQueryPredictions, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery_told, "PATIENCE", 0)
    assert bigquery.DEFAULT_RETRY.timeout == 600
    monkeypatch.setattr(bigquery.DEFAULT_RETRY, "_timeout", 2.0)
    run_id = f"{DAY}-0001-{A}"
    night = Publication(DAY, run_id, 1, (Written("a", 1, 1),), SCHEMA)
    with pytest.raises(HighbeamError, match=UNREACHED + ".*run again: nothing is scored again$") as error:
        nowhere.commit(night) if what == "commit" else nowhere.reject(DAY, run_id, lambda: ())
    assert not isinstance(error.value, UsageError)  # nobody can help it but by running again
    assert "Timeout of 2.0s" in str(error.value.__cause__)


def test_a_missing_permission_names_the_roles(nights: Nights, warehouse: Warehouse) -> None:
    warehouse.proxy.refuse("POST .*/jobs", DENIED)
    roles = r"scores: Access Denied: bigquery.jobs.create; ask for the roles BigQuery Data Editor and BigQuery Job User"
    with pytest.raises(UsageError, match=roles):
        nights.table.current(DAY)
    warehouse.proxy.hand_on()
    warehouse.proxy.refuse("POST /upload", DENIED)
    with pytest.raises(HighbeamError, match=roles):
        nights.publish()
    assert len([seen for seen in warehouse.proxy.seen if seen.startswith("POST /upload")]) == 2


def test_an_upload_that_went_through_and_seems_refused_is_found(
    nights: Nights, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a large upload is sent again by Google's library, and its session may be over by then."""
    monkeypatch.setattr("google.cloud.bigquery.client._MAX_MULTIPART_SIZE", 0)
    warehouse.proxy.lose("PUT /", then=(404, "notFound", "the session is over"))
    nights.publish()
    assert warehouse.ask("SELECT COUNT(*) FROM $t") == [(3,)]
    assert len(warehouse.jobs()) == 1


def test_a_service_that_never_answers_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", NOBODY)
    monkeypatch.setattr(bigquery_jobs, "SUBMITS", 2)
    sent: list[int] = []

    def begin() -> Any:
        sent.append(1)
        raise Unconnected("no way")

    with pytest.raises(HighbeamError, match=r"cannot be reached at .*: no way"), told("it", REMEDIES):
        bigquery_jobs.started(bigquery_jobs.client_of("demo"), "highbeam-x", None, begin)
    assert len(sent) == 2
