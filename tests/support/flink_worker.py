#!/usr/bin/env python3
"""Starts one Python worker as Beam's container would; a worker pool runs this for each worker asked for."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

import grpc
from apache_beam.portability.api import beam_provision_api_pb2 as provision
from apache_beam.portability.api import beam_provision_api_pb2_grpc as provision_grpc
from apache_beam.portability.api import endpoints_pb2
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, text_format

SECONDS = 30


def told(endpoint: str, worker_id: str) -> provision.ProvisionInfo:
    """What the runner tells a worker of the job."""
    with grpc.insecure_channel(endpoint) as channel:
        service = provision_grpc.ProvisionServiceStub(channel)
        asked = provision.GetProvisionInfoRequest()
        return service.GetProvisionInfo(asked, metadata=[("worker_id", worker_id)], timeout=SECONDS).info


def service(url: str) -> str:
    """An endpoint as the worker reads it from its environment."""
    return str(text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url)))


def main() -> None:
    """Becomes the worker."""
    parser = argparse.ArgumentParser()
    for name in ("id", "logging_endpoint", "provision_endpoint", "control_endpoint"):
        parser.add_argument(f"--{name}", default="")
    asked, _ = parser.parse_known_args()
    info = told(asked.provision_endpoint, asked.id)
    settings = {
        "WORKER_ID": asked.id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "SEMI_PERSISTENT_DIRECTORY": tempfile.gettempdir(),
        "LOGGING_API_SERVICE_DESCRIPTOR": service(asked.logging_endpoint or info.logging_endpoint.url),
        "CONTROL_API_SERVICE_DESCRIPTOR": service(asked.control_endpoint or info.control_endpoint.url),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }
    os.environ.update(settings)
    os.environ.pop("TF_NUM_INTRAOP_THREADS", None)  # the tests' own; elsewhere a worker has only what a run sets
    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
