"""What is Cloud Storage's own: how it is found, who we are to it, and what a put that breaks off leaves behind."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from highbeam import storage
from highbeam.stores import objects, options
from highbeam.transforms.tables.log import open_table

from tests.support.gcs import address
from tests.support.gcs_xml import Front

MANY = 12 << 20  # bytes; goes up in parts


@pytest.fixture
def folder(gcs_bucket: str) -> str:
    return f"{gcs_bucket}/{uuid.uuid4().hex}"


@pytest.mark.parametrize(
    ("host", "found"), [("localhost:4443", "http://localhost:4443"), ("https://there", "https://there")]
)
def test_an_emulator_is_found_with_and_without_a_scheme(monkeypatch: pytest.MonkeyPatch, host: str, found: str) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    told = options.for_delta("gs://bucket/table")
    assert json.loads(told["service_account_key"])["gcs_base_url"] == found
    assert ("allow_http" in told) == found.startswith("http://")
    assert "service_account_key" not in options.for_delta("s3://bucket/table")


def test_without_an_emulator_the_environment_is_left_to_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    assert options.for_delta("gs://bucket/table") == options.for_obstore("gs://bucket") == {}


def test_a_service_accounts_key_signs_every_call(
    gcs_server: Front, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("GOOGLE_BASE_URL", address(gcs_server))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(write_key(tmp_path / "key.json")))
    objects._opened.cache_clear()
    gcs_server.authorizations.clear()
    storage.put(f"{folder}/x", b"1")
    assert open_table(folder) is None
    objects._opened.cache_clear()
    assert gcs_server.authorizations
    assert {claims(said)["iss"] for said in gcs_server.authorizations} == {"scorer@airline.example"}


def write_key(path: Path) -> Path:
    """A service account's key as the console gives it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
    account = {"type": "service_account", "client_email": "scorer@airline.example", "private_key_id": "1"}
    path.write_text(json.dumps({**account, "private_key": pem}))
    return path


def claims(authorization: str | None) -> dict[str, object]:
    """What a signed token says."""
    assert authorization
    part = authorization.removeprefix("Bearer ").split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@pytest.mark.parametrize(
    "program",
    [
        "storage.put(path, bytes(1000))",
        "storage.create(path, bytes(1000))",
        f"with storage.writer(folder) as sink: sink.file.write(bytes({MANY})); sink.commit('x')",
    ],
)
def test_a_put_that_is_killed_leaves_nothing(gcs_server: Front, folder: str, program: str) -> None:
    start = f"from highbeam import storage\nfolder, path = {folder!r}, {folder + '/x'!r}\n{program}"
    gcs_server.uploading.clear()
    gcs_server.stalled.set()
    process = subprocess.Popen([sys.executable, "-c", start])
    try:
        assert gcs_server.uploading.wait(30)
    finally:
        process.kill()
        process.wait()
        gcs_server.stalled.clear()
    assert storage.walk(folder) == []


def test_a_large_object_goes_up_in_parts(gcs_server: Front, folder: str) -> None:
    data = bytes(range(256)) * (MANY // 256)
    with storage.writer(folder) as sink:
        sink.file.write(data)
        path = sink.commit("x")
    assert storage.read(path) == data
    assert gcs_server.assembled == [path.removeprefix("gs://").partition("/")[2]]


def test_a_list_of_many_pages_is_whole(folder: str) -> None:
    names = [f"{folder}/{number:03}" for number in range(120)]
    for name in names:
        storage.put(name, b"")
    assert [file.path for file in storage.listing(folder)] == names
    assert [file.path for file in storage.walk(folder)] == names
