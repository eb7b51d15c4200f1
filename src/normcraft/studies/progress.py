"""What a running study tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass

from normcraft.records import TrialRecord, TrialSpec

__all__ = ["News", "Progress"]


@dataclass(frozen=True)
class News:
    """How far a search has come.

    Attributes:
        stage: Where it stands, in words.
        arms_in: Arms that still get trials.
        arms: Arms that there are.
        spent: Epochs of its trials so far.
        planned: Epochs that it may take.
        verdict: The verdict as it stands.
    """

    stage: str
    arms_in: tuple[str, ...]
    arms: int
    spent: int
    planned: int
    verdict: str


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

    def news(self, news: News) -> None:
        """Called when a search has come to another rung or block of seeds.

        Args:
            news: How far it has come.
        """

    def stopping(self) -> None:
        """Called when the study was asked to stop: running trials finish, no other begins."""

    def finish(self) -> None:
        """Called once, when no trial runs any more, also after an interruption."""
