"""Population moments of layers from batches that come one by one, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normcraft.moments import combine_moments

__all__ = ["Moments", "RunningMoments"]

MOST_ROWS = 1024
Array = np.ndarray[Any, np.dtype[Any]]
Moments = tuple[Array, Array]


class RunningMoments:
    """Mean and variance of what each of several layers has received so far.

    A layer may be called several times: its population is what all of its calls receive, the
    variance between them included. Each batch weighs as many values as it has. What came before is
    merged with the next thousand batches by the formula of Chan, Golub and LeVeque
    (`combine_moments`).

    Args:
        layers: For each call the number of its layer, from 0.

    Example:
        >>> running = RunningMoments([0])
        >>> zero = np.zeros((1, 1))
        >>> running.add([zero + 2, zero + 1, zero, zero])
        >>> running.add([zero + 2, zero + 3, zero, zero])
        >>> running.moments
        [(array([2.]), array([1.]))]
    """

    def __init__(self, layers: Sequence[int]) -> None:
        self._layers = layers
        self._rows: list[list[Array]] = []
        self._num_rows = 0
        self._merged: dict[int, list[Array]] = {}

    def add(self, rows: Sequence[Any]) -> None:
        """Takes what one or several batches gave.

        Args:
            rows: Of each call counts, means in two parts that are added up here, and biased
                variances, all of shape (batches, channels).
        """
        self._rows.append([np.asarray(values, "float64") for values in rows])
        self._num_rows += len(rows[0]) if self._layers else 0
        if self._num_rows >= MOST_ROWS:
            self._merge()

    @property
    def counts(self) -> list[float]:
        """How many values of a channel each layer has received."""
        return [float(count.min()) for count, _, _ in self._merge()]

    @property
    def moments(self) -> list[Moments]:
        """Mean and biased variance of each layer, float64 of shape (channels,).

        Both are NaN where a layer has received nothing.
        """
        return [_known(*held) for held in self._merge()]

    def _merge(self) -> list[list[Array]]:
        parts: dict[int, list[list[Array]]] = {n: [held] for n, held in self._merged.items()}
        columns = [np.concatenate(column) for column in zip(*self._rows, strict=True)]
        for index, layer in enumerate(self._layers if columns else ()):
            count, first, rest, variance = columns[4 * index : 4 * index + 4]
            parts.setdefault(layer, []).append([count, first + rest, variance])
        self._merged = {layer: _merged(of_layer) for layer, of_layer in sorted(parts.items())}
        self._rows, self._num_rows = [], 0
        return list(self._merged.values())


def _merged(parts: list[list[Array]]) -> list[Array]:
    counts, means, variances = (np.concatenate(part) for part in zip(*parts, strict=True))
    total = counts.sum(axis=0, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        mean, variance = combine_moments(np.where(total > 0, counts, 1), means, variances)
    return [total, mean[None], variance[None]]


def _known(count: Array, mean: Array, variance: Array) -> Moments:
    empty = count[0] == 0
    return np.where(empty, np.nan, mean[0]), np.where(empty, np.nan, variance[0])
