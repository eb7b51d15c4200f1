"""Batch normalization in training mode."""

from __future__ import annotations

from typing import Any

from normcraft.moments.reference._checks import array_and_axis, mask_of
from normcraft.moments.reference._scale_and_shift import scale_and_shift
from normcraft.moments.reference._standardize import standardize
from normcraft.moments.reference.normalized import Normalized

__all__ = ["batch_norm"]


def batch_norm(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-3,
    mask: Any = None,
) -> Normalized:
    """Y = γ·(x − μ) / √(σ² + ε) + β, with μ and σ² of each channel over the batch.

    A channel's population is everything along the other axes: all rows and all positions. Values
    that are masked have no part in μ and σ², and are normalized like the others. Source: Ioffe and
    Szegedy (2015), "Batch Normalization", section 3.

    Args:
        x: Shape (batch, …), with channels along `axis`; rank 2 or more.
        gamma: γ, shape (channels,); None for ones.
        beta: β, shape (channels,); None for zeros.
        axis: Axis of the channels. Keras's default.
        epsilon: ε. Keras's default; PyTorch's is 1e-5.
        mask: True for the values that count. As in Keras it has one axis less than `x`, each of
            its size or 1, and holds for all of the last axis of `x`, whichever `axis` is.

    Returns:
        The output, with statistics of shape (channels,).

    Raises:
        InputError: If shapes do not fit.

    Example:
        >>> normalized = batch_norm([[1.0, 5.0], [3.0, 5.0]], epsilon=0.001)
        >>> normalized.y.round(3).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """  # noqa: DOC502 - raised further down
    x, axis = array_and_axis(x, axis)
    others = tuple(other for other in range(x.ndim) if other != axis)
    standardized = standardize(x, others, epsilon=epsilon, mask=mask_of(mask, x.shape))
    return scale_and_shift(standardized, gamma, beta, shape=x.shape, axis=axis)
