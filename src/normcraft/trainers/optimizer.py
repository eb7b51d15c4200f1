"""An optimizer that serves many trials: its learning rate set, its state put back."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft._core.keras_private import compile_arguments, learning_rate_source
from normcraft.surgery.copies import copy_object

__all__ = ["ReusableOptimizer", "initial_learning_rate", "scaled_schedule"]

Schedule = keras.optimizers.schedules.LearningRateSchedule


def initial_learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate of the first step.

    Returns:
        A plain float, rounded to seven digits (Keras keeps it in float32).

    Example:
        >>> initial_learning_rate(keras.optimizers.Adam(0.01))
        0.01
    """
    rate = learning_rate_source(optimizer)
    value = rate(0) if isinstance(rate, Schedule) else optimizer.learning_rate
    return float(f"{float(keras.ops.convert_to_numpy(value)):.7g}")


class ReusableOptimizer:
    """The optimizer of a compiled model, as new for each trial so that nothing is compiled again.

    What it may remember of an earlier training is set aside.

    A learning rate that is a schedule is part of what `fit` compiles: another initial rate then
    compiles the model anew.

    Args:
        model: A compiled model whose optimizer is built.
        factors: Whether whoever trains multiplies a schedule by the factor that `reset` gives,
            where the schedule allows that, so that nothing is compiled anew.
    """

    def __init__(self, model: keras.Model, *, factors: bool = False) -> None:
        self._model = model
        self._factors = factors
        self._settings = compile_arguments(model)
        self._remember()

    def _remember(self) -> None:
        self._rate = initial_learning_rate(self._model.optimizer)
        source = learning_rate_source(self._model.optimizer)
        self._scheduled = isinstance(source, Schedule)
        self._scales = self._factors and self._scheduled and _is_proportional(source)
        fresh = copy_object(self._model.optimizer, "the optimizer")
        fresh.build(self._model.trainable_variables)
        self._initial = [np.array(keras.ops.convert_to_numpy(v)) for v in fresh.variables]

    @property
    def rate_is_data(self) -> bool:
        """Whether another learning rate is only other data, and no other program."""
        return self._scales or not self._scheduled

    def reset(self, learning_rate: float) -> float:
        """Puts the optimizer in its first state, with another learning rate.

        Args:
            learning_rate: Of the first step.

        Returns:
            What a schedule has to be multiplied by; 1 where there is nothing to multiply.
        """
        factor = 1.0
        if self._scheduled and learning_rate != self._rate:
            if self._scales:
                factor = learning_rate / self._rate
            else:
                self._recompile(learning_rate)
        for variable, value in zip(self._model.optimizer.variables, self._initial, strict=True):
            variable.assign(value)
        if not self._scheduled:
            self._model.optimizer.learning_rate = learning_rate
        return factor

    def _recompile(self, learning_rate: float) -> None:
        new = copy_object(self._model.optimizer, "the optimizer")
        schedule = scaled_schedule(learning_rate_source(new), learning_rate / self._rate)
        getattr(new, "inner_optimizer", new).learning_rate = schedule
        self._model.compile(**{**self._settings, "optimizer": new})
        new.build(self._model.trainable_variables)
        self._remember()


def _is_proportional(schedule: Any) -> bool:
    # Some have a second rate, in which a warm-up ends or a decay, that stays.
    doubled = scaled_schedule(schedule, 2.0)
    steps = (0, 1, 10, 100, 1_000, 10_000, 100_000)
    rates = [[float(one(step)) for step in steps] for one in (schedule, doubled)]
    return np.allclose(2 * np.array(rates[0]), rates[1], rtol=1e-5, atol=0)


def scaled_schedule(schedule: Any, factor: float) -> Any:
    """A schedule of the same class with its initial rate, or its rates, times a factor.

    Args:
        schedule: A learning rate schedule.
        factor: The factor.

    Returns:
        A schedule that Keras can save.

    Raises:
        InputError: If the schedule has no initial rate.
    """
    config = schedule.get_config()
    for key in ("initial_learning_rate", "values"):
        if key in config:
            value = config[key]
            many = isinstance(value, list | tuple)
            config[key] = [v * factor for v in value] if many else value * factor
            return type(schedule).from_config(config)
    raise InputError(
        f"the learning rate schedule {type(schedule).__name__} has no initial rate to vary",
        received="several learning rates",
        expected="a schedule with `initial_learning_rate`, or a plain learning rate",
    )
