"""Settings that hold for every test."""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.support.flink import flink_cluster, flink_local, flink_machines  # noqa: F401 - fixtures for every test
from tests.support.gcs import gcs_bucket, gcs_server  # noqa: F401
from tests.support.google_services import google  # noqa: F401
from tests.support.order import pytest_collection_modifyitems  # noqa: F401 - a hook
from tests.support.s3 import bucket, s3_server  # noqa: F401
from tests.support.spark import spark_local  # noqa: F401

# Before anything imports TensorFlow: its start-up chatter drowns what a failing test has to say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# A run sets this for itself, too late where a test before it has trained or called a model: an operation that is cut
# up over cores gives other last bits.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

NO_SKIPS = bool(os.environ.get("HIGHBEAM_NO_SKIPS"))

# Two busy cores make any deadline a coin toss. CI draws the same examples each time, so that the
# same commit gets the same verdict; at a desk every run looks at new ones.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if NO_SKIPS else "desk")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What runs keep for the next one, copies of side tables say, does not outlive the tests."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


def as_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turns a skipped report into a failed one; expected failures stay what they are."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}: HIGHBEAM_NO_SKIPS is set, so install what this test needs"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test is a failure where nothing may be missing."""
    report = yield
    if NO_SKIPS:
        as_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file that skips itself."""
    report = yield
    if NO_SKIPS:
        as_failure(report)
    return report
