"""Long modules first: with two workers, a long one that begins last leaves a core idle while it ends."""

from __future__ import annotations

import pytest

# In seconds of CPU, more than twenty each, the longest first; `make test ARGS=--durations=0` tells them anew.
LONGEST = [
    "pipelines/test_replay_rows.py",
    "pipelines/test_replay.py",
    "pipelines/test_replay_again.py",
    "pipelines/test_replay_kinds.py",
    "test_commands.py",
    "pipelines/test_analyze.py",
    "examples/test_year.py",
    "pipelines/test_same_bytes.py",
    "docs/test_examples.py",
    "pipelines/test_run.py",
    "pipelines/test_types.py",
    "pipelines/test_stores.py",
    "pipelines/test_stores_commands.py",
    "transforms/tables/test_bigquery.py",
    "pipelines/test_bigquery.py",
    "pipelines/test_bigquery_in.py",
    "examples/test_flight_delay_model.py",
    "examples/test_web_log.py",
    "pipelines/test_dataflow.py",
    "pipelines/test_join.py",
    "transforms/test_convert.py",
    "pipelines/test_sources.py",
    "examples/test_flight_delay.py",
]
_PLACES = {f"tests/{name}": place for place, name in enumerate(LONGEST)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Moves the tests of long modules to the front; all else stays in the order it was found in."""
    items.sort(key=lambda item: _PLACES.get(item.nodeid.partition("::")[0], len(_PLACES)))
