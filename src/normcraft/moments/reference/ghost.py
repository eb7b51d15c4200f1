"""Ghost batch normalization: each part of a batch is normalized as a batch of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from normcraft._core.errors import InputError
from normcraft.moments.reference._checks import mask_of, own_axis
from normcraft.moments.reference.batch import batch_norm
from normcraft.moments.reference.normalized import Gradients, Normalized

__all__ = ["ghost_batch_norm"]

Array = np.ndarray[Any, np.dtype[Any]]


def ghost_batch_norm(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    *,
    virtual_batch_size: int,
    axis: int = -1,
    epsilon: float = 1e-3,
    mask: Any = None,
) -> Normalized:
    """Batch normalization of groups of rows, each with its own mean and variance.

    Group i is made of the `virtual_batch_size` rows that follow each other from row
    i·virtual_batch_size on. Where it does not divide the batch, the last group holds the rows that
    are left, however few: of a group of one row and one position nothing is left but β. Source:
    Hoffer, Hubara and Soudry (2017), "Train longer, generalize better", algorithm 1.

    Args:
        x: Shape (batch, …), with channels along `axis`.
        gamma: γ, shape (channels,), shared by all groups; None for ones.
        beta: β, likewise; None for zeros.
        virtual_batch_size: Rows in a group.
        axis: Axis of the channels; not that of the rows.
        epsilon: ε.
        mask: As in `batch_norm`.

    Returns:
        The output, with statistics of shape (groups, channels). `moving_average` of them is one
        step a group, in order, as in the paper; `combine_moments` makes them those of the batch.

    Raises:
        InputError: If shapes do not fit, or a group would have no rows.

    Example:
        >>> normalized = ghost_batch_norm([[0.0], [2.0], [7.0]], virtual_batch_size=2, epsilon=0.01)
        >>> normalized.mean.tolist(), normalized.count.tolist()
        ([[1.0], [7.0]], [[2], [1]])
    """
    x, axis = own_axis(x, axis, "ghost batch normalization")
    if virtual_batch_size < 1 or len(x) == 0:
        raise InputError(
            "a group needs rows",
            received=f"virtual_batch_size {virtual_batch_size} for {len(x)} rows",
            expected="1 or more, and rows",
        )
    mask = mask_of(mask, x.shape)
    starts = range(0, len(x), virtual_batch_size)
    groups = [slice(start, start + virtual_batch_size) for start in starts]
    parts = [
        batch_norm(
            x[rows],
            gamma,
            beta,
            axis=axis,
            epsilon=epsilon,
            mask=None if mask is None else mask[rows, ..., 0],
        )
        for rows in groups
    ]
    return _joined(parts, groups)


def _joined(parts: list[Normalized], groups: list[slice]) -> Normalized:
    def backward(dy: Array) -> Gradients:
        each = [part.gradients(dy[rows]) for part, rows in zip(parts, groups, strict=True)]
        return Gradients(
            x=np.concatenate([one.x for one in each]),
            gamma=np.sum([one.gamma for one in each], axis=0),
            beta=np.sum([one.beta for one in each], axis=0),
        )

    return Normalized(
        np.concatenate([part.y for part in parts]),
        np.stack([part.mean for part in parts]),
        np.stack([part.variance for part in parts]),
        np.stack([part.count for part in parts]),
        backward,
    )
