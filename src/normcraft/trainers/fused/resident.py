"""A dataset's arrays on the device, put there once for all trials."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import jax.numpy as jnp
import keras
import numpy as np

from normcraft.data import Dataset

__all__ = ["put", "resident"]

_PUT: WeakKeyDictionary[Dataset, dict[str, Any]] = WeakKeyDictionary()


def resident(dataset: Dataset, part: str) -> tuple[Any, Any]:
    """Inputs and labels of one part of a dataset, on the device.

    Args:
        dataset: The data.
        part: `"train"`, `"validation"` or `"test"`.

    Returns:
        `(x, y)`, floating-point numbers in Keras's `floatx`, as `fit` casts them.
    """
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
