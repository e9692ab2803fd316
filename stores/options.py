"""What the libraries behind a bucket are told beyond the environment, which they read themselves."""

from __future__ import annotations

import json
import os
from typing import Any

from .base import StorageError, scheme

EMULATOR = "STORAGE_EMULATOR_HOST"
_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL",), "gs": (EMULATOR, "GOOGLE_BASE_URL")}


def for_obstore(bucket: str) -> dict[str, Any]:
    """What to open a bucket with, beside its address."""
    told: dict[str, Any] = {"config": _emulator(bucket)} if _emulator(bucket) else {}
    return {**told, "client_options": {"allow_http": True}} if _is_plain(bucket) else told


def for_delta(path: str) -> dict[str, str]:
    """What delta-rs is to open a table with; on S3 a commit is a put on the condition that nothing is there."""
    told = {**_emulator(path), **({"allow_http": "true"} if _is_plain(path) else {})}
    return {"conditional_put": "etag", **told} if scheme(path) == "s3" else told


def _emulator(path: str) -> dict[str, str]:
    """The emulator of Cloud Storage that STORAGE_EMULATOR_HOST names, which takes everybody.

    That is the variable of Google's own clients, and these libraries do not know it. The key of an account
    without a signature is the one way they have to write without asking for credentials first.
    """
    host = os.environ.get(EMULATOR)
    if scheme(path) != "gs" or not host:
        return {}
    address = host if scheme(host) else f"http://{host}"
    nobody = {"client_email": "", "private_key": "", "private_key_id": ""}
    return {"service_account_key": json.dumps({"gcs_base_url": address, "disable_oauth": True, **nobody})}


def _is_plain(path: str) -> bool:
    """Whether the service is called without TLS; that is so where the environment names it that way."""
    for name in _ENDPOINTS.get(scheme(path) or "", ()):
        if found := os.environ.get(name):
            if scheme(found) not in ("http", "https") and name != EMULATOR:
                raise StorageError(f"{path}: {name}={found} is no address; write http:// or https:// before it")
            return scheme(found) != "https"
    return False
