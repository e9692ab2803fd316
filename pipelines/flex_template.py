"""The Dataflow Flex Template: its launcher's main file, and the metadata that declares the parameters.

python -m highbeam.pipelines.flex_template > metadata.json     what `gcloud dataflow flex-template build` takes
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

_BEAM = {
    "sdk_container_image": "Image of the workers, with a tag",
    "machine_type": "Compute Engine machine type of the workers",
    "number_of_worker_harness_threads": "Threads of a worker; one a core without it",
    "dataflow_service_options": "For example worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver",
    "resource_hints": "For example accelerator=type:tpu-v5-lite-podslice;topology:1x1",
}
"""Beam's options that a template must declare to take them as parameters; others are the launch's own environment."""
_FORMS = {"date": r"\d{4}-\d{2}-\d{2}|today|yesterday", "force": "true|false", "detach": "true|false"}


def metadata() -> dict[str, Any]:
    """The template's metadata: each flag of `highbeam.pipelines.predict`, then options of Beam."""
    from .predict import arguments

    ours = [_parameter(flag) for flag in arguments()._actions if flag.dest != "help"]
    beam = [_described(name, text, optional=True) for name, text in _BEAM.items()]
    return {
        "name": "Highbeam",
        "description": "Scores a night's data with a model and publishes it, once.",
        "parameters": ours + beam,
    }


def _parameter(flag: argparse.Action) -> dict[str, Any]:
    return _described(flag.dest, str(flag.help), optional=not flag.required)


def _described(name: str, text: str, optional: bool) -> dict[str, Any]:
    parameter = {"name": name, "label": text.partition(",")[0][:80], "helpText": text, "isOptional": optional}
    return parameter | ({"regexes": [f"^({_FORMS[name]})$"]} if name in _FORMS else {})


def main() -> int:
    """Launches the job, with the flags of `predict`; prints the metadata when there are none."""
    if not sys.argv[1:]:
        sys.stdout.write(json.dumps(metadata(), indent=2) + "\n")
        return 0
    from .predict import main as launch

    return launch()


if __name__ == "__main__":
    from highbeam.pipelines.flex_template import main as imported_main  # the launcher starts this file by its path

    sys.exit(imported_main())
