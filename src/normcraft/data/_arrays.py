"""Datasets from what a Keras user has in hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from normcraft._core.errors import InputError
from normcraft.data._checks import check_array, check_lengths, check_like_training
from normcraft.data._dataset import Array, Arrays, Dataset, leaves
from normcraft.data._label_coding import code_labels

__all__ = ["as_arrays", "from_arrays"]


def from_arrays(
    x: Any,
    y: Any,
    *,
    validation_data: tuple[Any, Any] | None = None,
    test_data: tuple[Any, Any] | None = None,
    name: str = "arrays",
    labels: str = "auto",
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
        labels: `"auto"` takes targets as they are; `"map"` numbers the distinct values of `y` from
            0 in sorted order, whatever they are (text, gaps); `"numbers"` makes float32 of them,
            to be predicted as numbers even where they could be classes.

    Returns:
        The dataset.

    Raises:
        InputError: Something in it cannot be trained on; the error says what and where.

    Example:
        >>> data = from_arrays([[0.0, 1.0], [2.0, 3.0]], [0, 1])
        >>> data.x_train.shape, data.num_classes
        ((2, 2), 2)
    """  # noqa: DOC502 - raised further down
    given = {"": (x, y), "_validation": validation_data, "_test": test_data}
    pairs = {part: _pair(part, pair) for part, pair in given.items() if pair is not None}
    inputs = {f"x{part}": as_arrays(f"x{part}", pair[0]) for part, pair in pairs.items()}
    targets = {f"y{part}": as_arrays(f"y{part}", pair[1]) for part, pair in pairs.items()}
    coded = code_labels(targets, labels)
    every = inputs | coded.targets
    for part in pairs:
        _check(f"x{part}", f"y{part}", every)
    for key, arrays in every.items():
        check_like_training(key, arrays, every[key[0]])
    x_train, y_train = every.pop("x"), every.pop("y")
    others: dict[str, Any] = dict(every)
    return Dataset(
        name, x_train, y_train, **others, class_names=coded.class_names, notes=coded.notes
    )


def _pair(part: str, pair: Any) -> tuple[Any, Any]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(
            f"{part[1:]}_data is not a pair",
            received=f"{len(pair)} values" if hasattr(pair, "__len__") else type(pair).__name__,
            expected="(x, y)",
        )
    return pair[0], pair[1]


def _check(inputs: str, targets: str, every: dict[str, Arrays]) -> None:
    arrays = {
        f"{name}{key}": array
        for name in (inputs, targets)
        for key, array in leaves(every[name]).items()
    }
    for name, array in arrays.items():
        check_array(name, array)
    check_lengths(arrays)


def as_arrays(name: str, value: Any) -> Arrays:
    """What a user passes as inputs or targets, as NumPy arrays.

    Args:
        name: What the user calls it.
        value: An array, or a dictionary, tuple or list of them.

    Returns:
        One array, or a tuple or dictionary of them.

    Raises:
        InputError: Something in it cannot be read as an array.

    Example:
        >>> as_arrays("x", [np.zeros(2), np.ones(2)])
        (array([0., 0.]), array([1., 1.]))
    """
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
        # PyTorch's tensors may lie on a GPU or belong to a graph.
        return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (
        Exception
    ) as error:  # every library raises its own: tensors on a GPU, ragged lists, symbols
        raise InputError(
            f"{name} cannot be read as one array",
            received=f"{type(value).__name__} ({str(error)[:200]!r})",
            expected="numbers of one shape a sample, in memory",
            hint="convert it with numpy.asarray first",
        ) from error
