"""What all trainers have in common: the course of a trial, and how it is judged."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from normcraft.graph import LayerGraph, activation_name
from normcraft.records import Epoch, TrialRecord, TrialSpec
from normcraft.surgery import Drawing
from normcraft.trainers.chance import chance_score
from normcraft.trainers.objective import Objective
from normcraft.trainers.optimizer import ReusableOptimizer
from normcraft.trainers.provenance import machine, versions
from normcraft.trainers.trial_data import TrialData

__all__ = ["Logs", "Summaries", "Trainer", "Trial", "Trials", "Weights", "activation_tensors"]

Array = np.ndarray[Any, np.dtype[Any]]
Weights = Sequence[Array]
Logs = dict[str, Any]
Summaries = Mapping[str, Mapping[str, float]]  # mean, std and the share of zeros
OnEpoch = Callable[[TrialSpec, int], None]
ACTIVATION_SAMPLES = 64


class Trial(NamedTuple):
    """One trial.

    Attributes:
        spec: What to run.
        data: The data of the spec's seed.
    """

    spec: TrialSpec
    data: TrialData


Trials = Sequence[Trial]
Scores = list[tuple[float | None, float | None]]  # loss and score


class Trainer(ABC):
    """Trains the trials of one arm, and compiles nothing twice.

    Seed and learning rate are set by resetting variables. Weights, batch order, dropout and split
    follow from the seed alone: trials of different arms are paired.

    Attributes:
        model: The arm's model.
        together: How many trials it can train at once.
        strands: In how many programs side by side.

    Args:
        model: The arm's compiled model; it belongs to the trainer from now on.
        objective: The metric that judges.
        initial: Values of the model's variables to begin with; None draws them from the seed.
    """

    RATE_IS_DATA = False
    together = 1
    strands = 1

    def __init__(
        self, model: keras.Model, objective: Objective, *, initial: Weights | None = None
    ) -> None:
        self.model = model
        self._objective = objective
        self._initial = initial
        self._drawing = Drawing(model)
        self._optimizer = ReusableOptimizer(model, factors=self.RATE_IS_DATA)
        self._generators = _random_generators(model)
        self._chances: dict[int | None, float | None] = {}

    @abstractmethod
    def _begin(self, trials: Trials) -> None:
        """Puts what trains in the state in which the trials begin."""

    @abstractmethod
    def _train_epoch(self, trials: Trials, epoch: int) -> list[Logs]:
        """Trains one epoch; gives the mean loss and metrics over it, of each trial."""

    @abstractmethod
    def _evaluate(self, part: str, trials: Trials) -> list[Logs]:
        """Loss and metrics on the `"validation"` or the `"test"` data, of each trial."""

    @abstractmethod
    def _complete(self, trials: Trials) -> bool:
        """Puts in place what is judged: averaged weights, re-estimated statistics of normalization.

        Returns False where the model has neither.
        """

    @abstractmethod
    def _activations(self, trials: Trials) -> list[Summaries]:
        """What comes out of `activation_tensors` for a sample of each trial's data, by name."""

    @abstractmethod
    def _bring(self, index: int) -> None:
        """Gives the model the weights of one of the trials."""

    def train(
        self, spec: TrialSpec, data: TrialData, *, on_epoch: OnEpoch = lambda spec, epoch: None
    ) -> TrialRecord:
        """Runs one trial.

        Args:
            spec: What to run.
            data: The data of the spec's seed.
            on_epoch: Called after every epoch with the trial and the epoch's number, from 1.

        Returns:
            A record that is `finished` or `diverged`; the model keeps the trained weights.
        """
        (record,) = self.train_together([Trial(spec, data)], on_epoch=on_epoch)
        self._bring(0)
        return record

    def train_together(
        self, trials: Trials, *, on_epoch: OnEpoch = lambda spec, epoch: None
    ) -> list[TrialRecord]:
        """Runs trials at once; one that diverges changes nothing about the others.

        Args:
            trials: As many as `together` at the most, alike but for seed and learning rate.
            on_epoch: Called after every epoch with each trial and the epoch's number, from 1.

        Returns:
            A record of each, `finished` or `diverged`. A trial's times are its share.
        """
        started = time.perf_counter()
        self._begin(trials)
        chances = [self._chance(index, trial) for index, trial in enumerate(trials)]
        curves: list[list[Epoch]] = [[] for _ in trials]
        for epoch in range(trials[0].spec.epochs):
            for trial, curve, point in zip(trials, curves, self._epoch(trials, epoch), strict=True):
                if not _has_diverged(curve):
                    curve.append(point)
                    on_epoch(trial.spec, epoch + 1)
            if all(map(_has_diverged, curves)):
                break
        found = self._judge(trials, curves)
        seconds = (time.perf_counter() - started) / len(trials)
        return [
            TrialRecord(
                trial.spec,
                curve=tuple(curve),
                chance_score=chance,
                seconds=seconds,
                step_milliseconds=_step_milliseconds(curve, *trial),
                versions=versions(),
                machine=machine(),
                **ended,
            )
            for trial, curve, chance, ended in zip(trials, curves, chances, found, strict=True)
        ]

    def first_of(self, waiting: list[TrialSpec]) -> list[TrialSpec]:
        """The trials that are to be trained first, at once.

        Args:
            waiting: Trials of one arm, in the order in which they are to be trained.

        Returns:
            No more than `together`; those of one learning rate where each is another program.
        """
        if self._optimizer.rate_is_data:
            return waiting[: self.together]
        alike = takewhile(lambda one: one.learning_rate == waiting[0].learning_rate, waiting)
        return list(islice(alike, self.together))

    def regroup(self, together: int, strands: int) -> bool:
        """Lets it train other numbers of trials, where nothing has to be compiled for that.

        Args:
            together: How many trials it is to train at once.
            strands: In how many programs side by side.

        Returns:
            Whether it does.
        """
        return (together, strands) == (self.together, self.strands)

    def compile_ahead(self, trial: Trial) -> None:  # noqa: B027
        """Begins to compile, where the trainer can, while weights are drawn or another one trains.

        Args:
            trial: One of the arm's trials.
        """

    def save(self, path: Path, index: int = 0) -> None:
        """Writes the model with the weights of a trial that was trained last, as plain Keras.

        Args:
            path: A `.keras` file.
            index: Which of the trials that were trained together.
        """
        self._bring(index)
        self._write(path)

    def _write(self, path: Path) -> None:
        self.model.save(path)

    def _initial_weights(self, seed: int) -> Weights:
        return self._drawing.weights(seed) if self._initial is None else self._initial

    def _chance(self, index: int, trial: Trial) -> float | None:
        if self._objective.metric == "loss":
            self._bring(index)  # a loss holds what regularizes the weights
            return self._chance_score(trial.data)
        # Without a split of their own, all seeds have the same labels.
        seed = None if trial.data.training is None else trial.spec.seed
        if seed not in self._chances:
            score = self._chance_score(trial.data)
            self._chances[seed] = self._exact(score, "validation", trial.data)
        return self._chances[seed]

    def _chance_score(self, data: TrialData) -> float | None:
        return chance_score(self.model, data, self._objective.metric)

    def _epoch(self, trials: Trials, epoch: int) -> list[Epoch]:
        started = time.perf_counter()
        logs = self._train_epoch(trials, epoch)
        trained = [(_finite(one["loss"]), _finite(one.get(self._objective.metric))) for one in logs]
        seconds = (time.perf_counter() - started) / len(trials)
        judged = self._scores("validation", trials)
        return [
            Epoch(epoch + 1, *before, *after, seconds)
            for before, after in zip(trained, judged, strict=True)
        ]

    def _scores(self, part: str, trials: Trials) -> Scores:
        """Loss and score on one part of the data, of each trial; None where not finite."""
        return [
            (_finite(logs["loss"]), self._score(logs, part, trial.data))
            for logs, trial in zip(self._evaluate(part, trials), trials, strict=True)
        ]

    def _score(self, logs: Logs, part: str, data: TrialData) -> float | None:
        return self._exact(_finite(logs[self._objective.metric]), part, data)

    def _exact(self, score: float | None, part: str, data: TrialData) -> float | None:
        if score is not None and self._objective.as_fraction:
            score = _exact_share(score, data.num_judged(part))
        return score

    def _judge(self, trials: Trials, curves: list[list[Epoch]]) -> list[dict[str, Any]]:
        """How each trial ended, and its scores with re-estimated statistics."""
        if all(map(_has_diverged, curves)):
            return [_diverged_in(curve) for curve in curves]
        scores = [(curve[-1].validation_loss, curve[-1].validation_score) for curve in curves]
        if self._complete(trials):
            scores = self._scores("validation", trials)
        tested: Scores = [(None, None)] * len(trials)
        if "test" in trials[0].data.judging_parts:
            tested = self._scores("test", trials)
        activations = self._activations(trials)
        return [
            _diverged_in(curve)
            if _has_diverged(curve)
            else _finished(curve[-1], *scores[index], tested[index][1], activations[index])
            for index, curve in enumerate(curves)
        ]


