"""Batch normalization at inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from normcraft.moments.reference._checks import array_and_axis, channel_parameter
from normcraft.moments.reference._scale_and_shift import along

__all__ = ["inference"]

Array = np.ndarray[Any, np.dtype[Any]]


def inference(
    x: Any,
    mean: Any,
    variance: Any,
    gamma: Any = None,
    beta: Any = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> Array:
    """Y = γ·(x − mean) / √(variance + ε) + β, with statistics that are given.

    No row depends on another, so that this is an affine map of each channel. Batch
    renormalization computes the same at inference.

    Args:
        x: Shape (batch, …), with channels along `axis`.
        mean: Shape (channels,).
        variance: Shape (channels,).
        gamma: γ, shape (channels,); None for ones.
        beta: β, shape (channels,); None for zeros.
        axis: Axis of the channels.
        epsilon: ε.

    Returns:
        The output, float64, of the input's shape.

    Raises:
        InputError: If shapes do not fit.

    Example:
        >>> inference([[4.0], [6.0]], [4.0], [4.0], epsilon=0.0).tolist()
        [[0.0], [1.0]]
    """  # noqa: DOC502 - raised further down
    x, axis = array_and_axis(x, axis)
    named = (("mean", mean, 0.0), ("variance", variance, 1.0), ("gamma", gamma, 1.0))
    mean, variance, gamma, beta = (
        along(channel_parameter(name, value, x.shape[axis], default), axis, x.ndim)
        for name, value, default in (*named, ("beta", beta, 0.0))
    )
    return np.asarray(gamma * (x - mean) / np.sqrt(variance + epsilon) + beta)
