"""Instance normalization."""

from __future__ import annotations

from typing import Any

from normcraft.moments.reference._checks import own_axis
from normcraft.moments.reference.group import group_norm
from normcraft.moments.reference.normalized import Normalized

__all__ = ["instance_norm"]


def instance_norm(
    x: Any, gamma: Any = None, beta: Any = None, *, axis: int = -1, epsilon: float = 1e-3
) -> Normalized:
    """Y = γ·(x − μ) / √(σ² + ε) + β, with μ and σ² of each channel of each row over its positions.

    Keras has it as `GroupNormalization(groups=-1)`. Without positions, in rank 2, each value is a
    population of its own and nothing is left but β. Source: Ulyanov, Vedaldi and Lempitsky (2016),
    "Instance Normalization".

    Args:
        x: Shape (batch, …), with channels along `axis`.
        gamma: γ, shape (channels,); None for ones.
        beta: β, shape (channels,); None for zeros.
        axis: Axis of the channels; not that of the rows.
        epsilon: ε. Keras's default; PyTorch's is 1e-5.

    Returns:
        The output, with statistics of shape (batch, channels).

    Raises:
        InputError: If shapes do not fit.

    Example:
        >>> normalized = instance_norm([[[1.0, 4.0], [3.0, 4.0]]], epsilon=0.001)
        >>> normalized.y.round(3).tolist(), normalized.mean.tolist()
        ([[[-1.0, 0.0], [1.0, 0.0]]], [[2.0, 4.0]])
    """  # noqa: DOC502 - raised further down
    x, axis = own_axis(x, axis, "instance normalization")
    return group_norm(x, gamma, beta, groups=x.shape[axis], axis=axis, epsilon=epsilon)
