"""Group normalization."""

from __future__ import annotations

from typing import Any

from normcraft._core.errors import InputError
from normcraft.moments.reference._checks import own_axis
from normcraft.moments.reference._scale_and_shift import scale_and_shift
from normcraft.moments.reference._standardize import standardize
from normcraft.moments.reference.normalized import Normalized

__all__ = ["group_norm"]


def group_norm(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    *,
    groups: int,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> Normalized:
    """Y = γ·(x − μ) / √(σ² + ε) + β, with μ and σ² of each row over a group of channels.

    Channels that follow each other make a group; its population is all positions of one row in
    all of them. One group is layer normalization over all axes but the first, as many groups as
    channels instance normalization. Source: Wu and He (2018), "Group Normalization", section 3.

    Args:
        x: Shape (batch, …), with channels along `axis`.
        gamma: γ, shape (channels,), one a channel, not one a group; None for ones.
        beta: β, shape (channels,); None for zeros.
        groups: How many; it divides the channels.
        axis: Axis of the channels; not that of the rows.
        epsilon: ε. Keras's default; PyTorch's is 1e-5.

    Returns:
        The output, with statistics of shape (batch, groups).

    Raises:
        InputError: If shapes do not fit, or the groups are not equally large.

    Example:
        >>> group_norm([[1.0, 3.0, 5.0, 5.0]], groups=2, epsilon=0.001).y.round(3).tolist()
        [[-1.0, 1.0, 0.0, 0.0]]
    """
    x, axis = own_axis(x, axis, "group normalization")
    channels = x.shape[axis]
    if groups < 1 or channels % groups:
        raise InputError(
            "the groups do not divide the channels",
            received=f"groups {groups} for {channels} channels",
            expected=f"a divisor of {channels}",
        )
    split = x.reshape(*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
    within = tuple(other for other in range(1, split.ndim) if other != axis)
    standardized = standardize(split, within, epsilon=epsilon)
    return scale_and_shift(standardized, gamma, beta, shape=x.shape, axis=axis)
