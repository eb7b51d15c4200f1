"""The compiled program of an arm: epochs, evaluation, population statistics and activations.

Seed, weights, batch order and learning rate are data, so all trials of the arm share it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import jax
import keras
import numpy as np

from normcraft._core.keras_private import learning_rate_source
from normcraft.trainers.fused.feed import Chunk
from normcraft.trainers.fused.forms import Chosen, in_forms
from normcraft.trainers.fused.lanes import in_lanes, joined
from normcraft.trainers.fused.rate import Schedule, scaled, with_schedule
from normcraft.trainers.fused.shared import Needed, Shared
from normcraft.trainers.fused.strands import Stopped, never
from normcraft.trainers.fused.through import Carry, Through, in_loops, loops, step_by_step

__all__ = ["Program", "State"]

Array = np.ndarray[Any, np.dtype[Any]]
Logs = dict[str, Any]
PROBED = 4  # steps that tell roughly how long one takes
LONG = 0.1  # seconds of a step, of which one tells enough


class State(NamedTuple):
    """What training changes; each array has an axis in front, a lane for each trial.

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
        model: A compiled model whose optimizer and metrics are built. Its metrics are reset; its
            other variables are read while a function is traced, and never changed.
        chosen: The forms that its layers are computed in.
        judging: The same where trials are judged.
        convolves: Whether convolutions are left to the library.
        lanes: How many trials it trains at once.
    """

    def __init__(
        self,
        model: keras.Model,
        chosen: Chosen,
        *,
        judging: Chosen,
        convolves: bool,
        lanes: int = 1,
    ) -> None:
        self._model = model
        self._chosen, self._judging = chosen, judging
        self._lanes = lanes
        model.reset_metrics()
        fresh = [np.array(variable.value) for variable in model.metrics_variables]
        self._fresh = joined([fresh] * lanes)
        way: Callable[..., Through] = in_loops if loops(convolves=convolves) else step_by_step
        through = partial(way, lanes=lanes, convolves=convolves)
        self._train = through(self._train_step, gives_up=(0,), total=_loss_total(model))
        self._test = through(self._test_step, gives_up=())
        self._finish = Shared(in_lanes(self._logs, lanes, (0,)), alike=1, seldom=True)

    def train(
        self, state: State, factors: Any, chunks: Iterable[Chunk], stopped: Stopped = never
    ) -> tuple[State, Logs]:
        """Trains on all chunks; ends early where no loss is finite any more.

        Args:
            state: Where training stands, of all trials; it may not be used again.
            factors: What a schedule of the learning rate is multiplied by, of each trial.
            chunks: Inputs, labels and perhaps weights of samples.
            stopped: Says that the rest is not wanted any more.

        Returns:
            The new state, and the mean loss and metrics of each trial over all chunks.
        """
        carry = (*state, self._metrics())
        *values, metrics = self._train.run(carry, factors, chunks, stopped=stopped)
        return State(*values), self._finish(metrics)

    def needed_to_train(self, state: State, factors: Any, chunk: Chunk) -> list[Needed]:
        """The programs of `train`.

        Args:
            state: Where training stands, of all trials.
            factors: What a schedule of the learning rate is multiplied by, of each trial.
            chunk: Data.

        Returns:
            The one that takes most steps first.
        """
        found = self._train.needed((*state, self._metrics()), factors, chunk)
        return [*found, Needed(self._finish, (self._metrics(),))]

    def needed_to_evaluate(self, state: State, chunk: Chunk) -> list[Needed]:
        """The programs of `evaluate`.

        Args:
            state: Where training stands, of all trials.
            chunk: Data.

        Returns:
            The one that takes most steps first.
        """
        return self._test.needed(*self._to_evaluate(state), chunk)

    def step_seconds(self, state: State, factors: Any, chunk: Chunk) -> float:
        """How long a step takes, once it is compiled.

        Args:
            state: Where training stands, of all trials; it may not be used again.
            factors: What a schedule of the learning rate is multiplied by, of each trial.
            chunk: Data; some of its steps are taken.

        Returns:
            Seconds of a step of all trials, the median of three runs of half a second in all;
            infinite where no batch is whole.
        """
        if not chunk.rows.steps:
            return float("inf")
        carry = (*state, self._metrics())

        def seconds(steps: int) -> float:
            nonlocal carry
            started = time.perf_counter()
            carry = jax.block_until_ready(self._train.run(carry, factors, [chunk], steps))
            return (time.perf_counter() - started) / steps

        most = chunk.rows.steps
        first = seconds(1)  # memory is made, and what was not compiled yet
        one = seconds(min(PROBED, most) if first < LONG else 1)
        return median(seconds(max(1, min(most, int(1 / (6 * one))))) for _ in range(3))

    def evaluate(self, state: State, chunks: Iterable[Chunk], stopped: Stopped = never) -> Logs:
        """Loss and metrics at inference.

        Args:
            state: Where training stands, of all trials.
            chunks: Inputs and labels.
            stopped: Says that the rest is not wanted any more.

        Returns:
            Means over all chunks of each trial.
        """
        *_, metrics = self._test.run(*self._to_evaluate(state), chunks, stopped=stopped)
        logs: Logs = self._finish(metrics)
        return logs

    def _to_evaluate(self, state: State) -> tuple[Carry, Any]:
        carry = (state.trainable, state.non_trainable, self._metrics())
        return carry, np.ones(self._lanes, "float32")

    def _train_step(self, carry: Carry, factor: Any, batch: Any) -> Carry:
        optimizer = self._model.optimizer
        schedule = learning_rate_source(optimizer)
        if isinstance(schedule, Schedule):
            schedule = scaled(schedule, factor)
        with in_forms(self._chosen), with_schedule(optimizer, schedule):
            return _lists(self._model.train_step(carry, batch)[1])

    def _test_step(self, carry: Carry, factor: Any, batch: Any) -> Carry:
        del factor
        with in_forms(self._judging):
            return _lists(self._model.test_step(carry, batch)[1])

    def _metrics(self) -> list[Any]:
        return list(self._fresh)

    def _logs(self, metrics: list[Any]) -> Any:
        pairs = zip(self._model.metrics_variables, metrics, strict=True)
        with keras.StatelessScope(state_mapping=list(pairs)):
            return self._model.get_metrics_result()


def _loss_total(model: keras.Model) -> int:
    # Keras's first metric is the mean of the loss; its first variable the sum.
    total = model.metrics[0].variables[0]
    return next(i for i, variable in enumerate(model.metrics_variables) if variable is total)


def _lists(carry: Any) -> Carry:
    return tuple(map(list, carry))
