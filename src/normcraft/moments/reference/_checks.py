"""What the reference takes: arrays with channels, one scale and shift a channel, masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from normcraft._core.errors import InputError

__all__ = ["array_and_axis", "channel_parameter", "mask_of", "own_axis"]

Array = np.ndarray[Any, np.dtype[Any]]


def array_and_axis(x: Any, axis: int) -> tuple[Array, int]:
    """An input in float64, and the axis of its channels.

    Args:
        x: The input.
        axis: The axis, which may be negative.

    Returns:
        The array, and the axis counted from the front.

    Raises:
        InputError: If there is no batch beside the channels, or no such axis.
    """
    x = np.asarray(x, "float64")
    if x.ndim < 2:
        raise InputError(
            "normalization needs a batch and channels",
            received=f"an array of rank {x.ndim}",
            expected="rank 2 or more",
        )
    if not -x.ndim <= axis < x.ndim:
        raise InputError(
            "the input has no such axis",
            received=f"axis {axis} for shape {x.shape}",
            expected=f"an axis from {-x.ndim} to {x.ndim - 1}",
        )
    return x, axis % x.ndim


def own_axis(x: Any, axis: int, kind: str) -> tuple[Array, int]:
    """The same for a kind that keeps samples apart, and so needs channels on another axis.

    Args:
        x: The input.
        axis: The axis of the channels, which may be negative.
        kind: How an error calls the kind.

    Returns:
        The array, and the axis counted from the front.

    Raises:
        InputError: If the channels are on the axis of the batch, and as `array_and_axis` does.
    """
    x, axis = array_and_axis(x, axis)
    if axis == 0:
        raise InputError(
            f"{kind} takes axis 0 for the batch",
            received="axis 0 for the channels",
            expected="another one",
        )
    return x, axis


def channel_parameter(name: str, value: Any, channels: int, default: float) -> Array:
    """One number a channel.

    Args:
        name: How an error calls it.
        value: The numbers; None for the default.
        channels: How many channels there are.
        default: What None stands for.

    Returns:
        Float64 of shape (channels,).

    Raises:
        InputError: If it has another shape.
    """
    if value is None:
        return np.full(channels, default)
    numbers: Array = np.asarray(value, "float64")
    if numbers.shape != (channels,):
        raise InputError(
            f"{name} does not fit the channels",
            received=f"shape {numbers.shape}",
            expected=f"shape ({channels},)",
        )
    return numbers


def mask_of(mask: Any, shape: tuple[int, ...]) -> Array | None:
    """A mask with the last axis that Keras gives it.

    Args:
        mask: True for what counts; one axis less than the input, each of its size or 1.
        shape: Shape of the input.

    Returns:
        A boolean array of the input's shape, but 1 for the last axis; None for no mask.

    Raises:
        InputError: If it does not broadcast over all axes but the last.
    """
    if mask is None:
        return None
    mask = np.asarray(mask, "bool")
    fits = mask.ndim == len(shape) - 1 and all(
        have in {1, want} for have, want in zip(mask.shape, shape, strict=False)
    )
    if not fits:
        raise InputError(
            "the mask does not fit the input",
            received=f"shape {mask.shape}",
            expected=f"shape {shape[:-1]}, or 1 in place of some sizes",
            hint="a mask has one axis less than its input, and holds for all of its last axis",
        )
    return np.asarray(np.broadcast_to(mask[..., None], (*shape[:-1], 1)))
