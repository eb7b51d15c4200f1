"""The compiled program of an arm: epochs, evaluation, population statistics and activations.

Seed, weights, batch order and learning rate are data, so all trials of the arm share it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import lax

from normcraft._core.keras_private import learning_rate_source
from normcraft.trainers.fused.forms import Chosen, in_forms
from normcraft.trainers.fused.rate import Schedule, scaled, with_schedule
from normcraft.trainers.fused.rows import Rows, take

__all__ = ["Program", "State"]

Array = np.ndarray[Any, np.dtype[Any]]
Data = tuple[Any, Any]
Carry = tuple[list[Any], ...]
Logs = dict[str, Any]
Step = Callable[[Carry, Any, Any], Carry]
Through = Callable[[Carry, Any, Data, "Rows"], tuple[Carry, Logs]]


class State(NamedTuple):
    """What training changes.

    Attributes:
        trainable: Values of the model's trainable variables.
        non_trainable: Values of its other variables: statistics, states of random layers.
        optimizer: Values of the optimizer's variables.
    """

    trainable: list[Any]
    non_trainable: list[Any]
    optimizer: list[Any]


class Program:
    """What is done with a model, compiled when it is first done.

    The step is Keras's own (`train_step` of its JAX trainer): whatever loss, metrics, optimizer and
    regularizers a model has compute as they do in `fit`.

    Args:
        model: A compiled model whose optimizer and metrics are built. Its variables are read while
            a function is traced, and never changed.
        chosen: The forms that its layers are computed in.
        looped: Whether an epoch is one program, else a program for each step. XLA's convolutions
            are slow inside of a loop on a CPU.
    """

    def __init__(self, model: keras.Model, chosen: Chosen, *, looped: bool) -> None:
        self._model = model
        self._chosen = chosen
        self._fresh = [np.array(variable.value) for variable in model.metrics_variables]
        total = model.metrics[0].variables[0]
        self._loss = next(i for i, v in enumerate(model.metrics_variables) if v is total)
        through = _in_one_program if looped else _step_by_step
        self._train = through(self._train_step, self._logs, self._loss, gives_up=(0,))
        self._test = through(self._test_step, self._logs, self._loss, gives_up=())

    def train(self, state: State, factor: float, data: Data, rows: Rows) -> tuple[State, Logs]:
        """Trains on all rows; ends early where the loss is no longer finite.

        Args:
            state: Where training stands; it may not be used again.
            factor: What a schedule of the learning rate is multiplied by.
            data: Inputs and labels on the device.
            rows: Which of them.

        Returns:
            The new state, and the mean loss and metrics over the rows.
        """
        given = np.float32(factor)
        (*values, _), logs = self._train((*state, self._metrics()), given, data, rows)
        return State(*values), logs

    def evaluate(self, state: State, data: Data, rows: Rows) -> Logs:
        """Loss and metrics at inference.

        Args:
            state: Where training stands.
            data: Inputs and labels on the device.
            rows: Which of them.

        Returns:
            Means over the rows.
        """
        held = state.trainable, state.non_trainable
        return self._test((*held, self._metrics()), np.float32(1), data, rows)[1]

    def _train_step(self, carry: Carry, factor: Any, batch: Any) -> Carry:
        optimizer = self._model.optimizer
        schedule = learning_rate_source(optimizer)
        if isinstance(schedule, Schedule):
            schedule = scaled(schedule, factor)
        with in_forms(self._chosen), with_schedule(optimizer, schedule):
            return _lists(self._model.train_step(carry, batch)[1])

    def _test_step(self, carry: Carry, factor: Any, batch: Any) -> Carry:
        del factor
        with in_forms(self._chosen):
            return _lists(self._model.test_step(carry, batch)[1])

    def _metrics(self) -> list[Any]:
        return list(self._fresh)

    def _logs(self, metrics: list[Any]) -> Any:
        pairs = zip(self._model.metrics_variables, metrics, strict=True)
        with keras.StatelessScope(state_mapping=list(pairs)):
            return self._model.get_metrics_result()


def _in_one_program(step: Step, logs: Any, loss: int, gives_up: tuple[int, ...]) -> Through:
    def run(carry: Carry, factor: Any, data: Data, rows: Rows) -> tuple[Carry, Logs]:
        def unfinished(loop: tuple[Any, Carry]) -> Any:
            index, (*_, metrics) = loop
            return (index < len(rows.batches)) & jnp.isfinite(metrics[loss])

        def advance(loop: tuple[Any, Carry]) -> tuple[Any, Carry]:
            index, carry = loop
            return index + 1, step(carry, factor, take(data, rows.batches[index]))

        carry = _lists(carry)
        if len(rows.batches):
            carry = lax.while_loop(unfinished, advance, (jnp.int32(0), carry))[1]
        if len(rows.rest):
            carry = step(carry, factor, take(data, rows.rest))
        return carry, logs(carry[-1])

    compiled: Through = jax.jit(run, donate_argnums=gives_up)
    return compiled


def _step_by_step(step: Step, logs: Any, loss: int, gives_up: tuple[int, ...]) -> Through:
    del loss

    def one(carry: Carry, factor: Any, data: Data, some: Any) -> Carry:
        return step(carry, factor, take(data, some))

    compiled, finish = jax.jit(one, donate_argnums=gives_up), jax.jit(logs)

    def run(carry: Carry, factor: Any, data: Data, rows: Rows) -> tuple[Carry, Logs]:
        for some in rows.each():
            carry = compiled(carry, factor, data, some)
        return carry, finish(carry[-1])

    return run


def _lists(carry: Any) -> Carry:
    return tuple(map(list, carry))
