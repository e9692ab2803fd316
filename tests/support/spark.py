"""Beam's job server for Spark with a local Spark in it, from Maven's jars (spark_pom.xml) in HIGHBEAM_SPARK."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.support.processes import Process, free_port, listening, wait_for

JARS = os.environ.get("HIGHBEAM_SPARK", "")
_MISSING = "HIGHBEAM_SPARK does not name a folder with the jars of tests/support/spark_pom.xml, or there is no java"
needs_spark = pytest.mark.skipif(not (JARS and shutil.which("java")), reason=_MISSING)

# What Spark's own start scripts give a JVM from Java 17 on.
_OPENS = ["java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util"]
_OPENS += ["java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch", "sun.util.calendar"]


@pytest.fixture(scope="session")
def spark_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The flags for a local Spark, with the workers in the driver's process."""
    folder, port = tmp_path_factory.mktemp("spark"), free_port()
    command = ["java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Djava.io.tmpdir={folder}"]
    command += [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENS]
    command += ["-cp", f"{JARS}/*", "org.apache.beam.runners.spark.SparkJobServerDriver"]
    command += ["--spark-master-url=local[2]", f"--artifacts-dir={folder / 'artifacts'}"]
    command += [f"--job-port={port}", "--artifact-port=0", "--expansion-port=0"]
    process = Process("job-server", command, folder)
    try:
        wait_for(lambda: listening(port), process)
        yield ["--runner=SparkRunner", f"--job_endpoint=localhost:{port}", "--environment_type=LOOPBACK"]
    finally:
        process.kill()
