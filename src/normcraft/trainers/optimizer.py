"""An optimizer that serves many trials: its learning rate set, its state put back."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft._core.keras_private import compile_arguments, learning_rate_source
from normcraft.surgery.copies import copy_object

__all__ = ["ReusableOptimizer", "initial_learning_rate"]

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

    A learning rate that is a schedule is part of the compiled program: another initial rate then
    compiles the model anew.

    Args:
        model: A compiled model whose optimizer is built.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._settings = compile_arguments(model)
        self._remember()

    def _remember(self) -> None:
        self._rate = initial_learning_rate(self._model.optimizer)
        fresh = copy_object(self._model.optimizer, "the optimizer")
        fresh.build(self._model.trainable_variables)
        self._initial = [np.array(keras.ops.convert_to_numpy(v)) for v in fresh.variables]

    @property
    def _scheduled(self) -> bool:
        return isinstance(learning_rate_source(self._model.optimizer), Schedule)

    def reset(self, learning_rate: float) -> None:
        """Puts the optimizer in its first state, with another learning rate.

        Args:
            learning_rate: Of the first step.
        """
        if self._scheduled and learning_rate != self._rate:
            self._recompile(learning_rate)
        for variable, value in zip(self._model.optimizer.variables, self._initial, strict=True):
            variable.assign(value)
        if not self._scheduled:
            self._model.optimizer.learning_rate = learning_rate

    def _recompile(self, learning_rate: float) -> None:
        optimizer = self._model.optimizer
        config = optimizer.get_config()
        schedule = learning_rate_source(optimizer)
        config["learning_rate"] = _scaled(schedule, learning_rate / self._rate)
        new = type(optimizer).from_config(config)
        self._model.compile(**{**self._settings, "optimizer": new})
        new.build(self._model.trainable_variables)
        self._remember()


def _scaled(schedule: Any, factor: float) -> Any:
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
