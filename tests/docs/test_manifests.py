"""The manifests of docs/runners.md are what Kubernetes takes, by its own schema."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

PAGE = Path(__file__).resolve().parents[2] / "docs" / "runners.md"
MANIFESTS = [
    manifest
    for block in re.findall(r"```yaml \S+\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for manifest in yaml.safe_load_all(block)
    if manifest["apiVersion"] in ("v1", "apps/v1")  # what the operator adds is not Kubernetes' own
]
VERSION = "1.31"


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda found: f"{found['kind']} {found['metadata']['name']}")
def test_kubernetes_would_take_it(manifest: dict[str, object]) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_all_parts_of_a_cluster_are_there() -> None:
    found = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in MANIFESTS]
    parts = ("Service", "flink-jobmanager"), ("Deployment", "flink-jobmanager"), ("Deployment", "flink-taskmanager")
    assert found == [*parts]
