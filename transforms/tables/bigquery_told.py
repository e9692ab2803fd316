"""What BigQuery refuses, and that it cannot be reached, in one line; and how long it is asked again before that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import TimeoutError as WaitedTooLong
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from google.api_core.exceptions import (
    BadRequest,
    Forbidden,
    GoogleAPICallError,
    GoogleAPIError,
    NotFound,
    RetryError,
    Unauthorized,
)
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud import bigquery
from requests.exceptions import RequestException

from ...schemas.errors import HighbeamError, UsageError

PATIENCE = 60.0
"""Seconds that BigQuery is asked again where it does not answer and somebody waits for what it says."""

_DENIED = (None, "accessDenied", "forbidden", "insufficientPermissions")  # not: a quota that is used up


@dataclass(frozen=True)
class Remedies:
    """What to do about it.

    Attributes:
      roles: to ask for where a permission is missing.
      missing: where there is no such table.
      wrong: where BigQuery does not understand.
      again: where it may go better later.
      kind: which error it becomes.
    """

    roles: str
    missing: str
    wrong: str
    again: str = "try again"
    kind: type[HighbeamError] = UsageError


@contextmanager
def told(name: str, remedies: Remedies) -> Iterator[None]:
    """Says for people what BigQuery refuses, or that it cannot be asked.

    Args:
      name: of what was asked for.
      remedies: what to do.

    Raises:
      HighbeamError: of the kind that the remedies name, in place of Google's.
    """
    try:
        yield
    except (GoogleAPIError, GoogleAuthError, RequestException, WaitedTooLong) as error:
        raise remedies.kind(f"{name}: {_line(error, remedies)}") from error


def patience(publishing: bool = False) -> dict[str, Any]:
    """The arguments of a request that say how long it is sent again.

    A publication, hours in the making, waits as long as Google's library does: ten minutes a request.
    """
    if publishing:
        return {}
    return {"retry": bigquery.DEFAULT_RETRY.with_timeout(PATIENCE), "timeout": PATIENCE / 2}


def said(error: GoogleAPICallError) -> str:
    """What BigQuery says, without the request and the job it says it of."""
    text = _first(error).get("message")
    return str(text or error.message).partition("\n")[0].rstrip(".")


def _first(error: GoogleAPICallError) -> dict[str, Any]:
    first = next(iter(error.errors or ()), None)
    return first if isinstance(first, dict) else {}


def _line(error: Exception, remedies: Remedies) -> str:
    if isinstance(error, RetryError) and isinstance(error.cause, Exception):
        error = error.cause
    if isinstance(error, NotFound):
        return f"{said(error)}; {remedies.missing}"
    if isinstance(error, Forbidden) and _first(error).get("reason") in _DENIED:
        return f"{said(error)}; ask for the roles {remedies.roles}"
    if isinstance(error, BadRequest):
        return f"BigQuery says: {said(error)}; {remedies.wrong}"
    if isinstance(error, Unauthorized) or (
        isinstance(error, GoogleAuthError) and not isinstance(error, TransportError)
    ):
        return f"BigQuery does not know who asks: {_innermost(error)}; look at the credentials"
    if isinstance(error, GoogleAPICallError):
        return f"BigQuery says: {said(error)}; {remedies.again}"
    return f"BigQuery cannot be reached{_where()}: {_innermost(error)}; look at the network, and {remedies.again}"


def _where() -> str:
    emulator = os.environ.get("BIGQUERY_EMULATOR_HOST")
    return f" at {emulator} (BIGQUERY_EMULATOR_HOST)" if emulator else ""


def _innermost(error: BaseException) -> str:
    """What the operating system says of a connection; or the first line of the error itself."""
    deeper: BaseException | None = error
    while deeper is not None:
        if isinstance(deeper, OSError) and deeper.strerror:
            return deeper.strerror
        deeper = deeper.__cause__ or deeper.__context__
    return said(error) if isinstance(error, GoogleAPICallError) else _short(error)


def _short(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__
