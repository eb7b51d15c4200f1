"""What all trainers have in common: the course of a trial, and how it is judged."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from normcraft.graph import LayerGraph, activation_name
from normcraft.records import Epoch, TrialRecord, TrialSpec
from normcraft.surgery import draw_weights
from normcraft.trainers.chance import chance_score
from normcraft.trainers.objective import Objective
from normcraft.trainers.optimizer import ReusableOptimizer
from normcraft.trainers.provenance import machine, versions
from normcraft.trainers.trial_data import TrialData

__all__ = ["Logs", "Trainer", "activation_tensors"]

Array = np.ndarray[Any, np.dtype[Any]]
Logs = dict[str, Any]
ACTIVATION_SAMPLES = 64


class Trainer(ABC):
    """Trains the trials of one arm one after another, and compiles nothing twice.

    Seed and learning rate are set by resetting variables. Weights, batch order, dropout and split
    follow from the seed alone: trials of different arms are paired.

    Args:
        model: The arm's compiled model; it belongs to the trainer from now on.
        objective: The metric that judges.
        initial: `"reinitialize"` draws weights from the seed; `"keep"` begins with the model's.
    """

    RATE_IS_DATA = False

    def __init__(
        self, model: keras.Model, objective: Objective, *, initial: str = "reinitialize"
    ) -> None:
        self.model = model
        self._objective = objective
        self._kept = _values(model) if initial == "keep" else None
        self._optimizer = ReusableOptimizer(model, factors=self.RATE_IS_DATA)
        self._generators = _random_generators(model)

    @abstractmethod
    def _train_epoch(self, spec: TrialSpec, data: TrialData, epoch: int) -> Logs:
        """Trains one epoch; gives the mean loss and metrics over it."""

    @abstractmethod
    def _evaluate(self, part: str, data: TrialData) -> Logs:
        """Loss and metrics on the `"validation"` or the `"test"` data."""

    @abstractmethod
    def _reestimate(self, spec: TrialSpec, data: TrialData) -> bool:
        """Re-estimates the statistics of normalization; False where the model has none."""

    @abstractmethod
    def _activations(self, x: Any) -> dict[str, Array]:
        """What comes out of `activation_tensors` for inputs, by name."""

    def train(
        self,
        spec: TrialSpec,
        data: TrialData,
        *,
        on_epoch: Callable[[TrialSpec, int], None] = lambda spec, epoch: None,
    ) -> TrialRecord:
        """Runs one trial.

        Args:
            spec: What to run.
            data: The data of the spec's seed.
            on_epoch: Called after every epoch with the trial and the epoch's number, from 1.

        Returns:
            A record that is `finished` or `diverged`; the model keeps the trained weights.
        """
        started = time.perf_counter()
        self._begin(spec, data)
        record = TrialRecord(
            spec,
            "finished",
            chance_score=chance_score(self.model, data, self._objective.metric),
            versions=versions(),
            machine=machine(),
        )
        curve: list[Epoch] = []
        for epoch in range(spec.epochs):
            curve.append(self._epoch(spec, data, epoch))
            on_epoch(spec, epoch + 1)
            if curve[-1].loss is None:
                reason = f"the training loss was no longer finite in epoch {epoch + 1}"
                record = replace(record, outcome="diverged", reason=reason)
                break
        else:
            record = self._judge(record, curve[-1], data)
        return replace(
            record,
            curve=tuple(curve),
            seconds=time.perf_counter() - started,
            step_milliseconds=_step_milliseconds(curve, spec, data),
        )

    def save(self, path: Path) -> None:
        """Writes the model with the weights of the last trial, as plain compiled Keras.

        Args:
            path: A `.keras` file.
        """
        self.model.save(path)

    def _begin(self, spec: TrialSpec, data: TrialData) -> None:
        """Puts the model and its optimizer in the state in which the trial begins."""
        del data
        weights = self._kept or draw_weights(self.model, spec.seed)
        for variable, value in zip(self.model.variables, weights, strict=True):
            variable.assign(value)
        self._factor = self._optimizer.reset(spec.learning_rate)

    def _epoch(self, spec: TrialSpec, data: TrialData, epoch: int) -> Epoch:
        started = time.perf_counter()
        logs = self._train_epoch(spec, data, epoch)
        loss, score = _finite(logs["loss"]), _finite(logs.get(self._objective.metric))
        seconds = time.perf_counter() - started
        return Epoch(epoch + 1, loss, score, *self._scores("validation", data), seconds)

    def _scores(self, part: str, data: TrialData) -> tuple[float | None, float | None]:
        """Loss and score on one part of the data; None where not finite."""
        logs = self._evaluate(part, data)
        score = _finite(logs[self._objective.metric])
        if score is not None and self._objective.as_fraction:
            score = _exact_share(score, data.num_judged(part))
        return _finite(logs["loss"]), score

    def _judge(self, record: TrialRecord, last: Epoch, data: TrialData) -> TrialRecord:
        """Adds the scores with re-estimated statistics; diverged where they are not finite."""
        loss, score = last.validation_loss, last.validation_score
        if self._reestimate(record.spec, data):
            loss, score = self._scores("validation", data)
        if score is None or loss is None:
            reason = "the validation loss of the trained model is not finite"
            return replace(record, outcome="diverged", reason=reason)
        tested = data.dataset.x_test is not None
        return replace(
            record,
            score=score,
            loss=loss,
            score_as_trained=last.validation_score,
            test_score=self._scores("test", data)[1] if tested else None,
            activations={
                name: _summary(value)
                for name, value in self._activations(data.sample(ACTIVATION_SAMPLES)).items()
            },
        )


def activation_tensors(model: keras.Model) -> dict[str, Any]:
    """What comes out behind every activation of a model.

    Args:
        model: A built model.

    Returns:
        Symbolic tensors by name of the layer.
    """
    return {layer.name: layer.output for layer in model.layers if activation_name(layer)}


def _values(model: keras.Model) -> list[Array]:
    return [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]


def _finite(value: Any) -> float | None:
    if value is None or not np.isfinite(value):
        return None
    return float(value)


def _exact_share(score: float, size: int) -> float:
    """A share of `size` samples that float32 rounded, as the exact quotient: ties stay ties."""
    count = round(score * size)
    return count / size if abs(score - count / size) < 1e-6 else score


def _random_generators(model: keras.Model) -> list[tuple[str, Any]]:
    """The states of all random layers, each with a key that is the same in every arm."""
    layers = {id(call.layer): call for call in LayerGraph.read(model).calls}
    return [
        (f"{call.key}/{index}", variable)
        for call in layers.values()
        for index, variable in enumerate(getattr(call.layer, "variables", ()))
        if variable.name == "seed_generator_state"
    ]


def _summary(value: Array) -> dict[str, float]:
    value = np.asarray(value, "float64")
    return {
        "mean": float(value.mean()),
        "std": float(value.std()),
        "zero": float((value == 0).mean()),
    }


def _step_milliseconds(curve: list[Epoch], spec: TrialSpec, data: TrialData) -> float | None:
    # The first epoch compiles where the model is new.
    timed = [point.seconds for point in (curve[1:] or curve)]
    steps = spec.steps_per_epoch or -(-data.num_samples // spec.batch_size)
    return 1000 * float(np.median(timed)) / steps if timed else None
