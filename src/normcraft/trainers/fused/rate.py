"""The learning rate as data of a compiled program, also where it is a schedule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from normcraft._core.keras_private import learning_rate_source, unscaled

__all__ = ["Schedule", "scaled", "with_schedule"]

Schedule = keras.optimizers.schedules.LearningRateSchedule


class _Scaled(Schedule):  # type: ignore[misc, valid-type]
    def __init__(self, schedule: Any, factor: Any) -> None:
        self._schedule, self._factor = schedule, factor

    def __call__(self, step: Any) -> Any:
        return self._schedule(step) * self._factor


def scaled(schedule: Any, factor: Any) -> Any:
    """A schedule times a factor, which may be a traced value.

    Args:
        schedule: A learning rate schedule.
        factor: A scalar.

    Returns:
        A schedule that cannot be saved.

    Example:
        >>> float(scaled(keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.1), 2.0)(0))
        1.0
    """
    return _Scaled(schedule, factor)


@contextmanager
def with_schedule(optimizer: keras.optimizers.Optimizer, schedule: Any) -> Iterator[None]:
    """A context in which an optimizer that has a schedule has another one.

    Args:
        optimizer: An optimizer.
        schedule: The other schedule; anything else changes nothing.

    Yields:
        Nothing.
    """
    inner = unscaled(optimizer)
    own = learning_rate_source(optimizer)
    if not isinstance(schedule, Schedule):
        yield
        return
    inner.learning_rate = schedule
    try:
        yield
    finally:
        inner.learning_rate = own
