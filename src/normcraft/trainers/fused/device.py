"""The device that JAX computes on."""

from __future__ import annotations

import jax

from normcraft._core.memory import physical_memory

__all__ = ["device_memory", "on_cpu"]


def on_cpu() -> bool:
    """Whether it is a processor, and no accelerator.

    Returns:
        False on a GPU or TPU.
    """
    return bool(jax.default_backend() == "cpu")


def device_memory() -> int:
    """Bytes of memory that the device has.

    Returns:
        What JAX says; of a processor, the machine's.
    """
    known = jax.devices()[0].memory_stats() or {}
    return int(known.get("bytes_limit", physical_memory()))
