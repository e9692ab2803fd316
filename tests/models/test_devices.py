"""Accelerators, on a machine without one: the list of devices is made up, and what TensorFlow is told is looked at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from highbeam.models.devices import accelerators, on_device
from highbeam.models.runtime import tf


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What there is of each kind, and what TensorFlow was told of it, in the order it was told."""
    told = SimpleNamespace(GPU=0, TPU=0, grown=[], at_work=False)

    def devices(kind: str) -> list[Any]:
        return [SimpleNamespace(name=f"/device:{kind}:{number}") for number in range(getattr(told, kind))]

    def logical(kind: str) -> list[Any]:
        told.grown.append("looked")  # from here on TensorFlow's devices are set up
        return devices(kind)

    def grow(gpu: Any, enable: bool) -> None:
        if told.at_work:
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        told.grown.append((gpu.name, enable))

    monkeypatch.setattr(tf.config, "list_physical_devices", devices)
    monkeypatch.setattr(tf.config, "list_logical_devices", logical)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", grow)
    return told


def test_each_gpu_takes_memory_as_it_needs_it(machine: SimpleNamespace) -> None:
    machine.GPU = 2
    assert accelerators() == ["/device:GPU:0", "/device:GPU:1"]
    assert machine.grown == [("/device:GPU:0", True), ("/device:GPU:1", True), "looked"]


def test_a_gpu_at_work_is_left_as_it_is(machine: SimpleNamespace) -> None:
    machine.GPU, machine.at_work = 1, True
    assert accelerators() == ["/device:GPU:0"]


def test_tpus_are_set_up_before_they_are_named(machine: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.TPU = 1
    resolver = SimpleNamespace(TPUClusterResolver=lambda tpu: tpu)
    monkeypatch.setattr(tf.distribute, "cluster_resolver", resolver)
    monkeypatch.setattr(tf.tpu.experimental, "initialize_tpu_system", lambda found: machine.grown.append(found))
    assert accelerators() == ["/device:TPU:0"]
    assert machine.grown[0] == "local"


def test_work_is_placed_on_its_device() -> None:
    assert on_device("/device:CPU:0", lambda: tf.constant(1)).device.endswith("CPU:0")
    assert on_device("", lambda: 1) == 1
