"""What is Cloud Storage's own: how it is found, who we are to it, and what a put that breaks off leaves behind."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from highbeam import storage
from highbeam.storage import StorageError
from highbeam.stores import objects, options
from highbeam.transforms.tables.log import open_table

from tests.support.gcs import address
from tests.support.gcs_xml import Front

GCLOUD = ".config/gcloud/application_default_credentials.json"
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


@pytest.mark.parametrize(
    ("variable", "value"), [("GOOGLE_APPLICATION_CREDENTIALS", f"home/{GCLOUD}"), ("HOME", "home")]
)
def test_a_service_accounts_key_signs_every_call(
    gcs_server: Front, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    write_key(tmp_path / "home" / GCLOUD)
    monkeypatch.setenv(variable, str(tmp_path / value))
    with as_the_service(gcs_server, monkeypatch):
        gcs_server.authorizations.clear()
        storage.put(f"{folder}/x", b"1")
        assert open_table(folder) is None
    assert gcs_server.authorizations
    assert {claims(said)["iss"] for said in gcs_server.authorizations} == {"scorer@airline.example"}


def test_who_has_no_account_reads_what_is_public(
    gcs_server: Front, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put(f"{folder}/x", b"1")
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    with as_the_service(gcs_server, monkeypatch):
        assert storage.read(storage.find(f"{folder}/*")[0].path) == b"1"


def test_credentials_that_nobody_has_are_named() -> None:
    error = ValueError("Generic S3 error\nGET http://169.254.169.254/latest failed")
    assert objects._told(error).startswith("no credentials in the environment")
    assert objects._told(ValueError("\n Forbidden\nmore")) == "Forbidden"


@pytest.mark.parametrize("text", ['{"type": "external_account"}', "no JSON", None])
def test_a_key_that_cannot_be_read_is_told(
    gcs_server: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "key.json").write_text(text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with as_the_service(gcs_server, monkeypatch), pytest.raises(StorageError, match=r"gs://b: .* service account file"):
        storage.listing("gs://b/x")
    with as_the_service(gcs_server, monkeypatch), pytest.raises(StorageError, match=r"gs://b: .* service account file"):
        open_table("gs://b/table")


def test_an_endpoint_without_a_scheme_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    with pytest.raises(StorageError, match="AWS_ENDPOINT_URL=localhost:9000 is no address"):
        storage.listing("s3://a-bucket-nobody-opened/x")


@contextmanager
def as_the_service(server: Front, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server as if it were Google's own: asked with credentials, in buckets that are opened anew."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_BASE_URL", address(server))
    objects._opened.cache_clear()
    yield
    objects._opened.cache_clear()


def write_key(path: Path) -> None:
    """A service account's key as the console gives it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
    account = {"type": "service_account", "client_email": "scorer@airline.example", "private_key_id": "1"}
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**account, "private_key": pem}))


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
