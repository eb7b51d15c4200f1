"""Which learning rate an arm is judged at: for each seed, the one that the other seeds prefer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normcraft._core.errors import InputError

__all__ = [
    "RELATIVE_TIE",
    "FloatArray",
    "chosen_rates",
    "chosen_values",
    "finite_scores",
    "values_of_columns",
]

FloatArray = NDArray[np.float64]

# Numbers that differ by less than this fraction of the largest score are ties. It lies well above
# the rounding of a sum of a hundred float64 scores (1e-14), so that neither the order of seeds nor
# a shift of all scores decides, and well below any difference that float32 training can show.
RELATIVE_TIE = 1e-12


def finite_scores(scores: FloatArray) -> FloatArray:
    """The scores as float64, if they can be compared.

    Args:
        scores: Shape `(..., seeds, learning_rates)`.

    Returns:
        The same scores.

    Raises:
        InputError: Where there is no seed or no rate, or a score is not finite.

    Example:
        >>> finite_scores([[1, 2]])
        array([[1., 2.]])
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim < 2 or 0 in scores.shape[-2:]:
        raise InputError(
            "scores cannot be compared",
            received=f"shape {scores.shape}",
            expected="(seeds, learning_rates), at least one of each",
        )
    if not np.isfinite(scores).all():
        raise InputError(
            "a score is not a finite number", hint="leave out the seeds that have no result"
        )
    return scores


def chosen_rates(scores: FloatArray) -> NDArray[np.intp]:
    r"""The learning rate of each seed, chosen by the other seeds alone (leave-one-out).

    A seed that helps to choose its own rate is judged on its luck; here it does not. With scores
    $x_{s,l}$ of $n$ seeds, the rate of seed $s$ is

    $$\hat l_s = \arg\max_l \frac{1}{n - 1} \sum_{t \ne s} x_{t,l}$$

    and ties go to the first. A single seed has no others: it takes its own best rate.

    Args:
        scores: Shape `(..., seeds, learning_rates)`, higher is better, all finite. Leading axes
            are independent sets of scores.

    Returns:
        Indices of learning rates, shape `(..., seeds)`.

    Example:
        >>> chosen_rates(np.array([[0.9, 0.8], [0.7, 0.8], [0.6, 0.8]]))
        array([1, 1, 0])
    """
    columns = _columns(scores)
    return _at_chosen(columns, [np.full(columns[0].shape, rate) for rate in range(len(columns))])


def chosen_values(scores: FloatArray) -> FloatArray:
    """The score of each seed at the learning rate that `chosen_rates` gives it.

    Args:
        scores: Shape `(..., seeds, learning_rates)`, as for `chosen_rates`.

    Returns:
        Scores, shape `(..., seeds)`.

    Example:
        >>> chosen_values(np.array([[0.9, 0.8], [0.7, 0.8], [0.6, 0.8]]))
        array([0.8, 0.8, 0.6])
    """
    columns = _columns(scores)
    return _at_chosen(columns, columns)


def values_of_columns(columns: Sequence[FloatArray]) -> FloatArray:
    """`chosen_values` of scores that lie apart by learning rate and are known to be finite.

    Args:
        columns: One array of shape `(..., seeds)` a learning rate.

    Returns:
        Scores, shape `(..., seeds)`.

    Example:
        >>> values_of_columns([np.array([0.9, 0.7, 0.6]), np.array([0.8, 0.8, 0.8])])
        array([0.8, 0.8, 0.6])
    """
    return _at_chosen(columns, columns)


def _columns(scores: FloatArray) -> list[FloatArray]:
    # One array a rate: NumPy is slow along axes as short as that of rates.
    scores = finite_scores(scores)
    return [np.ascontiguousarray(scores[..., rate]) for rate in range(scores.shape[-1])]


def _at_chosen(columns: Sequence[FloatArray], options: Sequence[NDArray[Any]]) -> NDArray[Any]:
    # Of one option a rate, that of the rate which each seed's others prefer; the first where tied.
    seeds, others = columns[0].shape[-1], columns
    if seeds > 1:
        others = [(own.sum(axis=-1, keepdims=True) - own) / (seeds - 1) for own in columns]
    largest = reduce(np.maximum, (np.abs(own).max(axis=-1, keepdims=True) for own in columns))
    least = reduce(np.maximum, others) - RELATIVE_TIE * largest
    chosen = options[-1]
    for other, option in zip(others[-2::-1], options[-2::-1], strict=True):
        chosen = np.where(other >= least, option, chosen)
    return chosen
