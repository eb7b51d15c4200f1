"""The last step of all kinds: y = γ·x̂ + β, with one γ and one β a channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from normcraft.moments.reference._checks import channel_parameter
from normcraft.moments.reference._standardize import Standardized
from normcraft.moments.reference.normalized import Gradients, Normalized

__all__ = ["along", "scale_and_shift"]

Array = np.ndarray[Any, np.dtype[Any]]


def along(values: Array, axis: int, rank: int) -> Array:
    """Values of channels, in a shape that broadcasts over an array.

    Args:
        values: Shape (channels,).
        axis: Axis of the channels, not negative.
        rank: Rank of the array.

    Returns:
        The values with size 1 along every other axis.
    """
    return values.reshape([-1 if other == axis else 1 for other in range(rank)])


def scale_and_shift(
    standardized: Standardized,
    gamma: Any,
    beta: Any,
    *,
    shape: tuple[int, ...],
    axis: int,
    r: Array | float = 1.0,
    d: Array | float = 0.0,
) -> Normalized:
    """Y = γ·(r·x̂ + d) + β, and its backward pass.

    Args:
        standardized: x̂, in a shape of its own if need be.
        gamma: γ, shape (channels,); None for ones.
        beta: β, shape (channels,); None for zeros.
        shape: Shape of the input and the output.
        axis: Axis of the channels in it, not negative.
        r: The factor of batch renormalization, as broadcasts; a constant in the backward pass.
        d: Its summand, likewise.

    Returns:
        The output with the statistics of `standardized`.
    """
    scale = along(channel_parameter("gamma", gamma, shape[axis], 1.0), axis, len(shape))
    shift = along(channel_parameter("beta", beta, shape[axis], 0.0), axis, len(shape))
    corrected = r * standardized.x_hat.reshape(shape) + d
    others = tuple(other for other in range(len(shape)) if other != axis)

    def backward(dy: Array) -> Gradients:
        inner = (dy * scale * r).reshape(standardized.x_hat.shape)
        return Gradients(
            x=standardized.backward(inner).reshape(shape),
            gamma=(dy * corrected).sum(axis=others),
            beta=dy.sum(axis=others),
        )

    return Normalized(
        y=scale * corrected + shift,
        mean=standardized.mean.squeeze(standardized.axes),
        variance=standardized.variance.squeeze(standardized.axes),
        count=standardized.count.squeeze(standardized.axes),
        backward=backward,
    )
