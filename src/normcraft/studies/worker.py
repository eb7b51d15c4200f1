"""The worker: trains groups of trials, one compiled model an arm; no trial ends the sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from normcraft.data import Dataset
from normcraft.records import TrialRecord, TrialSpec
from normcraft.studies.arms import BuiltArm
from normcraft.trainers import FitTrainer, Objective, TrialData

__all__ = ["Worker"]


class Worker:
    """Trains trials and keeps the weights of each arm's best one.

    Args:
        arms: Built arms by name.
        dataset: The data of all trials.
        objective: The metric that judges.
        initial: `"reinitialize"` or `"keep"`.
        best: Best score so far by arm, and where its model lies; None where weights are not kept.
        on_epoch: Called after every epoch.
    """

    def __init__(
        self,
        arms: Mapping[str, BuiltArm],
        dataset: Dataset,
        objective: Objective,
        *,
        initial: str,
        best: BestModels | None = None,
        on_epoch: Callable[[int], None],
    ) -> None:
        self._arms = arms
        self._dataset = dataset
        self._objective = objective
        self._initial = initial
        self._best = best
        self._on_epoch = on_epoch
        self._trainers: dict[str, FitTrainer] = {}
        self._data: tuple[int, TrialData] | None = None

    def __call__(self, group: tuple[TrialSpec, ...]) -> Iterator[TrialRecord]:
        """Trains the trials of a group.

        Yields:
            One record a trial; a trial that raised is a failed record.
        """
        for spec in group:
            try:
                record = self._trainer(spec.arm).train(spec, self._data_of(spec.seed))
                if self._best is not None:
                    self._best.offer(record, self._trainer(spec.arm).save)
            except Exception as error:
                record = TrialRecord(spec, "failed", reason=_reason(error))
            yield record

    def _trainer(self, arm: str) -> FitTrainer:
        if arm not in self._trainers:
            self._trainers[arm] = FitTrainer(
                self._arms[arm].model,
                self._objective,
                initial=self._initial,
                on_epoch=self._on_epoch,
            )
        return self._trainers[arm]

    def _data_of(self, seed: int) -> TrialData:
        if self._data is None or self._data[0] != seed:
            self._data = seed, TrialData.of_seed(self._dataset, seed)
        return self._data[1]


class BestModels:
    """Keeps, for each arm, the model of its best trial in a folder.

    Args:
        folder: Where the `.keras` files lie; made on first use.
        names: File name, without suffix, by arm.
        higher_is_better: Direction of the score.
    """

    def __init__(self, folder: Path, names: Mapping[str, str], *, higher_is_better: bool) -> None:
        self.folder = folder
        self._names = names
        self._sign = 1 if higher_is_better else -1
        self._best: dict[str, float] = {}

    def path(self, arm: str) -> Path:
        """Where the best model of an arm lies.

        Returns:
            Path of a `.keras` file, which exists once a trial of the arm was finished.
        """
        return self.folder / f"{self._names[arm]}.keras"

    def remember(self, record: TrialRecord) -> None:
        """Takes a record of an earlier run into account, if its arm's model is still there."""
        if record.score is not None and self.path(record.spec.arm).exists():
            best = self._best.get(record.spec.arm, float("-inf"))
            self._best[record.spec.arm] = max(best, self._sign * record.score)

    def offer(self, record: TrialRecord, save: Callable[[Path], None]) -> None:
        """Saves the model of a trial if it is its arm's best so far.

        Args:
            record: The trial's record.
            save: Writes the model to a path.
        """
        arm = record.spec.arm
        if record.score is None or self._sign * record.score <= self._best.get(arm, float("-inf")):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.path(arm).with_suffix(".part.keras")
        save(temporary)
        temporary.replace(self.path(arm))
        self._best[arm] = self._sign * record.score


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]
