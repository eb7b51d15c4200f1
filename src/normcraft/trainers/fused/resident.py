"""A dataset's arrays on the device, where it holds them, put there once for all trials."""

from __future__ import annotations

from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import jax.numpy as jnp
import keras
import numpy as np

from normcraft.data import Dataset
from normcraft.trainers.fused.device import device_memory

__all__ = ["is_held", "put", "resident"]

PARTS = ("train", "validation", "test")
_PUTTING = Lock()
_PUT: WeakKeyDictionary[Dataset, dict[str, Any]] = WeakKeyDictionary()


def is_held(dataset: Dataset) -> bool:
    """Whether the arrays of a dataset take no more than half of the device's memory.

    Args:
        dataset: The data; of a stream the arrays that judge.

    Returns:
        True where they can be put there.
    """
    parts = (getattr(dataset, f"{xy}_{part}") for xy in "xy" for part in PARTS)
    arrays = keras.tree.flatten([part for part in parts if part is not None])
    return bool(sum(array.nbytes for array in arrays) <= device_memory() // 2)


def resident(dataset: Dataset, part: str) -> tuple[Any, Any]:
    """Inputs and labels of one part of a dataset, on the device.

    Args:
        dataset: The data.
        part: `"train"`, `"validation"` or `"test"`.

    Returns:
        `(x, y)`, floating-point numbers in Keras's `floatx`, as `fit` casts them.
    """
    with _PUTTING:
        held = _PUT.setdefault(dataset, {})
        if part not in held:
            arrays = getattr(dataset, f"x_{part}"), getattr(dataset, f"y_{part}")
            held[part] = keras.tree.map_structure(put, arrays)
    x, y = held[part]
    return x, y


def put(array: Any) -> Any:
    """An array on the device.

    Args:
        array: Numbers.

    Returns:
        Floating-point numbers in Keras's `floatx`, others as JAX takes them.
    """
    array = np.asarray(array)
    return jnp.asarray(array, keras.config.floatx() if array.dtype.kind == "f" else None)
