"""The worker: trains groups of trials, one compiled model an arm; no trial ends the sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import keras

from normcraft._core.cores import num_cores
from normcraft.data import Dataset
from normcraft.executors import Group, OnEpoch
from normcraft.records import TrialRecord, TrialSpec
from normcraft.studies.best_models import Candidates
from normcraft.trainers import (
    ClassWeight,
    Objective,
    Trainer,
    Trial,
    TrialData,
    Weights,
    make_trainer,
)

__all__ = ["MakeWorker", "Worker"]

# How Python, XLA, TensorFlow and PyTorch say it.
OUT_OF_MEMORY = ("memoryerror", "resource_exhausted", "resourceexhausted", "out of memory")


@dataclass(frozen=True, eq=False)
class MakeWorker:
    """What a worker in this process is made of.

    Attributes:
        models: Compiled model by arm; the worker trains them.
        dataset: The data of all trials.
        objective: The metric that judges.
        initial: By arm the values of its model's variables that trials begin with; where an arm has
            none they are drawn from the seed.
        candidates: Where models of good trials are left.
        speeds: How fast the forms of layers are, for the fused trainer.
        class_weight: How much the samples of each class count in training; None for alike.
        together: How many trials it trains at once.
        strands: In how many programs side by side.
        order: A trial of each arm, in the order in which arms have their turn.
        make: Makes the worker of these parts.
        rehearsed: Trainers of a rehearsal by arm, with all that they compiled.
    """

    models: Mapping[str, keras.Model]
    dataset: Dataset
    objective: Objective
    initial: Mapping[str, Weights]
    candidates: Candidates
    speeds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    class_weight: ClassWeight | None = None
    together: int = 1
    strands: int = 1
    order: Sequence[TrialSpec] = ()
    make: Callable[[MakeWorker, OnEpoch], Any] | None = None
    rehearsed: dict[str, Trainer] = field(default_factory=dict)

    def __call__(self, on_epoch: OnEpoch) -> Any:
        """Makes the worker.

        Args:
            on_epoch: Called after every epoch of a trial.

        Returns:
            A worker.
        """
        return (self.make or Worker)(self, on_epoch)

    def data(self, seed: int) -> TrialData:
        """The data of a seed's trials.

        Args:
            seed: The seed.

        Returns:
            What trains and what validates.
        """
        return TrialData.of_seed(self.dataset, seed, self.class_weight)

    def trainer(self, spec: TrialSpec, together: int, strands: int = 1) -> Trainer:
        """The trainer of an arm.

        Args:
            spec: One of the arm's trials.
            together: How many trials it trains at once.
            strands: In how many programs side by side.

        Returns:
            A trainer of the arm's model; that of the rehearsal where there is one for as many.
        """
        trainer = self.rehearsed.pop(spec.arm, None)
        if trainer is not None and trainer.regroup(together, strands):
            return trainer
        return make_trainer(
            spec,
            self.models[spec.arm],
            self.objective,
            initial=self.initial.get(spec.arm),
            speeds=self.speeds,
            together=together,
            strands=strands,
        )


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
        self._data: dict[int, TrialData] = {}

    def __call__(self, group: Group) -> Iterator[Sequence[TrialRecord]]:
        """Trains the trials of a group, as many at once as the trainer can.

        Trials that fail together are tried again by halves, so that none fails for another's sake,
        or for want of memory while fewer would fit.

        Yields:
            Records of the trials that were trained at once; one that raised has a failed record.
        """
        waiting = list(group)
        while waiting:
            try:
                records = self._train_some(waiting)
            except Exception as error:
                if self._halve(waiting[0]):
                    continue
                records = [TrialRecord(waiting[0], "failed", reason=_reason(error))]
            yield records
            waiting = waiting[len(records) :]

    def _train_some(self, waiting: list[TrialSpec]) -> list[TrialRecord]:
        trainer = self._trainer(waiting[0])
        specs = trainer.first_of(waiting)
        trials = [Trial(spec, self._data_of(spec.seed)) for spec in specs]
        trainer.compile_ahead(trials[0])
        self._compile_ahead()
        records = trainer.train_together(trials, on_epoch=self._on_epoch)
        self._parts.candidates.offer(records, trainer.save)
        last = specs[-1].seed
        self._data = {last: self._data[last]}
        return records

    def _trainer(self, spec: TrialSpec) -> Trainer:
        if spec.arm not in self._trainers:
            parts = self._parts
            self._trainers[spec.arm] = parts.trainer(spec, parts.together, parts.strands)
        return self._trainers[spec.arm]

    def _compile_ahead(self) -> None:
        # For the next arm while this one trains, where there is a core to spare. What goes wrong
        # there, that arm's own trial will say.
        following = (spec for spec in self._parts.order if spec.arm not in self._trainers)
        spec = next(following, None)
        if spec is not None and num_cores() > 1:
            with suppress(Exception):
                self._trainer(spec).compile_ahead(Trial(spec, self._data_of(spec.seed)))

    def _halve(self, spec: TrialSpec) -> bool:
        if spec.arm not in self._trainers or self._trainers[spec.arm].together == 1:
            return False
        trainer = self._trainers.pop(spec.arm)
        together, strands = trainer.together // 2, max(1, trainer.strands // 2)
        del trainer  # with what it holds on the device
        self._trainers[spec.arm] = self._parts.trainer(spec, together, strands)
        return True

    def _data_of(self, seed: int) -> TrialData:
        if seed not in self._data:
            self._data[seed] = self._parts.data(seed)
        return self._data[seed]


def _reason(error: Exception) -> str:
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if any(words in text.lower() for words in OUT_OF_MEMORY):
        text = f"memory ran out; try a smaller batch size ({text})"
    return text[:300]
