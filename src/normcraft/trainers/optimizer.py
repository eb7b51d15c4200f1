"""An optimizer that serves many trials: its learning rate set, its state put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft._core.keras_private import (
    compile_arguments,
    decay_exclusions,
    exclude_from_decay,
    learning_rate_source,
    unscaled,
)
from normcraft.surgery.copies import copy_object

__all__ = ["ReusableOptimizer", "changes_weights", "learning_rate_of", "scaled_schedule"]

Array = np.ndarray[Any, np.dtype[Any]]
Schedule = keras.optimizers.schedules.LearningRateSchedule
# What Keras's schedules call the rates that they are made of.
RATES = ("initial_learning_rate", "warmup_target", "end_learning_rate", "values")


def changes_weights(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether an optimizer puts other weights in place when training ends, such as their averages.

    Returns:
        True with `use_ema`, or for a class with a `finalize_variable_values` of its own.

    Example:
        >>> changes_weights(keras.optimizers.SGD(use_ema=True))
        True
    """
    inner = unscaled(optimizer)
    theirs = keras.optimizers.Optimizer.finalize_variable_values
    return inner.use_ema or type(inner).finalize_variable_values is not theirs


def learning_rate_of(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate at which an optimizer was set.

    Returns:
        A plain float, rounded to seven digits (Keras keeps it in float32). Of a schedule the
        largest rate that it is made of: where one warms up, the one that it warms up to; of a
        schedule that names none, that of the first step.

    Raises:
        InputError: If it has several, as Keras's `MultiOptimizer` has.

    Example:
        >>> learning_rate_of(keras.optimizers.Adam(0.01))
        0.01
    """
    rate = learning_rate_source(optimizer)
    if not hasattr(optimizer, "learning_rate"):
        raise InputError(
            "the model's optimizer has no learning rate of its own to compare at",
            received=type(optimizer).__name__,
            expected="one optimizer for all variables",
            hint="compile the model with one of those that it is made of",
        )
    value = _largest(rate) if isinstance(rate, Schedule) else optimizer.learning_rate
    return float(f"{float(keras.ops.convert_to_numpy(value)):.7g}")


def _largest(schedule: Any) -> Any:
    return max(map(float, keras.tree.flatten(_rates(schedule))), default=0.0) or schedule(0)


def _rates(schedule: Any) -> dict[str, Any]:
    config = schedule.get_config()
    return {name: config[name] for name in RATES if config.get(name) is not None}


class ReusableOptimizer:
    """The optimizer of a compiled model, as new for each trial so that nothing is compiled again.

    What it may remember of an earlier training is set aside.

    A learning rate that is a schedule is part of what `fit` compiles: another initial rate then
    compiles the model anew.

    Args:
        model: A compiled model whose optimizer is built.
        factors: Whether whoever trains multiplies a schedule by the factor that `reset` gives,
            where the schedule allows that, so that nothing is compiled anew.

    Attributes:
        copies: By the number of a variable of the optimizer that begins as a trainable variable
            of the model (`ScheduleFreeAdamW` has such), that one's number.
    """

    def __init__(self, model: keras.Model, *, factors: bool = False) -> None:
        self._model = model
        self._factors = factors
        self._settings = compile_arguments(model)
        self._remember()

    def _remember(self) -> None:
        self._rate = learning_rate_of(self._model.optimizer)
        source = learning_rate_source(self._model.optimizer)
        self._scheduled = isinstance(source, Schedule)
        self._scales = self._factors and self._scheduled and _is_proportional(source)
        fresh = copy_object(self._model.optimizer, "the optimizer")
        variables = self._model.trainable_variables
        with _marked(variables):
            fresh.build(variables)
            number_of = {_key(_value(v)): number for number, v in enumerate(variables)}
        self._initial = [_value(variable) for variable in fresh.variables]
        found = {number: number_of.get(_key(value)) for number, value in enumerate(self._initial)}
        self.copies = {number: of for number, of in found.items() if of is not None}

    @property
    def rate_is_data(self) -> bool:
        """Whether another learning rate is only other data, and no other program."""
        return self._scales or not self._scheduled

    def reset(self, learning_rate: float) -> float:
        """Puts the optimizer in its first state, with another learning rate.

        Args:
            learning_rate: Of the first step, which the model's weights are to be set for.

        Returns:
            What a schedule has to be multiplied by; 1 where there is nothing to multiply.
        """
        factor = 1.0
        if self._scheduled and learning_rate != self._rate:
            if self._scales:
                factor = learning_rate / self._rate
            else:
                self._recompile(learning_rate)
        weights = self._model.trainable_variables
        for number, variable in enumerate(self._model.optimizer.variables):
            of = self.copies.get(number)
            variable.assign(self._initial[number] if of is None else _value(weights[of]))
        if not self._scheduled:
            self._model.optimizer.learning_rate = learning_rate
        return factor

    def _recompile(self, learning_rate: float) -> None:
        excluded = decay_exclusions(self._model)
        new = copy_object(self._model.optimizer, "the optimizer")
        schedule = scaled_schedule(learning_rate_source(new), learning_rate / self._rate)
        unscaled(new).learning_rate = schedule
        self._model.compile(**{**self._settings, "optimizer": new})
        exclude_from_decay(self._model, excluded)
        new.build(self._model.trainable_variables)
        self._remember()


@contextmanager
def _marked(variables: Sequence[keras.Variable]) -> Iterator[None]:
    # With values that nothing else begins with.
    before = [_value(variable) for variable in variables]
    random = np.random.default_rng(0)
    for variable in variables:
        variable.assign(2 + random.random(variable.shape, "float32"))
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _key(value: Array) -> Any:
    return value.shape, value.tobytes()


def _value(variable: keras.Variable) -> Array:
    return np.array(keras.ops.convert_to_numpy(variable))


def _is_proportional(schedule: Any) -> bool:
    # One of the user's own may have rates by other names, which stay.
    doubled = scaled_schedule(schedule, 2.0)
    steps = (0, 1, 10, 100, 1_000, 10_000, 100_000)
    rates = [[float(one(step)) for step in steps] for one in (schedule, doubled)]
    return np.allclose(2 * np.array(rates[0]), rates[1], rtol=1e-5, atol=0)


def scaled_schedule(schedule: Any, factor: float) -> Any:
    """A schedule of the same class with all rates that it is made of times a factor.

    Args:
        schedule: A learning rate schedule.
        factor: The factor.

    Returns:
        A schedule that Keras can save.

    Raises:
        InputError: If the schedule has no rate of those names that Keras gives them.
    """
    rates = _rates(schedule)
    if not rates:
        raise InputError(
            f"the learning rate schedule {type(schedule).__name__} has no initial rate to vary",
            received="several learning rates",
            expected="a schedule with `initial_learning_rate`, or a plain learning rate",
        )
    scaled = {name: _times(value, factor) for name, value in rates.items()}
    return type(schedule).from_config({**schedule.get_config(), **scaled})


def _times(value: Any, factor: float) -> Any:
    return [one * factor for one in value] if isinstance(value, list | tuple) else value * factor
