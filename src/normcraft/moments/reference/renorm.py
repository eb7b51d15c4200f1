"""Batch renormalization in training mode, as Keras computes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from normcraft._core.errors import InputError
from normcraft.moments.reference._checks import array_and_axis, channel_parameter, mask_of
from normcraft.moments.reference._scale_and_shift import along, scale_and_shift
from normcraft.moments.reference._standardize import standardize
from normcraft.moments.reference.normalized import Normalized

__all__ = ["batch_renorm"]


def batch_renorm(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    *,
    moving_mean: Any,
    moving_stddev: Any,
    r_max: float = float("inf"),
    d_max: float = float("inf"),
    r_min: float = 0.0,
    axis: int = -1,
    epsilon: float = 1e-3,
    mask: Any = None,
) -> Normalized:
    """Y = γ·(r·x̂ + d) + β, where r and d lead from the batch's statistics to the moving ones.

    With s = √(σ² + ε) of the batch and S = max(moving_stddev, √ε): r = s / S, clipped to
    [r_min, r_max], and d = (μ − moving_mean) / S, clipped to [−d_max, d_max]. Without clipping
    r·x̂ + d = (x − moving_mean) / S: what the network will compute at inference. In the backward
    pass r and d are constants. Source: Ioffe (2017), "Batch Renormalization", algorithm 1.

    Args:
        x: Shape (batch, …), with channels along `axis`.
        gamma: γ, shape (channels,); None for ones.
        beta: β, shape (channels,); None for zeros.
        moving_mean: Before this batch is averaged in, shape (channels,): Keras's `renorm_mean`.
        moving_stddev: Likewise, of √(σ² + ε): Keras's `renorm_stddev`.
        r_max: Keras's `renorm_clipping["rmax"]`; no limit by default, as there.
        d_max: Keras's `renorm_clipping["dmax"]`.
        r_min: Keras's `renorm_clipping["rmin"]`; the paper has 1 / r_max.
        axis: Axis of the channels.
        epsilon: ε.
        mask: As in `batch_norm`.

    Returns:
        The output, with the batch's own statistics, shape (channels,): what `RenormAverages`
        averages.

    Raises:
        InputError: If shapes do not fit, or nothing lies between the limits.

    Example:
        >>> kept = {"moving_mean": [1.0], "moving_stddev": [4.0]}
        >>> batch_renorm([[1.0], [5.0]], epsilon=0.0, **kept).y.tolist()
        [[0.0], [1.0]]
        >>> batch_renorm([[1.0], [5.0]], epsilon=0.0, r_min=1.0, d_max=0.0, **kept).y.tolist()
        [[-1.0], [1.0]]
    """
    if not 0 <= r_min <= r_max or d_max < 0:
        raise InputError(
            "nothing lies between the limits of r and d",
            received=f"r_min {r_min}, r_max {r_max}, d_max {d_max}",
            expected="0 <= r_min <= r_max and 0 <= d_max",
        )
    x, axis = array_and_axis(x, axis)
    others = tuple(other for other in range(x.ndim) if other != axis)
    standardized = standardize(x, others, epsilon=epsilon, mask=mask_of(mask, x.shape))
    mean, stddev = (
        along(channel_parameter(name, value, x.shape[axis], 0.0), axis, x.ndim)
        for name, value in (("moving_mean", moving_mean), ("moving_stddev", moving_stddev))
    )
    stddev = np.maximum(stddev, np.sqrt(epsilon))
    r = np.clip(standardized.stddev / stddev, r_min, r_max)
    d = np.clip((standardized.mean - mean) / stddev, -d_max, d_max)
    return scale_and_shift(standardized, gamma, beta, shape=x.shape, axis=axis, r=r, d=d)
