"""Moving averages of statistics, in the conventions that are in use."""

from __future__ import annotations

from typing import Any

import numpy as np

from normcraft._core.errors import InputError

__all__ = ["moving_average"]

Array = np.ndarray[Any, np.dtype[Any]]


def moving_average(
    values: Any, *, initial: Any, momentum: float | None, debiased: bool = False
) -> Array:
    """The moving average after steps that brought these values.

    Each step makes it momentum·average + (1 − momentum)·value. After t steps the initial value
    weighs momentum^t. Keras averages biased variances so. PyTorch's `momentum` is the weight of the
    new value: give 1 less that, and `unbiased` variances. With None, as there, each value weighs
    the same.

    Args:
        values: One a step, shape (steps, …): means, or variances.
        initial: The average before the first step: in Keras 0 for means, 1 for variances.
        momentum: The weight of the average so far, from 0 to below 1; None for the plain mean of
            all values, which the initial value has no part in.
        debiased: Whether the initial value's share is taken out and the rest divided by
            1 − momentum^t, so that the average is right from the first step. With `initial` 0 that
            is what Adam does (Kingma and Ba, 2015, section 3).

    Returns:
        The average, float64; the initial value if there was no step.

    Raises:
        InputError: If the momentum is not from 0 to below 1.

    Example:
        >>> moving_average([4.0, 4.0], initial=1.0, momentum=0.5)
        array(3.25)
        >>> moving_average([4.0, 4.0], initial=1.0, momentum=0.5, debiased=True)
        array(4.)
    """
    if momentum is not None and not 0 <= momentum < 1:
        raise InputError(
            "not a momentum",
            received=repr(momentum),
            expected="a number from 0 to below 1, or None",
            hint="PyTorch's momentum is 1 less this one",
        )
    average = start = np.asarray(initial, "float64")
    for step, value in enumerate(np.asarray(values, "float64")):
        kept = step / (step + 1) if momentum is None else momentum
        average = kept * average + (1 - kept) * value
    left = 0.0 if momentum is None else momentum ** len(values)
    if debiased and len(values):
        average = (average - left * start) / (1 - left)
    return np.asarray(average)
