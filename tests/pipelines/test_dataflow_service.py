"""Dataflow and the image's registry are asked before a job is submitted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from requests import RequestException

from highbeam.pipelines import dataflow_preflight
from highbeam.pipelines.beam_options import pipeline_options
from highbeam.pipelines.dataflow_service import missing_image, refusal_of_jobs, taken_apart
from highbeam.schemas.errors import JobError

from tests.support.dataflow import CLOUD, gs_job
from tests.support.google_services import JOBS, Google
from tests.support.processes import free_port

MANIFEST = "/v2/images/highbeam/manifests/0.1"


def options_here(google: Google, **more: Any) -> PipelineOptions:
    """Beam's options, of a job that asks here and not at Google."""
    here = {"dataflow_endpoint": f"http://{google.host}", "sdk_container_image": f"{google.host}/images/highbeam:0.1"}
    return pipeline_options(CLOUD | here | {"no_auth": True} | more)


def given(google: Google, **more: Any) -> dict[str, Any]:
    """The same as a dictionary."""
    return dict(options_here(google, **more).get_all_options())


@pytest.fixture
def no_buckets(monkeypatch: pytest.MonkeyPatch, google: Google) -> None:
    """Every bucket is said not to be there."""
    account = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    account["gcs_base_url"] = f"http://{google.host}"
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account))
    monkeypatch.setattr(dataflow_preflight, "PATIENCE", 30)


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (200, "", None),
        (
            403,
            "The caller does not have permission",
            "403 The caller does not have permission; who submits",
        ),
        (404, "The location is unknown", "region europe-west4: Dataflow shows no jobs: 404 The location is unknown"),
        (429, "Quota exceeded", None),
        (503, "The service is unavailable", None),
    ],
)
def test_dataflow_says_whether_it_takes_jobs(google: Google, status: int, message: str, said: str | None) -> None:
    google.answers[JOBS] = (status, {"error": {"message": message}} if message else {})
    found = refusal_of_jobs(given(google), 5)
    assert found is None if said is None else said in str(found)
    assert google.calls == [JOBS]


def test_an_error_without_words_is_told(google: Google) -> None:
    google.answers[JOBS] = (400, {})
    assert "shows no jobs: 400 Bad Request" in str(refusal_of_jobs(given(google), 5))


def test_nobody_to_ask_and_nobody_to_ask_as(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, google: Google) -> None:
    options = given(google, dataflow_endpoint=f"http://127.0.0.1:{free_port()}")
    assert "cannot be reached" in str(refusal_of_jobs(options, 5))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    assert "`gcloud auth application-default login` makes" in str(refusal_of_jobs(given(google, no_auth=False), 5))


