"""What every array must be before it is trained on."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from normcraft._core.errors import InputError
from normcraft.data._dataset import Array, Arrays, leaves
from normcraft.data._labels import mapping_text

__all__ = ["check_array", "check_lengths", "check_like_training", "is_text"]


def check_array(name: str, array: Array) -> None:
    """Refuse what is no array of finite real numbers with at least one sample.

    Args:
        name: What the user calls it.
        array: The array.

    Raises:
        InputError: It is text, Python objects, complex, a scalar, empty, or holds NaN or infinity.
    """
    if is_text(array):
        _refuse_text(name, array)
    if array.dtype == object:
        _refuse_objects(name, array)
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"{name} does not hold real numbers",
            received=f"dtype {array.dtype}",
            expected="integers, floats or booleans",
            hint="split complex values into two channels; cast other types to float32",
        )
    if array.ndim == 0:
        raise InputError(
            f"{name} is a single number", received="shape ()", expected="shape (samples, ...)"
        )
    if array.size == 0:
        raise InputError(
            f"{name} is empty", received=f"shape {array.shape}", expected="at least one sample"
        )
    _check_finite(name, array)


def check_lengths(arrays: dict[str, Array]) -> None:
    """Refuse arrays that do not have as many samples as each other.

    Args:
        arrays: Every array of inputs and targets, by name.

    Raises:
        InputError: Two lengths differ.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        many = len(lengths) > 2
        raise InputError(
            "inputs and targets differ in length",
            received=", ".join(f"{length} samples in {name}" for name, length in lengths.items()),
            expected="as many of each",
            hint="a list of arrays is one array an input: numpy.stack joins samples"
            if many
            else None,
        )


def check_like_training(name: str, arrays: Arrays, training: Arrays) -> None:
    """Refuse validation or test arrays that are not shaped like the training arrays.

    Args:
        name: What they are called, for example `"x_test"`.
        arrays: Validation or test arrays.
        training: Training arrays.

    Raises:
        InputError: The names of the inputs or the shape of a sample differ.
    """
    received, expected = (
        {key: array.shape[1:] for key, array in leaves(tree).items()} for tree in (arrays, training)
    )
    if received != expected:
        raise InputError(
            f"{name} is not shaped like the training data",
            received=f"samples of shape {_shapes(received)}",
            expected=_shapes(expected),
        )


def _shapes(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{key} {shape}".strip() for key, shape in shapes.items())


def is_text(array: Array) -> bool:
    """Whether an array holds text, as NumPy's own type or as Python strings.

    Args:
        array: The array.

    Returns:
        True for text.

    Example:
        >>> is_text(np.array(["a", "b"], object)), is_text(np.array([1]))
        (True, False)
    """
    if array.dtype == object:
        return array.size > 0 and all(isinstance(value, str) for value in array.flat)
    return array.dtype.kind in "US"


def _refuse_text(name: str, array: Array) -> NoReturn:
    if not name.startswith("y"):
        raise InputError(
            f"{name} holds text", received=f"dtype {array.dtype}", expected="an array of numbers"
        )
    labels = np.unique(array).tolist()
    raise InputError(
        f"{name} holds text labels",
        received=f"{len(labels)} of them",
        expected="integer labels",
        hint=f"--labels map (labels='map') or numpy.unique({name}, return_inverse=True)[1] numbers "
        f"them: {mapping_text(labels)}",
    )


def _refuse_objects(name: str, array: Array) -> NoReturn:
    shapes = [np.shape(item) for item in array.flat if isinstance(item, np.ndarray)]
    other = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is not None and len(shapes) == array.size:
        raise InputError(
            f"{name} holds samples of several shapes",
            received=f"{shapes[0]} at index 0 and {shapes[other]} at index {other}",
            expected="one shape a sample",
            hint="resize or pad them to one shape, then numpy.stack",
        )
    raise InputError(
        f"{name} holds Python objects",
        received=f"{type(next(array.flat, None)).__name__} objects",
        expected="an array of numbers",
        hint="objects are never unpickled: convert every column to numbers first",
    )


def _check_finite(name: str, array: Array) -> None:
    if array.dtype.kind != "f":
        return
    with np.errstate(invalid="ignore"):
        ends = (
            array.min(),
            array.max(),
        )  # NaN goes through both; no temporary array of the data's size
    if np.isfinite(ends).all():
        return
    bad = ~np.isfinite(array)
    first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), array.shape))
    raise InputError(
        f"{name} holds NaN or infinity",
        received=f"{np.count_nonzero(bad)} such values, the first at index {first}",
        expected="finite numbers",
        hint="drop or fill them first",
    )
