"""Trials by `Model.fit`: any backend, optimizer, loss and metric."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from normcraft.surgery import StatisticsProbe, site_seed
from normcraft.surgery.probe import even_batch_size
from normcraft.trainers.objective import Objective
from normcraft.trainers.optimizer import changes_weights
from normcraft.trainers.randomness import kept_stream, stream_seeder
from normcraft.trainers.trainer import (
    ACTIVATION_SAMPLES,
    Logs,
    Summaries,
    Trainer,
    Trials,
    Weights,
    activation_tensors,
)

__all__ = ["FitTrainer"]

Array = np.ndarray[Any, np.dtype[Any]]

# TensorFlow warns when a fourth function is traced; a study compiles several models by design.
logging.getLogger("tensorflow").addFilter(
    lambda record: "triggered tf.function retracing" not in record.getMessage()
)


class FitTrainer(Trainer):
    """Trains by Keras's own `fit`, on one compiled model.

    Args:
        model: The arm's compiled model; it belongs to the trainer from now on.
        objective: The metric that judges.
        initial: Values of the model's variables to begin with; None draws them from the seed.
    """

    def __init__(
        self, model: keras.Model, objective: Objective, *, initial: Weights | None = None
    ) -> None:
        super().__init__(model, objective, initial=initial)
        self._statistics = StatisticsProbe(model)
        tensors = activation_tensors(model)
        self._names = list(tensors)
        self._probe = keras.Model(model.inputs, list(tensors.values())) if tensors else None

    def _begin(self, trials: Trials) -> None:
        spec, data = trials[0]
        weights = self._initial_weights(spec.seed)
        for variable, value in zip(self.model.variables, weights, strict=True):
            variable.assign(value)
        self._optimizer.reset(spec.learning_rate)
        self._batches = data.epochs(spec)

    def _train_epoch(self, trials: Trials, epoch: int) -> list[Logs]:
        seed = trials[0].spec.seed
        for key, generator in self._generators:
            generator.assign([site_seed(seed, "dropout", key, epoch), 0])
        batches = next(self._batches)
        with kept_stream(), _unfinished(self.model.optimizer):
            history = self.model.fit(
                **batches,
                epochs=1,
                shuffle=False,
                verbose=0,
                callbacks=stream_seeder(site_seed(seed, "stream", epoch)),
            ).history
        return [{key: value[0] for key, value in history.items()}]

    def _evaluate(self, part: str, trials: Trials) -> list[Logs]:
        x, y = trials[0].data.judged_on(part)
        size = even_batch_size(len(keras.tree.flatten(x)[0]))
        return [self.model.evaluate(x, y, batch_size=size, verbose=0, return_dict=True)]

    def _complete(self, trials: Trials) -> bool:
        spec, data = trials[0]
        optimizer = self.model.optimizer
        optimizer.finalize_variable_values(self.model.trainable_variables)
        if self._statistics.num_layers:
            self._statistics.update(data.inputs(spec))
        return bool(self._statistics.num_layers) or changes_weights(optimizer)

    def _activations(self, trials: Trials) -> list[Summaries]:
        if self._probe is None:
            return [{}]
        outputs = self._probe.predict(trials[0].data.sample(ACTIVATION_SAMPLES), verbose=0)
        summaries = map(_summary, keras.tree.flatten(outputs))
        return [dict(zip(self._names, summaries, strict=True))]

    def _bring(self, index: int) -> None:
        pass  # the model has the weights of the one trial that there is


@contextmanager
def _unfinished(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    # What an optimizer puts in place when `fit` ends it is to put there after the last epoch alone.
    object.__setattr__(optimizer, "finalize_variable_values", lambda variables: None)
    try:
        yield
    finally:
        object.__delattr__(optimizer, "finalize_variable_values")


def _summary(value: Array) -> dict[str, float]:
    value = np.asarray(value, "float64")
    return {
        "mean": float(value.mean()),
        "std": float(value.std()),
        "zero": float((value == 0).mean()),
    }
