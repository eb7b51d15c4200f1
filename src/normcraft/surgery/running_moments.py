"""Population moments of layers from batches that come one by one, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normcraft.moments import combine_moments

__all__ = ["Moments", "RunningMoments"]

Array = np.ndarray[Any, np.dtype[Any]]
Moments = tuple[Array, Array]


class RunningMoments:
    """Mean and variance of what each of several layers has received so far.

    A layer may be called several times: its population is what all of its calls receive, the
    variance between them included. Each batch weighs as many values as it has. What came before is
    merged with each new batch by the formula of Chan, Golub and LeVeque (`combine_moments`).

    Args:
        layers: For each call the number of its layer, from 0.

    Example:
        >>> running = RunningMoments([0])
        >>> running.add([np.array([[2.0]]), np.array([[1.0]]), np.array([[0.0]])])
        >>> running.add([np.array([[2.0]]), np.array([[3.0]]), np.array([[0.0]])])
        >>> running.moments
        [(array([2.]), array([1.]))]
    """

    def __init__(self, layers: Sequence[int]) -> None:
        self._layers = layers
        self._held: dict[int, list[Array]] = {}

    def add(self, rows: Sequence[Any]) -> None:
        """Takes what one or several batches gave.

        Args:
            rows: Counts, means and biased variances of each call, each of shape (batches, channels).
        """
        parts: dict[int, list[list[Any]]] = {}
        for index, layer in enumerate(self._layers):
            parts.setdefault(layer, [[], [], []])
            for column, values in zip(parts[layer], rows[3 * index : 3 * index + 3], strict=True):
                column.append(np.asarray(values, "float64"))
        for layer, columns in parts.items():
            for column, held in zip(columns, self._held.get(layer, []), strict=False):
                column.insert(0, held)
            self._held[layer] = _merged(*map(np.concatenate, columns))

    @property
    def counts(self) -> list[float]:
        """How many values of a channel each layer has received."""
        return [float(self._held[layer][0].min()) for layer in sorted(self._held)]

    @property
    def moments(self) -> list[Moments]:
        """Mean and biased variance of each layer, float64 of shape (channels,).

        Both are NaN where a layer has received nothing.
        """
        return [_known(*self._held[layer]) for layer in sorted(self._held)]


def _merged(counts: Array, means: Array, variances: Array) -> list[Array]:
    total = counts.sum(axis=0, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        mean, variance = combine_moments(np.where(total > 0, counts, 1), means, variances)
    return [total, mean[None], variance[None]]


def _known(count: Array, mean: Array, variance: Array) -> Moments:
    empty = count[0] == 0
    return np.where(empty, np.nan, mean[0]), np.where(empty, np.nan, variance[0])
