"""Where an axis has its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["is_wide", "linear_ticks", "log_ticks"]


def linear_ticks(low: float, high: float, most: int, *, least_step: float = 0.0) -> list[float]:
    """Multiples of one, two or five times a power of ten.

    Args:
        low: Where the axis begins.
        high: Where it ends, above `low`.
        most: How many steps at most.
        least_step: A step is no smaller; 1 for what is counted.

    Returns:
        Values from `low` to `high`.

    Example:
        >>> linear_ticks(0.5, 50.5, 12, least_step=1)
        [5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0]
    """
    width = (high - low) / most
    power = 10.0 ** math.floor(math.log10(width))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= width * (1 - 1e-9))
    step = max(step, least_step)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """One, two and five times the powers of ten; the powers alone where those would be many.

    Args:
        low: Where the axis begins, above zero.
        high: Where it ends.

    Returns:
        Values from `low` to `high`.

    Example:
        >>> log_ticks(30, 700)
        [50.0, 100.0, 200.0, 500.0]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if len(powers) <= 5 else (1,)
    found = [float(f"{digit}e{power}") for power in powers for digit in digits]
    return [value for value in found if low <= value <= high]


def is_wide(values: Iterable[float]) -> bool:
    """Whether values are of such different size that a logarithmic axis shows them better.

    Returns:
        True where all are positive and the largest is more than 50 times the smallest.
    """
    found = list(values)
    return bool(found) and 0 < 50 * min(found) < max(found)
