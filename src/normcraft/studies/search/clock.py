"""The clock of a search with a time limit: what the time left is worth, and when it is over."""

from __future__ import annotations

import time
from statistics import fmean

from normcraft.records import TrialRecord

__all__ = ["Clock"]

RESERVE = 0.9  # of the time left that is planned for


class Clock:
    """Counts the seconds of a run from its making.

    The pace of an arm is that of its fastest trial, as its first one compiles its program.

    Args:
        seconds: The limit; None for none.
        length: Epochs of a trial of full length.
        workers: Trials that run at a time.
    """

    def __init__(self, seconds: float | None, *, length: int, workers: int = 1) -> None:
        self._limit, self._length, self._workers = seconds, length, workers
        self._started = time.monotonic()
        self._paces: dict[str, float] = {}

    @property
    def left(self) -> float:
        """Seconds left; infinite without a limit."""
        if self._limit is None:
            return float("inf")
        return self._limit - (time.monotonic() - self._started)

    @property
    def is_over(self) -> bool:
        """Whether a trial of full length might not fit any more."""
        return self.left < self._length * max(self._paces.values(), default=0.0)

    def count(self, record: TrialRecord) -> None:
        """Takes the pace of a trial.

        Args:
            record: Its record.
        """
        pace, arm = record.seconds / record.spec.epochs, record.spec.arm
        self._paces[arm] = min(pace, self._paces.get(arm, pace))

    @property
    def worth(self) -> int:
        """Epochs that the time left is worth, with a reserve."""
        pace = fmean(self._paces.values()) if self._paces else 0.0
        epochs = RESERVE * max(0.0, self.left) * self._workers / max(pace, 1e-6)
        return int(min(epochs, 1e9))
