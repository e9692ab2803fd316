"""What Google's services and the image's registry say of a Dataflow job before it is submitted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import google.auth
import requests
from apache_beam.options.pipeline_options import GoogleCloudOptions
from google.auth import impersonated_credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import Request
from requests.auth import AuthBase

from ..schemas.errors import first_line

_GOOGLES = re.compile(r"([a-z0-9-]+\.)?(gcr\.io|pkg\.dev)")
_DOCKER_HUB = "registry-1.docker.io"
_UNKNOWN = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN")
_MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)


class _Bearer(AuthBase):
    """A token in each call; a plain header would give way to what a ~/.netrc says."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def refusal_of_jobs(given: Mapping[str, Any], seconds: float) -> str | None:
    """Why Dataflow does not show the jobs of this project in this region; None if it does, or has troubles of its own.

    Who may create jobs may list them, by each role that Google has for it. A wrong project or region, an API that is
    not enabled, and credentials that are none show in the same call.

    Args:
      given: Beam's options, sound by `dataflow_preflight.check_settings`.
      seconds: how long to wait for an answer.
    """
    where = f"project {given['project']}, region {given['region']}"
    endpoint = _endpoint(given)
    url = f"{endpoint}/v1b3/projects/{given['project']}/locations/{given['region']}/jobs"
    try:
        token = None if given["no_auth"] else _access_token(given)
        auth = _Bearer(token) if token else None
        answer = requests.get(url, params={"pageSize": 1}, auth=auth, timeout=seconds)
    except DefaultCredentialsError as error:
        return f"{where}: {_line(error)}; `gcloud auth application-default login` makes credentials"
    except GoogleAuthError as error:
        return f"{where}: no access by these credentials: {_line(error)}"
    except requests.RequestException as error:
        return f"{where}: {endpoint} cannot be reached: {_line(error)}"
    if answer.ok or answer.status_code == 429 or answer.status_code >= 500:
        return None
    return f"{where}: Dataflow shows no jobs: {_said(answer)}; who submits jobs needs the role roles/dataflow.developer"


def _endpoint(given: Mapping[str, Any]) -> str:
    """Where Dataflow is, as Beam reads that option: with or without a scheme and a slash, or nothing."""
    said = (given["dataflow_endpoint"] or "").strip().rstrip("/") or GoogleCloudOptions.DATAFLOW_ENDPOINT
    return said if "://" in said else f"https://{said}"


def missing_image(given: Mapping[str, Any], seconds: float) -> str | None:
    """Says that the image is not in its registry; None if it is, or nobody here may know.

    Workers have a network and credentials of their own, so only a registry's own "unknown" tells anything. The way to
    ask is the OCI distribution specification's, the tokens are those of Docker's registries.

    Args:
      given: Beam's options, sound by `dataflow_preflight.check_settings`.
      seconds: how long to wait for all answers.
    """
    image = given["sdk_container_image"]
    host, path, version = taken_apart(image)
    scheme = "http" if re.fullmatch(r"(localhost|127\.0\.0\.1)(:\d+)?", host) else "https"
    session, patience = requests.Session(), seconds / 5  # four calls, and one for credentials
    session.headers["Accept"] = _MANIFESTS
    url = f"{scheme}://{host}/v2/{path}/manifests/{version}"
    try:
        answer = session.head(url, timeout=patience)
        if answer.status_code == 401:
            token = _token(session, _login(host, given), answer.headers.get("WWW-Authenticate", ""), patience)
            session.auth = _Bearer(token)
            answer = session.head(url, timeout=patience)
        if answer.status_code != 404 or session.get(url, timeout=patience).json()["errors"][0]["code"] not in _UNKNOWN:
            return None
    except (requests.RequestException, ValueError, LookupError, TypeError):
        return None
    return f"{image} is not in its registry; push it first"


def taken_apart(image: str) -> tuple[str, str, str]:
    """Registry, repository, and tag or digest."""
    name, _, digest = image.partition("@")
    host, _, path = name.partition("/")
    if not re.search(r"[.:]|^localhost$", host):  # as docker reads names: the first part is no host
        host, path = _DOCKER_HUB, name
    path, _, tag = path.partition(":")
    return _DOCKER_HUB if host == "docker.io" else host, path, digest or tag


def _token(session: requests.Session, login: tuple[str, str] | None, challenge: str, seconds: float) -> str:
    """What a registry lets this user in with; raises what `missing_image` foresees where nothing is to be had."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.startswith("Bearer ") or "realm" not in said:
        raise ValueError("the registry asks for something else than a token")
    wanted = {name: said[name] for name in ("service", "scope") if name in said}
    answer = session.get(said["realm"], params=wanted, auth=login, timeout=seconds)
    answer.raise_for_status()
    found = answer.json()
    return str(found["token"] if "token" in found else found["access_token"])


def _login(host: str, given: Mapping[str, Any]) -> tuple[str, str] | None:
    """Google's registries know the user's credentials; of others only what is public is seen."""
    if given["no_auth"] or not _GOOGLES.fullmatch(host):
        return None
    try:
        return "oauth2accesstoken", _access_token(given)
    except GoogleAuthError:
        return None


def _access_token(given: Mapping[str, Any]) -> str:
    """A token of whom Beam submits the job as: the environment's credentials, or whom they are to stand in for."""
    scopes = given["gcp_oauth_scopes"]
    credentials: Any = google.auth.default(scopes=scopes)[0]
    if given["impersonate_service_account"]:
        *delegates, target = given["impersonate_service_account"].split(",")
        stand_in: Any = impersonated_credentials.Credentials  # which has no types
        credentials = stand_in(credentials, target, scopes, delegates)
    credentials.refresh(Request())
    return str(credentials.token)


def _said(answer: requests.Response) -> str:
    """What an error of a Google service says."""
    try:
        return f"{answer.status_code} {answer.json()['error']['message']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason}"


def _line(error: BaseException) -> str:
    """What an error says, to stand inside of a sentence."""
    return first_line(error).rstrip(".")
