"""Means and variances of whole populations from those of their parts, in float64 NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["combine_moments"]

Array = np.ndarray[Any, np.dtype[Any]]


def combine_moments(counts: Array, means: Array, variances: Array) -> tuple[Array, Array]:
    """Mean and variance of a population from the moments of the batches it came in.

    With weights wᵢ = nᵢ / Σn: mean = Σ wᵢ·meanᵢ and
    variance = Σ wᵢ·(varianceᵢ + (meanᵢ - mean)²). Nothing is subtracted from a sum of squares, so
    data far from zero lose no digits. Source: Chan, Golub and LeVeque (1983), "Algorithms for
    computing the sample variance".

    Args:
        counts: Values behind each batch's moments, shape (batches,), (batches, 1) or
            (batches, channels).
        means: Shape (batches, channels).
        variances: Biased variances, shape (batches, channels).

    Returns:
        Mean and biased variance, float64, shape (channels,).

    Example:
        >>> combine_moments(np.array([1, 3]), np.array([[0.0], [4.0]]), np.array([[0.0], [0.0]]))
        (array([3.]), array([3.]))
    """
    weights = np.asarray(counts, "float64").reshape(len(means), -1)
    weights = weights / weights.sum(axis=0)
    means = np.asarray(means, "float64")
    mean = (weights * means).sum(axis=0)
    spread = np.asarray(variances, "float64") + (means - mean) ** 2
    return mean, (weights * spread).sum(axis=0)
