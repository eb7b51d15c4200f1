"""How values are distributed: moments, quantiles and a histogram, as plain numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["LEVELS", "Distribution"]

Array = np.ndarray[Any, np.dtype[Any]]

LEVELS = (0.0, 0.01, 0.15, 0.5, 0.85, 0.99, 1.0)
BINS = 40
MOST = 1 << 20  # values that are sorted; of more every second, third, … is
TAIL = 0.001


@dataclass(frozen=True)
class Distribution:
    """A distribution of activations.

    Attributes:
        mean: Mean of all finite values.
        std: Their standard deviation, biased.
        quantiles: Those at `LEVELS`: lowest, 1%, 15%, median, 85%, 99%, highest.
        low: Where the histogram begins: the quantile at 0.1%.
        high: Where it ends: the quantile at 99.9%.
        counts: Values in each of its bins, all of one width.
        below: Values below it.
        above: Values above it.
        not_finite: Values that are NaN or infinite; they are nowhere else.

    Example:
        >>> one = Distribution.of(np.array([0.0, 1.0, 2.0, 3.0]))
        >>> one.mean, one.quantiles[3], sum(one.counts) + one.below + one.above
        (1.5, 1.5, 4)
    """

    mean: float
    std: float
    quantiles: tuple[float, ...]
    low: float
    high: float
    counts: tuple[int, ...]
    below: int
    above: int
    not_finite: int = 0

    @classmethod
    def of(cls, values: Array) -> Distribution | None:
        """The distribution of an array.

        Moments are over all values. Quantiles and histogram of more than a million values are over
        every second, third, … of them, in the order of the array.

        Args:
            values: Of any shape.

        Returns:
            None where no value is finite.
        """
        flat = np.asarray(values).ravel()
        finite = flat[np.isfinite(flat)]
        if not finite.size:
            return None
        mean = float(finite.mean(dtype="float64"))
        some = finite[:: _stride(finite.size)].astype("float64")
        low, high, *quantiles = np.quantile(some, (TAIL, 1 - TAIL, *LEVELS)).tolist()
        counts, _ = np.histogram(some, BINS, _range(low, high))
        return cls(
            mean,
            float(np.sqrt(np.square(finite - mean).mean(dtype="float64"))),
            tuple(quantiles),
            *_range(low, high),
            tuple(counts.tolist()),
            int(np.sum(some < _range(low, high)[0])),
            int(np.sum(some > _range(low, high)[1])),
            int(flat.size - finite.size),
        )


def _stride(size: int) -> int:
    # Without a common factor, so that every channel has its share.
    stride = -(-size // MOST)
    while math.gcd(stride, size) > 1:
        stride += 1
    return stride


def _range(low: float, high: float) -> tuple[float, float]:
    # Wide enough that bins have a width in float64, also where all values are alike.
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    room = 0.5 * abs(low) or 0.5
    return low - room, high + room
