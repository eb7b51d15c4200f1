"""Datasets from what a Keras user has in hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from normcraft._core.errors import InputError
from normcraft.data._checks import check_array, check_lengths, check_like_training
from normcraft.data._dataset import Array, Arrays, Dataset, leaves

__all__ = ["from_arrays"]


def from_arrays(
    x: Any,
    y: Any,
    *,
    validation_data: tuple[Any, Any] | None = None,
    test_data: tuple[Any, Any] | None = None,
    name: str = "arrays",
) -> Dataset:
    """A dataset of the arrays that `Model.fit` would take, checked before any training.

    Arrays are held as they are, not copied. A tuple, list or dictionary of arrays is one array an
    input (or output), as in Keras.

    Args:
        x: Inputs, shape (samples, ...): NumPy arrays, nested lists, or whatever NumPy can read as
            an array (pandas, JAX, TensorFlow, PyTorch on the CPU).
        y: Targets, shape (samples, ...), numeric.
        validation_data: `(x, y)` to validate on; None lets every seed draw its own split.
        test_data: `(x, y)` that only report.
        name: What to call it.

    Returns:
        The dataset.

    Raises:
        InputError: Something in it cannot be trained on; the error says what and where.

    Example:
        >>> data = from_arrays([[0.0, 1.0], [2.0, 3.0]], [0, 1])
        >>> data.x_train.shape, data.num_classes
        ((2, 2), 2)
    """
    x_train, y_train = _pair(x, y, "")
    others: dict[str, Any] = {}
    for part, pair in (("validation", validation_data), ("test", test_data)):
        if pair is None:
            continue
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InputError(
                f"{part}_data is not a pair",
                received=f"{len(pair)} values" if hasattr(pair, "__len__") else type(pair).__name__,
                expected="(x, y)",
            )
        x_part, y_part = _pair(*pair, f"_{part}")
        check_like_training(f"x_{part}", x_part, x_train)
        check_like_training(f"y_{part}", y_part, y_train)
        others |= {f"x_{part}": x_part, f"y_{part}": y_part}
    return Dataset(name, x_train, y_train, **others)


def _pair(x: Any, y: Any, suffix: str) -> tuple[Arrays, Arrays]:
    names = f"x{suffix}", f"y{suffix}"
    inputs, targets = _arrays(names[0], x), _arrays(names[1], y)
    every = {
        f"{name}{key}": array
        for name, arrays in zip(names, (inputs, targets), strict=True)
        for key, array in leaves(arrays).items()
    }
    for key, array in every.items():
        check_array(key, array)
    check_lengths(every)
    return inputs, targets


def _arrays(name: str, value: Any) -> Arrays:
    if isinstance(value, Mapping):
        if not value or not all(isinstance(key, str) for key in value):
            raise InputError(
                f"{name} is a dictionary without arrays by name",
                received=f"the keys {list(value)!r}",
                expected="one array under the name of every input or output",
            )
        return {key: _array(f"{name}[{key!r}]", item) for key, item in value.items()}
    # A sequence of arrays has one entry an input, as in Keras; any other one holds the samples.
    if isinstance(value, list | tuple) and value and all(_has_axes(item) for item in value):
        return tuple(_array(f"{name}[{index}]", item) for index, item in enumerate(value))
    return _array(name, value)


def _has_axes(value: Any) -> bool:
    return len(getattr(value, "shape", ())) > 0


def _array(name: str, value: Any) -> Array:
    try:
        return np.asarray(value)
    except (
        Exception
    ) as error:  # every library raises its own: tensors on a GPU, ragged lists, symbols
        raise InputError(
            f"{name} cannot be read as one array",
            received=f"{type(value).__name__} ({str(error)[:200]!r})",
            expected="numbers of one shape a sample, in memory",
            hint="convert it with numpy.asarray first",
        ) from error
