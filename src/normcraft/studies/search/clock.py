"""The clock of a search with a time limit: what the time left is worth, and when it is over."""

from __future__ import annotations

import time
from statistics import fmean

from normcraft.records import TrialRecord

__all__ = ["Clock"]

RESERVE = 0.9  # of the time left that is planned for


class Clock:
    """Counts the seconds of a run from its making.

    The pace of an arm is that of its fastest trial. It is known once one of its trials has told
    it apart from the time in which its program was compiled; until then it ends nothing.

    Args:
        seconds: The limit; None for none.
        length: Epochs of a trial of full length.
        workers: Programs that run at a time.
        together: Trials that each of them is going to train in the time of one.
    """

    def __init__(
        self, seconds: float | None, *, length: int, workers: int = 1, together: int = 1
    ) -> None:
        self._limit, self._length = seconds, length
        self._workers, self._together = workers, together
        self._started = time.monotonic()
        self._paces: dict[str, float] = {}
        self._runs: dict[str, set[float]] = {}
        self._known: set[str] = set()
        self._was_over = False

    @property
    def left(self) -> float:
        """Seconds left; infinite without a limit."""
        if self._limit is None:
            return float("inf")
        return self._limit - (time.monotonic() - self._started)

    @property
    def is_over(self) -> bool:
        """Whether a trial of full length might not fit any more; once it is, it stays so."""
        # Workers that were told to stop do not begin again, whatever a later trial's pace.
        pace = max((self._paces[arm] for arm in self._known), default=0.0)
        self._was_over = self._was_over or self.left < self._length * pace
        return self._was_over

    def count(self, record: TrialRecord) -> None:
        """Takes the pace of a trial.

        Args:
            record: Its record; one without a curve tells nothing.
        """
        if not record.curve:
            return
        arm, pace = record.spec.arm, record.seconds / len(record.curve)
        self._paces[arm] = min(pace, self._paces.get(arm, pace))
        # Trials of one program share its seconds alike. Each worker compiles an arm's program once,
        # so that of more runs than there are workers one did not.
        runs = self._runs.setdefault(arm, set())
        runs.add(record.seconds)
        if len(runs) > self._workers:
            self._known.add(arm)

    @property
    def worth(self) -> int:
        """Epochs that the time left is worth, by trials that ran alone, with a reserve."""
        pace = fmean(self._paces.values()) if self._paces else 0.0
        at_a_time = self._workers * self._together
        epochs = RESERVE * max(0.0, self.left) * at_a_time / max(pace, 1e-6)
        return int(min(epochs, 1e9))
