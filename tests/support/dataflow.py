"""Options of Dataflow jobs, and a job whose places are all in a bucket."""

from __future__ import annotations

from typing import Any

from highbeam.schemas.job import Job
from highbeam.schemas.job_file import parse_job

from tests.support.jobs import JOB

CLOUD: dict[str, Any] = {
    "runner": "DataflowRunner",
    "project": "flights-prod",
    "region": "europe-west4",
    "temp_location": "gs://flights-prod-tmp/highbeam",
    "sdk_container_image": "europe-docker.pkg.dev/flights-prod/images/highbeam:0.1",
}
KINDS: dict[str, dict[str, Any]] = {
    "cpu": {
        "staging_location": "gs://flights-prod-staging/highbeam",
        "machine_type": "n2-standard-8",
        "disk_size_gb": 50,
        "num_workers": 2,
        "max_num_workers": 20,
        "autoscaling_algorithm": "THROUGHPUT_BASED",
        "labels": ["team=ops"],
        "service_account_email": "scorer@flights-prod.iam.gserviceaccount.com",
        "subnetwork": "regions/europe-west4/subnetworks/batch",
        "network": "prod",
        "no_use_public_ips": True,
    },
    "gpu": {
        "machine_type": "g2-standard-4",
        "disk_size_gb": 50,
        "max_num_workers": 4,
        "dataflow_service_options": ["worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver"],
        "number_of_worker_harness_threads": 2,
    },
    "tpu": {
        "machine_type": "ct5lp-hightpu-1t",
        "max_num_workers": 1,
        "resource_hints": ["accelerator=type:tpu-v5-lite-podslice;topology:1x1", "min_ram=32GB"],
        "experiments": ["use_multiple_sdk_containers"],
        "labels": ["highbeam-job=renamed"],
    },
}
GS_JOB = (
    JOB.replace('"data/', '"gs://bucket-of-flights/data/')
    .replace("path: models", "path: gs://bucket-of-flights/models")
    .replace("path: table", "path: gs://bucket-of-flights/table")
)


def gs_job(more: str = "") -> Job:
    return parse_job(GS_JOB + more, "job.yaml")
