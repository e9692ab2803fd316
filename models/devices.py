"""The accelerators of a worker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from .runtime import tf

T = TypeVar("T")


def accelerators() -> list[str]:
    """Names of the devices that are to hold a copy of the model each: GPUs, or else TPUs, or else "", the CPUs.

    GPUs take memory as they need it from then on: TensorFlow would else take all of it at the first call, and nobody
    else of the machine would get any.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        with suppress(RuntimeError):  # it is at work already, and cannot be told any more
            tf.config.experimental.set_memory_growth(gpu, True)
    if tf.config.list_physical_devices("TPU"):
        tf.tpu.experimental.initialize_tpu_system(tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local"))
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU")
    return [device.name for device in found] or [""]


def on_device(device: str, work: Callable[[], T]) -> T:
    """Does work that places its variables, its constants and its calls on a device; "" leaves that to TensorFlow."""
    if not device:
        return work()
    with tf.device(device):
        return work()
