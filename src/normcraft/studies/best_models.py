"""The model of each arm's best trial, kept in a folder beside the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from normcraft.records import TrialRecord

__all__ = ["BestModels", "Candidates"]


@dataclass
class Candidates:
    """Where workers leave the models of trials that may be their arm's best.

    Attributes:
        folder: A folder; made on first use.
        sign: 1 where a higher score is better, else -1.
        best: Signed score by arm that a trial has to beat; each worker knows those of its own.
        shortest: Epochs below which the model of a trial is not kept.
    """

    folder: Path
    sign: int
    best: dict[str, float] = field(default_factory=dict)
    shortest: int = 0

    def path(self, record: TrialRecord) -> Path:
        """Where the model of a trial is left.

        Returns:
            Path of a `.keras` file that may not exist.
        """
        return self.folder / f"{record.spec.hash}.part.keras"

    def offer(self, records: Sequence[TrialRecord], save: Callable[[Path, int], None]) -> None:
        """Leaves the model of the best of some trials, if it may be the best of all.

        Args:
            records: The trials' records, of one arm.
            save: Writes to a path the model of the trial with a number.
        """
        better = [number for number, record in enumerate(records) if self.is_best(record)]
        if better:
            self.folder.mkdir(parents=True, exist_ok=True)
            save(self.path(records[better[-1]]), better[-1])

    def is_best(self, record: TrialRecord) -> bool:
        """Whether a trial beats all of its arm so far; it is remembered if it does.

        Returns:
            False for a trial without a score, or of less than full length.
        """
        if record.spec.epochs < self.shortest:
            return False
        arm, score = record.spec.arm, record.score
        if score is None or self.sign * score <= self.best.get(arm, float("-inf")):
            return False
        self.best[arm] = self.sign * score
        return True


class BestModels:
    """Keeps, for each arm, the model of its best trial in a folder.

    Args:
        folder: Where the `.keras` files lie.
        names: File name, without suffix, by arm.
        higher_is_better: Direction of the score.
        shortest: Epochs below which the model of a trial is not kept.
    """

    def __init__(
        self,
        folder: Path,
        names: Mapping[str, str],
        *,
        higher_is_better: bool,
        shortest: int = 0,
    ) -> None:
        self._folder, self._names = folder, names
        self._kept = Candidates(folder, 1 if higher_is_better else -1, shortest=shortest)

    def path(self, arm: str) -> Path:
        """Where the best model of an arm lies.

        Returns:
            Path of a `.keras` file, which exists once a trial of the arm was finished.
        """
        return self._folder / f"{self._names[arm]}.keras"

    def begin(self, done: Mapping[str, TrialRecord]) -> Candidates:
        """Takes an earlier run into account, and clears away what one that was killed left.

        Args:
            done: Records that exist.

        Returns:
            What workers are to leave their models with.
        """
        for stray in self._folder.glob("*.part.keras"):
            stray.unlink()
        for record in done.values():
            if self.path(record.spec.arm).exists():
                self._kept.is_best(record)
        return replace(self._kept, best=dict(self._kept.best))

    def accept(self, record: TrialRecord) -> None:
        """Keeps the model that a worker left for a trial, if it is its arm's best.

        Args:
            record: The trial's record, before it is written to the store: a run that is killed
                between the two trains the trial again, and comes to the same model.
        """
        left = self._kept.path(record)
        if not left.exists():
            return
        if self._kept.is_best(record):
            left.replace(self.path(record.spec.arm))
        else:
            left.unlink()
