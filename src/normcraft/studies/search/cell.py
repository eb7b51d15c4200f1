"""A cell: one trial as the search sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

__all__ = ["Candidate", "Cell", "Scores", "cost"]


class Cell(NamedTuple):
    """One trial: an arm at a learning rate, a seed and a length.

    Attributes:
        arm: Name of the arm.
        rate: Learning rate.
        seed: Seed.
        epochs: Length of the trial.
    """

    arm: str
    rate: float
    seed: int
    epochs: int


class Candidate(NamedTuple):
    """What competes in a rung: an arm at one learning rate.

    Attributes:
        arm: Name of the arm.
        rate: Learning rate.
    """

    arm: str
    rate: float

    def cell(self, seed: int, epochs: int) -> Cell:
        """The candidate's trial of a seed.

        Args:
            seed: Seed.
            epochs: Length.

        Returns:
            The trial.
        """
        return Cell(self.arm, self.rate, seed, epochs)


Scores: TypeAlias = Mapping[Cell, float]
"""The score of each trial that has ended, higher is better; NaN where it failed."""


def cost(cells: Iterable[Cell]) -> int:
    """What trials cost.

    Args:
        cells: Trials.

    Returns:
        Epochs.

    Example:
        >>> cost([Cell("none", 0.1, 0, 3), Cell("none", 0.1, 0, 10)])
        13
    """
    return sum(cell.epochs for cell in cells)
