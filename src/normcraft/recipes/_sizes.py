"""The sizes that recipes take, checked before anything is built."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import keras

from normcraft._core.errors import InputError

__all__ = [
    "check_activation",
    "check_classes",
    "check_image",
    "check_rate",
    "check_size",
    "check_sizes",
]


def check_size(name: str, value: Any, *, least: int = 1) -> int:
    """A whole number that a layer's size can be.

    Args:
        name: Name of the parameter.
        value: What was given.
        least: The smallest value that makes sense.

    Returns:
        The number.

    Raises:
        InputError: It is no whole number, or too small.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(
            f"{name} cannot be used",
            received=repr(value),
            expected=f"a whole number of at least {least}",
        )
    return int(value)


def check_classes(value: Any) -> int:
    """A number of classes.

    Returns:
        The number, 2 or more.
    """
    return check_size("classes", value, least=2)


def check_sizes(name: str, values: Any, *, length: int | None = None) -> tuple[int, ...]:
    """Sizes of several layers.

    Args:
        name: Name of the parameter.
        values: What was given.
        length: How many there must be; None for any number from one on.

    Returns:
        The sizes.

    Raises:
        InputError: It is no sequence of that length, or one of them is no size.
    """
    count = len(values) if _is_sequence(values) else 0
    if count == 0 or length not in {None, count}:
        raise InputError(
            f"{name} cannot be used",
            received=repr(values),
            expected=f"a tuple of {length or 'one or more'} whole numbers",
        )
    return tuple(check_size(name, value) for value in values)


def check_image(shape: Any, *, smallest: int) -> tuple[int, int, int]:
    """The shape of one image.

    Args:
        shape: What was given.
        smallest: Height and width below which nothing would be left for the last layers.

    Returns:
        (height, width, channels).

    Raises:
        InputError: It is no such shape, or too small for the network.
    """
    sizes = [int(n) for n in shape if isinstance(n, Integral)] if _is_sequence(shape) else []
    if len(sizes) != 3 or len(shape) != 3 or min(sizes) < 1:
        raise InputError(
            "input_shape cannot be used",
            received=repr(shape),
            expected="(height, width, channels), whole numbers of at least 1",
        )
    height, width, channels = sizes
    if min(height, width) < smallest:
        raise InputError(
            "the images are too small for this network's convolutions and pooling",
            received=f"{height} x {width}",
            expected=f"at least {smallest} x {smallest}",
            hint="digits_cnn takes images from 4 x 4 on" if smallest > 4 else None,
        )
    return height, width, channels


def check_rate(name: str, value: Any, *, below: float = math.inf) -> float:
    """A rate: above zero for a learning rate, from zero to below one for dropout.

    Args:
        name: Name of the parameter.
        value: What was given.
        below: Upper limit, itself excluded; 1 also allows zero.

    Returns:
        The number.

    Raises:
        InputError: It is no number, or outside these limits.
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not (0 < value < below or (below == 1 and value == 0)):
        raise InputError(
            f"{name} cannot be used",
            received=repr(value),
            expected="a number from 0 to below 1" if below == 1 else "a finite number above 0",
        )
    return float(value)


def check_activation(name: Any) -> str:
    """The name of a Keras activation.

    Args:
        name: What was given.

    Returns:
        The name.

    Raises:
        InputError: Keras has no activation of that name.
    """
    if not isinstance(name, str) or not _is_activation(name):
        raise InputError(
            "unknown activation",
            received=repr(name),
            expected="the name of a Keras activation, for example 'relu', 'sigmoid' or 'tanh'",
        )
    return name


def _is_activation(name: str) -> bool:
    try:
        return callable(keras.activations.get(name))
    except (TypeError, ValueError):
        return False


def _is_sequence(value: Any) -> bool:
    return isinstance(value, tuple | list)
