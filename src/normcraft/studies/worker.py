"""The worker: trains groups of trials, one compiled model an arm; no trial ends the sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import keras

from normcraft.data import Dataset
from normcraft.executors import Group, OnEpoch
from normcraft.records import TrialRecord, TrialSpec
from normcraft.studies.best_models import Candidates
from normcraft.trainers import ClassWeight, Objective, Trainer, TrialData, make_trainer

__all__ = ["MakeWorker", "Worker"]


@dataclass(frozen=True, eq=False)
class MakeWorker:
    """What a worker in this process is made of.

    Attributes:
        models: Compiled model by arm; the worker trains them.
        dataset: The data of all trials.
        objective: The metric that judges.
        initial: `"reinitialize"` or `"keep"`.
        candidates: Where models of good trials are left.
        speeds: How fast the forms of layers are, for the fused trainer.
        class_weight: How much the samples of each class count in training; None for alike.
    """

    models: Mapping[str, keras.Model]
    dataset: Dataset
    objective: Objective
    initial: str
    candidates: Candidates
    speeds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    class_weight: ClassWeight | None = None

    def __call__(self, on_epoch: OnEpoch) -> Worker:
        """Makes the worker.

        Args:
            on_epoch: Called after every epoch of a trial.

        Returns:
            A worker.
        """
        return Worker(self, on_epoch)


class Worker:
    """Trains trials and leaves the models of good ones.

    Args:
        parts: What it is made of.
        on_epoch: Called after every epoch of a trial.
    """

    def __init__(self, parts: MakeWorker, on_epoch: OnEpoch) -> None:
        self._parts = parts
        self._on_epoch = on_epoch
        self._trainers: dict[str, Trainer] = {}
        self._data: tuple[int, TrialData] | None = None

    def __call__(self, group: Group) -> Iterator[TrialRecord]:
        """Trains the trials of a group.

        Yields:
            One record a trial; a trial that raised is a failed record.
        """
        for spec in group:
            try:
                trainer = self._trainer(spec)
                record = trainer.train(spec, self._data_of(spec.seed), on_epoch=self._on_epoch)
                self._parts.candidates.offer(record, trainer.save)
            except Exception as error:
                record = TrialRecord(spec, "failed", reason=_reason(error))
            yield record

    def _trainer(self, spec: TrialSpec) -> Trainer:
        if spec.arm not in self._trainers:
            parts = self._parts
            self._trainers[spec.arm] = make_trainer(
                spec,
                parts.models[spec.arm],
                parts.objective,
                initial=parts.initial,
                speeds=parts.speeds,
            )
        return self._trainers[spec.arm]

    def _data_of(self, seed: int) -> TrialData:
        if self._data is None or self._data[0] != seed:
            parts = self._parts
            self._data = seed, TrialData.of_seed(parts.dataset, seed, parts.class_weight)
        return self._data[1]


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]
