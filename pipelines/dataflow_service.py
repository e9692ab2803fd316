"""What Google's services and the image's registry say of a Dataflow job before it is submitted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import google.auth
import requests
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession, Request

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_GOOGLES = re.compile(r"([a-z0-9-]+\.)?(gcr\.io|pkg\.dev)")
_DOCKER_HUB = "registry-1.docker.io"
_MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)


def refusal_of_jobs(given: Mapping[str, Any], seconds: float) -> str | None:
    """Why Dataflow would take no job of this project in this region; None if it would, or has troubles of its own.

    Asks for the list of jobs: whoever may create them may list them, by each role that Google has for it.

    Args:
      given: Beam's options, sound by `dataflow_preflight.check_settings`.
      seconds: how long to wait for an answer.
    """
    where = f"project {given['project']}, region {given['region']}"
    url = f"{given['dataflow_endpoint']}/v1b3/projects/{given['project']}/locations/{given['region']}/jobs"
    try:
        answer = AuthorizedSession(_credentials(given)).get(url, params={"pageSize": 1}, timeout=seconds)
    except GoogleAuthError as error:
        return f"{where}: no credentials: {_line(error)}; `gcloud auth application-default login` makes some"
    except requests.RequestException as error:
        return f"{where}: {given['dataflow_endpoint']} cannot be reached: {_line(error)}"
    if answer.ok or answer.status_code == 429 or answer.status_code >= 500:
        return None
    return f"{where}: Dataflow takes no job: {_said(answer)}; who submits jobs needs the role roles/dataflow.developer"


def missing_image(given: Mapping[str, Any], seconds: float) -> str | None:
    """Says that the image is not in its registry; None if it is, or nobody here may know.

    Workers have a network and credentials of their own, so only a plain "not found" tells anything. The way to ask is
    the OCI distribution specification's, the tokens are those of Docker's registries.

    Args:
      given: Beam's options, sound by `dataflow_preflight.check_settings`.
      seconds: how long to wait for each answer.
    """
    image = given["sdk_container_image"]
    host, path, version = taken_apart(image)
    scheme = "http" if re.fullmatch(r"(localhost|127\.0\.0\.1)(:\d+)?", host) else "https"
    session = requests.Session()
    session.headers["Accept"] = _MANIFESTS
    url = f"{scheme}://{host}/v2/{path}/manifests/{version}"
    try:
        answer = session.head(url, timeout=seconds, allow_redirects=True)
        if answer.status_code == 401:
            token = _token(session, _login(host, given), answer.headers.get("WWW-Authenticate", ""), seconds)
            answer = session.head(
                url, headers={"Authorization": f"Bearer {token}"}, timeout=seconds, allow_redirects=True
            )
    except (requests.RequestException, ValueError):
        return None
    return f"{image} is not in its registry; push it first" if answer.status_code == 404 else None


def taken_apart(image: str) -> tuple[str, str, str]:
    """Registry, repository, and tag or digest."""
    name, _, digest = image.partition("@")
    host, _, path = name.partition("/")
    if not re.search(r"[.:]|^localhost$", host):  # as docker reads names: the first part is no host
        host, path = _DOCKER_HUB, name
    path, _, tag = path.partition(":")
    return _DOCKER_HUB if host == "docker.io" else host, path, digest or tag


def _token(session: requests.Session, login: tuple[str, str] | None, challenge: str, seconds: float) -> str:
    """What a registry lets this user in with; raises ValueError or RequestException where nothing is to be had."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.startswith("Bearer ") or "realm" not in said:
        raise ValueError("the registry asks for something else than a token")
    wanted = {name: said[name] for name in ("service", "scope") if name in said}
    answer = session.get(said["realm"], params=wanted, auth=login, timeout=seconds)
    answer.raise_for_status()
    found = answer.json()
    return str(found.get("token") or found["access_token"])


def _login(host: str, given: Mapping[str, Any]) -> tuple[str, str] | None:
    """Google's registries know the user's credentials; of others only what is public is seen."""
    if not _GOOGLES.fullmatch(host):
        return None
    try:
        credentials = _credentials(given)
        credentials.refresh(Request())
    except GoogleAuthError:
        return None
    return "oauth2accesstoken", str(credentials.token)


def _credentials(given: Mapping[str, Any]) -> Any:
    """Those that Beam submits the job with: the environment's, or of whom they are to stand in for."""
    if given["no_auth"]:
        return AnonymousCredentials()
    found, _ = google.auth.default(scopes=_SCOPES)
    if not given["impersonate_service_account"]:
        return found
    *delegates, target = given["impersonate_service_account"].split(",")
    return impersonated_credentials.Credentials(found, target, list(_SCOPES), delegates)


def _said(answer: requests.Response) -> str:
    """What an error of a Google service says."""
    try:
        return f"{answer.status_code} {answer.json()['error']['message']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason}"


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
