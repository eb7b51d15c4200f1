"""The step that all kinds share: values less their mean, over their standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Standardized", "standardize"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Standardized:
    """x̂ = (x − μ) / √(σ² + ε), with μ and σ² of the population that x is in, and the way back.

    Attributes:
        x_hat: x̂, of the input's shape.
        mean: μ, with size 1 along `axes`; zero where nothing is centered.
        variance: σ², likewise: the mean of (x − μ)².
        count: Values in each population, likewise.
        stddev: √(σ² + ε), likewise.
        share: The weight of each value in its population's mean: 1 / count, and 0 where masked.
        axes: The axes along which a population runs.
        centered: Whether μ is the mean; else it is zero.
    """

    x_hat: Array
    mean: Array
    variance: Array
    count: Array
    stddev: Array
    share: Array
    axes: tuple[int, ...]
    centered: bool

    def backward(self, gradient: Array) -> Array:
        """The gradient with respect to x: (g − share·(Σg + x̂·Σ(g·x̂))) / √(σ² + ε).

        Σ runs over the population, with what is masked: that has no part in μ and σ², but is
        normalized with them. Without centering, Σg is left out.

        Args:
            gradient: g, the gradient with respect to x̂.

        Returns:
            An array of the input's shape.
        """
        through_variance = self.x_hat * self._sum(gradient * self.x_hat)
        through_mean = self._sum(gradient) if self.centered else 0.0
        return (gradient - self.share * (through_mean + through_variance)) / self.stddev

    def _sum(self, values: Array) -> Array:
        return np.asarray(values.sum(axis=self.axes, keepdims=True))


def standardize(
    x: Array,
    axes: tuple[int, ...],
    *,
    epsilon: float,
    mask: Array | None = None,
    centered: bool = True,
) -> Standardized:
    """Standardizes an array along some axes.

    The variance is the mean of the squared distances from the mean, in two passes: E[x²] − E[x]²
    loses the digits that both have in common.

    Args:
        x: Float64.
        axes: The axes along which a population runs.
        epsilon: ε.
        mask: True for the values that count, of a shape that broadcasts to x's; None: all do.
        centered: Whether the mean is subtracted.

    Returns:
        The standardized array. A population of no values has mean 0 and variance 0, as in Keras.
    """
    counted = np.broadcast_to(True if mask is None else mask, x.shape)
    count = counted.sum(axis=axes, keepdims=True)
    divisor = np.maximum(count, 1)

    def average(values: Array) -> Array:
        # What is masked may be undefined, and 0·NaN is NaN.
        total = np.where(counted, values, 0.0).sum(axis=axes, keepdims=True)
        return np.asarray(total / divisor)

    mean = average(x) if centered else np.zeros(count.shape)
    variance = average((x - mean) ** 2)
    stddev = np.sqrt(variance + epsilon)
    x_hat = (x - mean) / stddev
    return Standardized(x_hat, mean, variance, count, stddev, counted / divisor, axes, centered)
