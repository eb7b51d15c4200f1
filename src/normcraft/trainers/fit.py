"""Trials by `Model.fit`: any backend, optimizer, loss and metric; one compiled model an arm."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from normcraft.graph import LayerGraph, activation_name
from normcraft.records import Epoch, TrialRecord, TrialSpec
from normcraft.surgery import StatisticsProbe, draw_weights, site_seed
from normcraft.surgery.probe import even_batch_size
from normcraft.trainers.chance import chance_score
from normcraft.trainers.objective import Objective
from normcraft.trainers.optimizer import ReusableOptimizer
from normcraft.trainers.provenance import machine, versions
from normcraft.trainers.randomness import kept_stream, stream_seeder
from normcraft.trainers.trial_data import TrialData

__all__ = ["FitTrainer"]

Array = np.ndarray[Any, np.dtype[Any]]
ACTIVATION_SAMPLES = 64

# TensorFlow warns when a fourth function is traced; a study compiles several models by design.
logging.getLogger("tensorflow").addFilter(
    lambda record: "triggered tf.function retracing" not in record.getMessage()
)


class FitTrainer:
    """Trains the trials of one arm one after another on one compiled model.

    Seed and learning rate are set by resetting variables, so nothing is compiled twice. Weights,
    batch order, dropout and split follow from the seed alone: trials of different arms are paired.

    Args:
        model: The arm's compiled model; it belongs to the trainer from now on.
        objective: The metric that judges.
        initial: `"reinitialize"` draws weights from the seed; `"keep"` begins with the model's.
    """

    def __init__(
        self, model: keras.Model, objective: Objective, *, initial: str = "reinitialize"
    ) -> None:
        self.model = model
        self._objective = objective
        self._kept = _values(model) if initial == "keep" else None
        self._optimizer = ReusableOptimizer(model)
        self._statistics = StatisticsProbe(model)
        self._generators = _random_generators(model)
        self._activations = _activation_reader(model)

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
        self._reset(spec)
        record = TrialRecord(
            spec,
            "finished",
            chance_score=chance_score(self.model, data, self._objective.metric),
            versions=versions(),
            machine=machine(),
        )
        curve: list[Epoch] = []
        epochs = data.epochs(spec)
        for epoch in range(spec.epochs):
            curve.append(self._train_epoch(spec, data, epoch, next(epochs)))
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

    def _reset(self, spec: TrialSpec) -> None:
        weights = self._kept or draw_weights(self.model, spec.seed)
        for variable, value in zip(self.model.variables, weights, strict=True):
            variable.assign(value)
        self._optimizer.reset(spec.learning_rate)

    def _train_epoch(
        self, spec: TrialSpec, data: TrialData, epoch: int, batches: dict[str, Any]
    ) -> Epoch:
        for key, generator in self._generators:
            generator.assign([site_seed(spec.seed, "dropout", key, epoch), 0])
        started = time.perf_counter()
        with kept_stream():
            history = self.model.fit(
                **batches,
                epochs=1,
                shuffle=False,
                verbose=0,
                callbacks=stream_seeder(site_seed(spec.seed, "stream", epoch)),
            ).history
        seconds = time.perf_counter() - started
        loss, score = (_finite(history.get(key, [None])[0]) for key in ("loss", self._metric))
        validation_loss, validation_score = self._evaluate(data.x_validation, data.y_validation)
        return Epoch(epoch + 1, loss, score, validation_loss, validation_score, seconds)

    @property
    def _metric(self) -> str:
        return self._objective.metric

    def _evaluate(self, x: Any, y: Any) -> tuple[float | None, float | None]:
        """Loss and score; None where not finite."""
        size = even_batch_size(len(keras.tree.flatten(x)[0]))
        values = self.model.evaluate(x, y, batch_size=size, verbose=0, return_dict=True)
        score = _finite(values[self._metric])
        if score is not None and self._objective.as_fraction:
            score = _exact_share(score, len(keras.tree.flatten(y)[0]))
        return _finite(values["loss"]), score

    def _judge(self, record: TrialRecord, last: Epoch, data: TrialData) -> TrialRecord:
        """Adds the scores with re-estimated statistics; diverged where they are not finite."""
        loss, score = last.validation_loss, last.validation_score
        if self._statistics.num_layers:
            self._statistics.update(data.inputs(record.spec))
            loss, score = self._evaluate(data.x_validation, data.y_validation)
        if score is None or loss is None:
            reason = "the validation loss of the trained model is not finite"
            return replace(record, outcome="diverged", reason=reason)
        test = data.dataset.x_test, data.dataset.y_test
        return replace(
            record,
            score=score,
            loss=loss,
            score_as_trained=last.validation_score,
            test_score=self._evaluate(*test)[1] if test[0] is not None else None,
            activations=self._activations(data.sample(ACTIVATION_SAMPLES)),
        )


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


def _activation_reader(model: keras.Model) -> Callable[[Any], dict[str, dict[str, float]]]:
    """Reads mean, standard deviation and share of zeros behind every activation of the model."""
    tensors = {
        layer.name: layer.output for layer in model.layers if activation_name(layer) is not None
    }
    if not tensors:
        return lambda x: {}
    probe = keras.Model(model.inputs, list(tensors.values()))

    def read(x: Any) -> dict[str, dict[str, float]]:
        outputs = probe.predict(x, batch_size=ACTIVATION_SAMPLES, verbose=0)
        values = outputs if isinstance(outputs, list) else [outputs]
        return {name: _summary(value) for name, value in zip(tensors, values, strict=True)}

    return read


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
