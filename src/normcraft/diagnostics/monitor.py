"""Watches normalization during a user's own `fit`, within a share of its time."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft._core.keras_private import sublayers
from normcraft.diagnostics.copying import copy_to_run
from normcraft.diagnostics.counts import check_count
from normcraft.diagnostics.explain import ROWS, explain_model, layers_on
from normcraft.diagnostics.explanation import Explanation
from normcraft.diagnostics.inputs import first_rows
from normcraft.diagnostics.monitor_record import LayerRecord, MonitorRecord
from normcraft.diagnostics.places import places_of
from normcraft.diagnostics.warm_up import (
    LITTLE,
    initial_weight,
    keeps_averages,
    settled_step,
    weighing,
)
from normcraft.graph import LayerGraph, is_normalization, unwrapped
from normcraft.trainers.randomness import kept_stream

__all__ = ["Monitor"]

Array = np.ndarray[Any, np.dtype[Any]]
MOST = 32  # moments that are kept
MEMORY = 256 << 20  # bytes that they may take
LARGEST_BUDGET = 0.5
SEEN = 0.25  # share of the budget for what it can time: emptied queues and caches cost as well


class _Moment(NamedTuple):
    step: int
    epoch: int
    seconds: float
    values: list[Array]


class Monitor(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights at some moments of training, and explains them when it is over.

    Nothing is computed while the model trains: weights are copied at moments as far apart as the
    budget asks for. What `history` says is computed from the copies on first use. Where the
    moments would be more than 32, or take more than 256 MiB, every second one is let go and the
    others come half as often; the first and the last always stay.

    It runs before a batch rather than behind one, so that Keras goes on without waiting for the
    losses of each; on JAX it puts the state of a compiled step back into the model for the moment.

    Args:
        x: Rows of inputs to look at, of which the first 32 are taken; None for what the weights
            tell alone.
        every: Batches between two moments at least; None for as few as the budget allows.
        budget: Share of the training time that it may take.
        verbose: Whether it says at the end of training what is wrong, in one line.
    """

    def __init__(
        self, x: Any = None, *, every: int | None = None, budget: float = 0.02, verbose: bool = True
    ) -> None:
        super().__init__()
        check_count(1 if every is None else every, "every", least=1)
        if not 0 < budget <= LARGEST_BUDGET:
            raise InputError(
                "the budget is no share of the training time",
                received=repr(budget),
                expected=f"a number above 0 and up to {LARGEST_BUDGET:g}, for example 0.02",
            )
        self._x = x
        self._every = every or 1
        self._budget = budget
        self._verbose = verbose
        self._moments: list[_Moment] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets what was kept of an earlier training."""
        del logs
        self._began = time.perf_counter()
        self._spent, self._own, self._taken = 0.0, 0.0, 0
        self._paced_from: float | None = None
        self._between, self._waited = self._every, 0
        self._moments, self._epoch = [], 0
        self.__dict__.pop("history", None)
        self.__dict__.pop("explanation", None)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Takes the number of the epoch down."""
        del logs
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Keeps the weights where that is due and within the budget."""
        del batch, logs
        self._waited += 1
        if not self._moments:
            self._keep()
        elif self._paced_from is None:  # what the first step took was compilation
            self._paced_from = time.perf_counter()
        elif self._waited >= self._between:
            expected = self._spent * (1 + 1 / self._taken)
            if expected <= SEEN * self._budget * (time.perf_counter() - self._paced_from):
                self._keep()

    def on_train_end(self, logs: Any = None) -> None:
        """Keeps the weights a last time and says what is wrong with normalization."""
        del logs
        self._keep()
        sentence = self.warning
        if self._verbose and sentence:
            print(f"normcraft: {sentence}", file=sys.stderr)

    def _keep(self) -> None:
        started = time.perf_counter()
        sync = getattr(self.model, "jax_state_sync", None)
        if sync is not None:
            sync()
        own = time.perf_counter() - started
        optimizer = getattr(self.model, "optimizer", None)
        # Waits for steps that are under way: lost where the device then waits for the next ones.
        step = 0 if optimizer is None else int(keras.ops.convert_to_numpy(optimizer.iterations))
        copying = time.perf_counter()
        values = [np.array(keras.ops.convert_to_numpy(v)) for v in self._variables]
        if self._moments and self._moments[-1].step == step:
            self._moments.pop()
        self._moments.append(_Moment(step, self._epoch + 1, started - self._began, values))
        if len(self._moments) > max(2, min(MOST, MEMORY // max(1, sum(v.nbytes for v in values)))):
            self._moments[1:-1] = self._moments[2:-1:2]
            self._between *= 2
        self._waited = 0
        ended = time.perf_counter()
        self._own += own + ended - copying
        self._spent += ended - started
        self._taken += 1

    @property
    def _variables(self) -> list[Any]:
        if self._x is not None:
            return list(self.model.weights)
        return [v for layer in self._normalization for v in layer.weights]

    @property
    def _normalization(self) -> list[Any]:
        found = [unwrapped(layer) for layer in sublayers(self.model) if is_normalization(layer)]
        return list({id(layer): layer for layer in found}.values())

    @property
    def seconds(self) -> float:
        """How long it took, out of the training time; without waiting for steps under way."""
        return self._own

    @property
    def warning(self) -> str | None:
        """What is wrong with normalization at the end of training, in one line; None for nothing.

        It is about moving averages and frozen layers alone; `explanation` has all findings.
        """
        step = self._moments[-1].step if self._moments else 0
        parts = [part for part in (self._young(step), self._frozen(), self._broken()) if part]
        return "; ".join(parts) or None

    def _young(self, step: int) -> str | None:
        young = [
            (initial_weight(weighing(layer), step), layer)
            for layer in self._normalization
            if keeps_averages(layer) and layer.trainable
        ]
        young = [one for one in young if one[0] > LITTLE]
        if not young:
            return None
        weight, layer = max(young, key=lambda one: one[0])
        settled = settled_step(weighing(layer))
        until = "" if settled is None else f", under 1% from step {settled} on"
        names = _names([layer.name for _, layer in young])
        return (
            f"after {step} steps {weight:.1%} of the moving averages of {names} are still initial "
            f"values{until}: train longer, or re-estimate them before you judge the model"
        )

    def _frozen(self) -> str | None:
        names = [layer.name for layer in self._normalization if not layer.trainable]
        return f"{_names(names)} frozen: on moving statistics in training too" if names else None

    def _broken(self) -> str | None:
        broken = [
            layer.name
            for layer in self._normalization
            if not all(np.isfinite(keras.ops.convert_to_numpy(v)).all() for v in layer.weights)
        ]
        return f"weights of {_names(broken)} are not finite" if broken else None

    @cached_property
    def history(self) -> tuple[MonitorRecord, ...]:
        """What was recorded, in the order of training."""
        if not self._moments:
            return ()
        with _kept_randomness():
            return tuple(self._records())

    def _records(self) -> list[MonitorRecord]:
        copy, links = copy_to_run(self.model)
        own = {id(original): new for original, new in links}
        places = places_of(LayerGraph.read(copy))
        rows = None if self._x is None else first_rows(copy, self._x, ROWS)
        records = []
        for moment in self._moments:
            for variable, value in zip(self._variables, moment.values, strict=True):
                if id(variable) in own:
                    own[id(variable)].assign(value)
            if rows is None:
                layers = [_of_weights(place, moment.step) for place in places]
            else:
                found, _ = layers_on(copy, places, rows, moment.step)
                layers = [LayerRecord.of(layer) for layer in found]
            record = MonitorRecord(moment.step, moment.epoch, moment.seconds, tuple(layers))
            records.append(record)
        return records

    @cached_property
    def explanation(self) -> Explanation:
        """What `explain` says of the model as training left it, on the probe rows.

        Raises:
            InputError: If there are none.
        """
        if self._x is None:
            raise InputError(
                "the monitor has no rows to explain the model on",
                received="x=None",
                expected="NormalizationMonitor(x) with some rows of inputs",
            )
        with _kept_randomness():
            return explain_model(self.model, self._x)


@contextmanager
def _kept_randomness() -> Iterator[None]:
    # New layers draw their seeds from Python's own stream, which a training may go on with.
    state = random.getstate()
    try:
        with kept_stream():
            yield
    finally:
        random.setstate(state)


def _of_weights(place: Any, step: int) -> LayerRecord:
    layer = unwrapped(place.call.layer)
    keeps = keeps_averages(layer)
    moving = (layer.moving_mean, layer.moving_variance) if keeps else (None, None)
    mean, variance = (
        None if v is None else tuple(keras.ops.convert_to_numpy(v).astype("float64").tolist())
        for v in moving
    )
    mode = None if place.placement else "training" if layer.trainable else "frozen"
    weight = initial_weight(weighing(layer), step) if keeps else None
    return LayerRecord(place.call.site, mode, weight, mean, variance)


def _names(names: list[str]) -> str:
    listed = ", ".join(names[:2])
    return listed if len(names) <= 2 else f"{listed} and {len(names) - 2} more"
