"""A Flink cluster on this machine: JobManager, TaskManager, Beam's job server and a pool of Python workers.

Each is a process of its own, as in production. The jars come from Maven (flink_pom.xml); HIGHBEAM_FLINK names the
folder they lie in.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support import namespaces
from tests.support.processes import Process, free_port, listening, wait_for

JARS = os.environ.get("HIGHBEAM_FLINK", "")
HERE = Path(__file__).resolve().parent
LOCAL_MASTER = "[local]"
SLOTS = 2
SECONDS = 180
"""What a part may take to start, on a machine that has other things to do."""

_MISSING = "HIGHBEAM_FLINK does not name a folder with the jars of tests/support/flink_pom.xml, or there is no java"
needs_flink = pytest.mark.skipif(not (JARS and shutil.which("java")), reason=_MISSING)

# What Flink's own start scripts give a JVM from Java 17 on.
_OPENS = ("java.lang", "java.net", "java.io", "java.nio", "java.util", "java.util.concurrent", "sun.nio.ch")
_JVM = [
    "java",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
]
_JVM += [f"--add-opens=java.base/{'.'.join(package.split('.'))}=ALL-UNNAMED" for package in _OPENS]

_SIZES: dict[str, object] = {
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "64m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "64m",
    "taskmanager.memory.jvm-overhead.max": "64m",
    "taskmanager.memory.task.heap.size": "512m",
    "taskmanager.memory.task.off-heap.size": "64m",
    "taskmanager.memory.managed.size": "64m",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
    "taskmanager.network.sort-shuffle.min-buffers": 64,
    "heartbeat.interval": 1000,
    "heartbeat.timeout": 5000,
}


def jvm(main: str, *arguments: str, memory: str = "512m") -> list[str]:
    """The command that runs a class of Flink or Beam."""
    return [*_JVM, f"-Xmx{memory}", "-cp", f"{JARS}/*", main, *arguments]


def worker_pool(folder: Path, port: int, name: str = "pool", where: str = "") -> Process:
    """Starts what starts Python workers when a TaskManager asks for them; in a network namespace, if one is named."""
    boot = folder / f"{name}-boot"
    boot.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "flink_worker.py"}" "$@"\n')
    boot.chmod(0o755)
    module = "apache_beam.runners.worker.worker_pool_main"
    command = [sys.executable, "-m", module, f"--service_port={port}", f"--container_executable={boot}"]
    return Process(name, _inside(where, command), folder)


def _inside(where: str, command: list[str]) -> list[str]:
    return ["ip", "netns", "exec", where, *command] if where else command


def job_server(folder: Path, master: str) -> tuple[Process, int]:
    """Starts Beam's job server for a Flink; gives its process and its port."""
    port = free_port()
    ports = [f"--job-port={port}", "--artifact-port=0", "--expansion-port=0"]
    driver = str(HERE / "FlinkJobServer.java")
    command = jvm(driver, f"--flink-master={master}", f"--artifacts-dir={folder / 'artifacts'}", *ports, memory="1g")
    return Process("job-server", command, folder), port


