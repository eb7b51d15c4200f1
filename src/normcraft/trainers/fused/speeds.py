"""How fast each form of a layer is on this machine: timed once, then remembered."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from normcraft._core.cache import cache_folder, read_cache, write_cache
from normcraft.trainers.fused.forms import LIBRARY, Form, Place, in_forms, places

__all__ = ["Speeds", "fastest", "measure_speeds"]

Speeds = Mapping[str, Mapping[str, float]]
REPEATS = 3


def measure_speeds(
    models: Iterable[keras.Model], batch_sizes: Iterable[int], known: Speeds
) -> dict[str, dict[str, float]]:
    """Milliseconds that each form of each layer takes, forward and backward.

    Args:
        models: Built models.
        batch_sizes: Samples a step, one for each model.
        known: What was measured before.

    Returns:
        By `Place.key` and name of the form, all that these models need.
    """
    path = _file()
    remembered = read_cache(path) if path else {}
    found: dict[str, dict[str, float]] = {}
    for model, size in zip(models, batch_sizes, strict=True):
        for place in places(model, size):
            if place.key not in found:
                found[place.key] = (
                    _fitting(known, place) or _fitting(remembered, place) or _times(place)
                )
    if path and not found.items() <= remembered.items():
        write_cache(path, {**remembered, **found})
    return found


def fastest(place: Place, speeds: Speeds) -> Form | None:
    """The fastest form of a place.

    Args:
        place: The place.
        speeds: What was measured.

    Returns:
        A form of our own; None where the library's is fastest or nothing was measured.
    """
    times = _fitting(speeds, place)
    if times is None:
        return None
    return place.forms.get(min(times, key=lambda name: times[name]))


def _fitting(speeds: Speeds, place: Place) -> dict[str, float] | None:
    # What a cache holds may be of another version, or anything.
    times = speeds.get(place.key)
    if not isinstance(times, Mapping) or set(times) != {LIBRARY, *place.forms}:
        return None
    return dict(times) if all(isinstance(value, float) for value in times.values()) else None


def _file() -> Path | None:
    folder = cache_folder("forms")
    if folder is None:
        return None
    machine = jax.__version__, platform.machine(), _processor(), _cores()
    return folder / f"{hashlib.sha256(repr(machine).encode()).hexdigest()[:16]}.json"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("model name")), "")


def _times(place: Place) -> dict[str, float]:
    return {name: _time(place, form) for name, form in [(LIBRARY, None), *place.forms.items()]}


def _time(place: Place, form: Form | None) -> float:
    x = jnp.asarray(np.random.default_rng(0).normal(size=place.shape), place.layer.compute_dtype)
    values = [jnp.asarray(variable.value) for variable in place.layer.variables]
    gradient = jax.jit(jax.grad(_loss_of(place, form), argnums=(0, 1)))
    jax.block_until_ready(gradient(values, x))
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        jax.block_until_ready(gradient(values, x))
        times.append(1000 * (time.perf_counter() - started))
    return min(times)


def _loss_of(place: Place, form: Form | None) -> Callable[[list[Any], Any], Any]:
    chosen = [] if form is None else [(place.layer, place.attribute, form)]

    def loss(values: list[Any], x: Any) -> Any:
        pairs = zip(place.layer.variables, values, strict=True)
        with in_forms(chosen), keras.StatelessScope(state_mapping=list(pairs)):
            return jnp.sum(jnp.square(place.layer(x)).astype("float32"))

    return loss
