"""Bessel's correction."""

from __future__ import annotations

from typing import Any

import numpy as np

from normcraft._core.errors import InputError

__all__ = ["unbiased"]

Array = np.ndarray[Any, np.dtype[Any]]


def unbiased(variance: Any, count: Any) -> Array:
    """The variance n / (n − 1)·σ², which is right on average where the n values are a sample.

    The biased variance σ² of n independent values is too small by 1/n on average, because it is
    taken about their own mean. PyTorch averages this one; Keras and every forward pass take σ².

    Args:
        variance: Biased variances.
        count: n, of a shape that broadcasts.

    Returns:
        Float64.

    Raises:
        InputError: If a count is below 2: one value says nothing about spread.

    Example:
        >>> unbiased([7.0], 8)
        array([8.])
    """
    count = np.asarray(count)
    if np.any(count < 2):
        raise InputError(
            "no unbiased variance", received=f"{count.min()} values", expected="2 or more"
        )
    return np.asarray(np.asarray(variance, "float64") * count / (count - 1))
