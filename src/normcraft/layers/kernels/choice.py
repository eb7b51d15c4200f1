"""Which kernel normalizes a batch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import keras

from normcraft.layers.kernels import plain

__all__ = ["moved", "normalize_by_batch"]

Tensor = Any
FAST = ("jax", "tensorflow", "torch")


def normalize_by_batch(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, axis: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalizes by the statistics of the batch: y = gamma·(x − mean)/√(variance + ε) + beta.

    Args:
        x: Floats of at least 32 bits and of any rank from 2 up.
        gamma: Scale of shape (channels,), or None for 1.
        beta: Shift of shape (channels,), or None for 0.
        axis: The axis of the channels.
        epsilon: What is added to the variance.

    Returns:
        `(y, mean, variance)`: `y` like `x`, the statistics of shape (channels,), the variance
        biased. Gradients are those of `y`, with the dependence of the statistics on `x`; the
        statistics are for looking at.

    Example:
        >>> x = keras.ops.array([[1.0], [3.0]])
        >>> y, mean, variance = normalize_by_batch(x, None, None, axis=-1, epsilon=0.0)
        >>> keras.ops.convert_to_numpy(y).ravel().tolist(), float(mean[0]), float(variance[0])
        ([-1.0, 1.0], 2.0, 1.0)
    """
    backend = keras.backend.backend()
    if backend not in FAST or not _is_matrix(x, axis):
        return plain.normalize(x, gamma, beta, axis=axis, epsilon=epsilon)
    kernel = import_module(f"normcraft.layers.kernels.{backend}")
    found: tuple[Tensor, Tensor, Tensor] = kernel.normalize(x, gamma, beta, epsilon=epsilon)
    return found


def moved(before: Tensor, value: Tensor, momentum: Any) -> Tensor:
    """A moving average after one more value: before·momentum + value·(1 − momentum).

    Args:
        before: The average so far.
        value: The value, of its shape and dtype.
        momentum: A number or a scalar tensor of their dtype.

    Returns:
        The average; where it would not be finite, `before`.

    Example:
        >>> before, value = keras.ops.array([0.0, 4.0]), keras.ops.array([1.0, float("nan")])
        >>> keras.ops.convert_to_numpy(moved(before, value, 0.75)).tolist()
        [0.25, 4.0]
    """
    if keras.backend.backend() != "torch":
        return plain.moved(before, value, momentum)
    return import_module("normcraft.layers.kernels.torch").moved(before, value, momentum)


def _is_matrix(x: Tensor, axis: int) -> bool:
    # Of values by channels, in one piece and on one device.
    whole = keras.distribution.distribution() is None
    return whole and axis % len(x.shape) == len(x.shape) - 1 and 0 not in x.shape