def activation_tensors(model: keras.Model) -> dict[str, Any]:
    """What comes out behind every activation of a model.

    Args:
        model: A built model.

    Returns:
        Symbolic tensors by name of the layer.
    """
    return {layer.name: layer.output for layer in model.layers if activation_name(layer)}


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


def _has_diverged(curve: list[Epoch]) -> bool:
    return bool(curve) and curve[-1].loss is None


def _diverged_in(curve: list[Epoch]) -> dict[str, Any]:
    reason = f"the training loss was no longer finite in epoch {curve[-1].epoch}"
    return {"outcome": "diverged", "reason": reason}


def _finished(
    last: Epoch,
    loss: float | None,
    score: float | None,
    test_score: float | None,
    activations: Summaries,
) -> dict[str, Any]:
    if score is None or loss is None:
        reason = "the validation loss of the trained model is not finite"
        return {"outcome": "diverged", "reason": reason}
    return {
        "outcome": "finished",
        "score": score,
        "loss": loss,
        "score_as_trained": last.validation_score,
        "test_score": test_score,
        "activations": activations,
    }


def _step_milliseconds(curve: list[Epoch], spec: TrialSpec, data: TrialData) -> float | None:
    # The first epoch compiles where the model is new.
    timed = [point.seconds for point in (curve[1:] or curve)]
    steps = spec.steps_per_epoch or -(-data.num_samples // spec.batch_size)
    return 1000 * float(np.median(timed)) / steps if timed else None
