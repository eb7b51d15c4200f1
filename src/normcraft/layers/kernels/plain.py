"""Normalization by the statistics of a batch in `keras.ops`: any backend, any axis, with a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

__all__ = [
    "affine",
    "moments",
    "moved",
    "normalize",
    "rows",
    "scaled",
    "unchanged",
    "undefined_where_empty",
]

Tensor = Any
AllReduce = Callable[[Tensor], Tensor]


def unchanged(value: Tensor) -> Tensor:
    """The sum over replicas where there is one.

    Returns:
        The value.
    """
    return value


def moments(
    x: Tensor, mask: Tensor | None, *, kept: tuple[int, ...], all_reduce: AllReduce = unchanged
) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean and biased variance, by two passes: nothing cancels.

    Args:
        x: Floats.
        mask: Which values count, of a shape that broadcasts to that of `x`; None for all.
        kept: The axes that are not averaged over.
        all_reduce: Sums a tensor over replicas.

    Returns:
        `(count, mean, variance)`, each of the rank of `x` and of size 1 along the axes that are
        averaged over; zeros where nothing counts.
    """
    rank = len(x.shape)
    axes = [axis for axis in range(rank) if axis not in {one % rank for one in kept}]
    weights = ops.ones_like(x) if mask is None else _spread(mask, x)

    def total(value: Tensor) -> Tensor:
        return all_reduce(ops.sum(value, axes, keepdims=True))

    count = total(weights)
    divisor = ops.maximum(count, 1.0)
    # What a mask hides may be anything, infinite too.
    seen = x if mask is None else ops.where(ops.cast(weights, "bool"), x, 0)
    mean = total(seen) / divisor
    variance = total(ops.square(weights * (seen - mean))) / divisor
    return count, mean, variance


def normalize(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, axis: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalizes by the statistics of the batch, along any axis.

    Returns:
        `(y, mean, variance)`.
    """
    _, mean, variance = rows(moments(x, None, kept=(axis,)))
    return scaled(x, mean, variance, gamma, beta, axis=axis, epsilon=epsilon), mean, variance


def moved(before: Tensor, value: Tensor, momentum: Any) -> Tensor:
    """before·momentum + value·(1 − momentum) where that is finite, else `before`.

    Returns:
        The average.
    """
    after = before * momentum + value * (1.0 - momentum)
    return ops.where(ops.isfinite(after), after, before)


def rows(found: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Statistics with one axis left, as vectors.

    Returns:
        Each of shape (channels,).
    """
    return tuple(ops.reshape(value, (-1,)) for value in found)


def undefined_where_empty(count: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Statistics, NaN where nothing was counted.

    Returns:
        Mean and variance.
    """
    return tuple(ops.where(count > 0, value, float("nan")) for value in (mean, variance))


def scaled(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    *,
    axis: int,
    epsilon: float,
) -> Tensor:
    """gamma·(x − mean)/√(variance + ε) + beta, with all four of shape (channels,).

    Returns:
        A tensor like `x`.
    """
    factor = ops.rsqrt(variance + epsilon)
    factor = factor if gamma is None else factor * gamma
    return affine(x - _along(mean, x, axis), factor, beta, axis=axis)


def affine(x: Tensor, scale: Tensor | None, shift: Tensor | None, *, axis: int) -> Tensor:
    """scale·x + shift with scale and shift of shape (channels,); None for 1 and 0.

    Returns:
        A tensor like `x`.
    """
    x = x if scale is None else x * _along(scale, x, axis)
    return x if shift is None else x + _along(shift, x, axis)


def _along(row: Tensor, x: Tensor, axis: int) -> Tensor:
    shape = [1] * len(x.shape)
    shape[axis] = -1
    return ops.reshape(row, shape)


def _spread(mask: Tensor, x: Tensor) -> Tensor:
    return ops.broadcast_to(ops.cast(ops.cast(mask, "bool"), x.dtype), ops.shape(x))
