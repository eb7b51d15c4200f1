"""What a running study tells whoever watches it."""

from __future__ import annotations

from normcraft.records import TrialRecord, TrialSpec

__all__ = ["Progress"]


class Progress:
    """Listens to a study; this one says nothing. Subclasses show it."""

    def start(self, *, total: int, done: int, epochs: int, higher_is_better: bool) -> None:
        """Called once, before the first trial.

        Args:
            total: Trials of the study.
            done: Trials that the store held already.
            epochs: Epochs of a trial.
            higher_is_better: Direction of the score.
        """

    def epoch(self, spec: TrialSpec, number: int) -> None:
        """Called after every epoch of a running trial, of which there may be several.

        Args:
            spec: The trial.
            number: Its epoch, from 1.
        """

    def record(self, record: TrialRecord) -> None:
        """Called after every trial.

        Args:
            record: What came of it.
        """

    def stopping(self) -> None:
        """Called when the study was asked to stop: running trials finish, no other begins."""

    def finish(self) -> None:
        """Called once, when no trial runs any more, also after an interruption."""