@dataclass
class Cluster:
    """A session cluster.

    Attributes:
      folder: configuration and logs.
      rest: Flink's REST port.
      pool_port: where the TaskManager finds its workers.
      slots: of the TaskManager.
      retries: how often a job that failed starts afresh; Flink's own rule for a batch job is never.
      machines: addresses of network namespaces by name, each to hold a TaskManager and its pool; without any, all
        listen on localhost, and there is one of each.
      endpoint: of the job server.
    """

    folder: Path
    rest: int = field(default_factory=free_port)
    pool_port: int = field(default_factory=free_port)
    slots: int = SLOTS
    retries: int = 0
    machines: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""
    processes: dict[str, Process] = field(default_factory=dict)
    rpc: int = field(default_factory=free_port)

    @property
    def host(self) -> str:
        """Where JobManager and job server are found."""
        return namespaces.gateway(self.machines) if self.machines else "localhost"

    def start(self) -> None:
        """Starts all parts, and waits until they stand."""
        self.start_manager()
        for where in self.machines or [""]:
            self.start_task_manager(where)
            self.start_pool(where)
        self.processes["job-server"], port = job_server(self.folder, f"{self.host}:{self.rest}")
        self.endpoint = f"localhost:{port}"
        wait_for(lambda: listening(port), self.processes["job-server"], SECONDS)
        for where, host in (self.machines or {"": "127.0.0.1"}).items():
            wait_for(partial(listening, self.pool_port, host), self.processes[f"pool{where}"], SECONDS)
        slots = self.slots * max(1, len(self.machines))
        wait_for(lambda: self.slots_there() == slots, self.processes["job-manager"], SECONDS)

    def configured(self, host: str) -> str:
        """The folder with flink-conf.yaml for a part that is found at an address."""
        settings: dict[str, object] = {
            "jobmanager.rpc.address": self.host,
            "jobmanager.rpc.port": self.rpc,
            "rest.address": self.host,
            "rest.port": self.rest,
            "blob.server.port": 0,
            "taskmanager.host": host,
            "taskmanager.numberOfTaskSlots": self.slots,
            "taskmanager.cpu.cores": self.slots,
            "io.tmp.dirs": str(self.folder),
            **_SIZES,
        }
        if self.machines:
            settings |= {f"{part}.bind-host": "0.0.0.0" for part in ("jobmanager", "taskmanager")}
            settings["rest.bind-address"] = "0.0.0.0"
        if self.retries:
            settings |= {
                "restart-strategy.type": "fixed-delay",
                "restart-strategy.fixed-delay.attempts": self.retries,
                "restart-strategy.fixed-delay.delay": "3 s",
            }
        folder = self.folder / host
        folder.mkdir(exist_ok=True)
        (folder / "flink-conf.yaml").write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))
        return str(folder)

    def start_manager(self) -> None:
        """Starts the JobManager."""
        main = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        command = jvm(main, "--configDir", self.configured(self.host))
        self.processes["job-manager"] = Process("job-manager", command, self.folder)

    def start_task_manager(self, where: str = "") -> None:
        """Starts a TaskManager."""
        main, name = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner", f"task-manager{where}"
        folder = self.configured(self.machines.get(where, "localhost"))
        command = jvm(main, "--configDir", folder, memory="768m")
        self.processes[name] = Process(name, _inside(where, command), self.folder)

    def start_pool(self, where: str = "") -> None:
        """Starts a TaskManager's pool of Python workers."""
        self.processes[f"pool{where}"] = worker_pool(self.folder, self.pool_port, f"pool{where}", where)

    def flags(self, parallelism: int = SLOTS) -> list[str]:
        """Beam's flags for a run on the cluster."""
        external = ["--environment_type=EXTERNAL", f"--environment_config=localhost:{self.pool_port}"]
        return ["--runner=FlinkRunner", f"--job_endpoint={self.endpoint}", f"--parallelism={parallelism}", *external]

    def workers(self, where: str = "") -> int:
        """How many workers a TaskManager has asked its pool for."""
        return (self.folder / f"pool{where}.log").read_text("utf-8", "replace").count("Starting worker with command")

    def ask(self, path: str) -> Any:
        """What Flink's REST interface says."""
        with urllib.request.urlopen(f"http://{self.host}:{self.rest}/{path}", timeout=10) as answer:
            return json.load(answer)

    def slots_there(self) -> int:
        """Slots of all TaskManagers that have come; none while the JobManager starts, which answers 503 for a while."""
        try:
            return int(self.ask("overview")["slots-total"])
        except OSError:
            return 0

    def kill(self, name: str) -> None:
        """Kills one of the processes, and all it started."""
        self.processes.pop(name).kill()

    def stop(self) -> None:
        """Kills them all."""
        for name in list(self.processes):
            self.kill(name)


@contextmanager
def cluster(
    folder: Path, slots: int = SLOTS, retries: int = 0, machines: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """A cluster for as long as the block runs."""
    made = Cluster(folder, slots=slots, retries=retries, machines=machines or {})
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def flink_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that tests share."""
    with cluster(tmp_path_factory.mktemp("flink")) as made:
        yield made


@pytest.fixture(scope="session")
def flink_machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two machines that tests share, with a TaskManager and its pool on each; a job that fails starts afresh."""
    with (
        namespaces.namespaces(2) as machines,
        cluster(tmp_path_factory.mktemp("flink"), slots=1, retries=10, machines=machines) as made,
    ):
        yield made


@pytest.fixture(scope="session")
def flink_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The flags for a Flink inside of a job server, with the workers in the driver's process."""
    process, port = job_server(tmp_path_factory.mktemp("flink"), LOCAL_MASTER)
    try:
        wait_for(lambda: listening(port), process, SECONDS)
        flags = ["--runner=FlinkRunner", f"--job_endpoint=localhost:{port}", f"--parallelism={SLOTS}"]
        yield [*flags, "--environment_type=LOOPBACK"]
    finally:
        process.kill()