@pytest.mark.parametrize("said", ["HOST", "http://HOST", "http://HOST/ "])
def test_the_endpoint_is_read_as_beam_reads_it(google: Google, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get(url: str, **_: Any) -> Any:
        asked.append(url.replace(google.host, "HOST"))
        raise RequestException("stop")

    monkeypatch.setattr("requests.get", get)
    for endpoint in (said.replace("HOST", google.host), ""):
        refusal_of_jobs(given(google, dataflow_endpoint=endpoint), 5)
    path = JOBS.partition("?")[0]
    scheme = "http" if "://" in said else "https"
    assert asked == [f"{scheme}://HOST{path}", f"https://dataflow.googleapis.com{path}"]


def test_it_asks_as_the_account_it_stands_in_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, google: Google
) -> None:
    """The credentials are a user's; IAM gives them those of the account, which Dataflow then sees."""
    user = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
    (tmp_path / "user.json").write_text(json.dumps(user))
    (tmp_path / ".netrc").write_text("default login nobody password nothing\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "user.json"))
    seen: list[tuple[str, list[str]]] = []

    def refresh(self: Any, _: Any) -> None:
        seen.append((self._target_principal, self._delegates))
        self.token = "of-the-account"

    monkeypatch.setattr("google.auth.impersonated_credentials.Credentials.refresh", refresh)
    assert refusal_of_jobs(given(google, no_auth=False, impersonate_service_account="a@p,scorer@p"), 5) is None
    assert seen == [("scorer@p", ["a@p"])]
    assert google.authorizations == ["Bearer of-the-account"]


@pytest.mark.parametrize("token", ["", "secret"])
def test_an_image_that_was_never_pushed_is_named(google: Google, token: str) -> None:
    google.token = token
    options = given(google)
    assert missing_image(options, 5) == f"{google.host}/images/highbeam:0.1 is not in its registry; push it first"
    google.answers[MANIFEST] = (200, {})
    assert missing_image(options, 5) is None
    asked = [call for call in google.calls if call.startswith("/token")]
    assert asked == (["/token?service=here&scope=repository%3Ahighbeam%3Apull"] * 2 if token else [])


def test_what_a_registry_keeps_to_itself_is_no_fault(google: Google) -> None:
    """Workers have a network and credentials of their own."""
    google.answers[MANIFEST] = (403, {})
    assert missing_image(given(google), 5) is None
    google.answers[MANIFEST] = (401, {})
    assert missing_image(given(google), 5) is None
    google.answers[MANIFEST] = (404, {})  # as where what one may not see is said not to be there
    assert missing_image(given(google), 5) is None
    google.token = "secret"
    several: list[Any] = [{}, [], {"token": "another"}]
    for tokens in several:
        google.tokens = tokens
        assert missing_image(given(google), 5) is None
    gone = f"127.0.0.1:{free_port()}/images/highbeam:0.1"
    assert missing_image(given(google, sdk_container_image=gone), 5) is None


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        ("apache/beam:2.77.0", ("registry-1.docker.io", "apache/beam", "2.77.0")),
        ("docker.io/apache/beam:2.77.0", ("registry-1.docker.io", "apache/beam", "2.77.0")),
        ("gcr.io/p/highbeam:1", ("gcr.io", "p/highbeam", "1")),
        ("localhost:5000/highbeam:1", ("localhost:5000", "highbeam", "1")),
        ("gcr.io/p/highbeam:1@sha256:" + "0" * 64, ("gcr.io", "p/highbeam", "sha256:" + "0" * 64)),
    ],
)
def test_an_image_s_name_is_read_as_docker_reads_it(image: str, asked: tuple[str, str, str]) -> None:
    assert taken_apart(image) == asked


@pytest.mark.usefixtures("no_buckets")
def test_service_registry_and_buckets_are_all_asked(google: Google) -> None:
    google.answers[JOBS] = (403, {"error": {"message": "Dataflow API has not been used in project before"}})
    with pytest.raises(JobError) as found:
        dataflow_preflight.check_services(gs_job(), options_here(google))
    asked = (
        "beam: temp_location",
        "state",
        "output.delta.path",
        "beam: project and region",
        "beam: sdk_container_image",
    )
    assert len(found.value.problems) == len(asked)
    for problem, name in zip(found.value.problems, asked, strict=True):
        assert problem.startswith(f"{name}: ")


@pytest.mark.usefixtures("no_buckets")
@pytest.mark.parametrize("more", [{"template_location": "gs://flights-prod-tmp/job"}, {"dry_run": "true"}])
def test_what_is_not_handed_in_from_here_asks_no_service(google: Google, more: dict[str, Any]) -> None:
    with pytest.raises(JobError, match="temp_location"):
        dataflow_preflight.check_services(gs_job(), options_here(google, **more))
    assert not [call for call in google.calls if call.startswith(("/v1b3", "/v2"))]


@pytest.mark.usefixtures("no_buckets")
def test_what_a_library_raises_is_told_and_not_printed(
    google: Google, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("google.auth.default", lambda **_: json.loads("{"))
    with pytest.raises(JobError, match="project and region: JSONDecodeError: Expecting property name"):
        dataflow_preflight.check_services(gs_job(), options_here(google, no_auth=False))
    assert capsys.readouterr().err == ""
