"""Where a search stands: a pure function of its design and the scores that exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from normcraft.studies.search.cell import Cell, Scores, cost
from normcraft.studies.search.confirm import confirm
from normcraft.studies.search.design import SearchDesign
from normcraft.studies.search.explore import Rung, explore
from normcraft.studies.search.standing import Confirmation

__all__ = ["SearchState", "follow"]


@dataclass(frozen=True)
class SearchState:
    """Where a search stands.

    Attributes:
        rungs: Rungs that have begun.
        confirmation: The confirming stage; None before it.
        cells: Trials that belong to the search so far, in its order.
        wanted: Trials that are needed now and have no score.
        spent: Epochs of the trials that have one.
    """

    rungs: tuple[Rung, ...]
    confirmation: Confirmation | None
    cells: tuple[Cell, ...]
    wanted: tuple[Cell, ...]
    spent: int

    @property
    def ended(self) -> bool:
        """Whether nothing is left to run."""
        return not self.wanted


def follow(design: SearchDesign, scores: Scores) -> SearchState:
    """What the scores that exist say, and which trials are needed next.

    The same scores give the same state in whatever order they came: that makes a search the same on
    any number of workers, and lets a rerun continue it.

    Args:
        design: The design.
        scores: The scores that exist.

    Returns:
        The state. No trial is wanted that the budget does not hold.

    Example:
        >>> from normcraft.studies.search.cell import Candidate
        >>> design = SearchDesign(("none", "input"), (), "none", (0.1,), (0, 1, 2), 10, 500, 2,
        ...                       Candidate("input", 0.1), None, True)
        >>> [tuple(cell)[:3] for cell in follow(design, {}).wanted][:2]
        [('none', 0.1, 3), ('input', 0.1, 3)]
    """
    rungs = explore(design, scores)
    cells = [cell for rung in reversed(rungs) for cell in rung.cells]
    confirmation = None
    if rungs[-1].epochs == design.length and rungs[-1].complete:
        confirmation = confirm(design, rungs, scores)
        cells += confirmation.cells
    done = [cell for cell in cells if cell in scores]
    wanted = tuple(_within(design.budget - cost(done), (c for c in cells if c not in scores)))
    return SearchState(rungs, confirmation, (*done, *wanted), wanted, cost(done))


def _within(left: int, cells: Iterator[Cell]) -> Iterator[Cell]:
    for cell in cells:
        left -= cell.epochs
        if left < 0:
            return
        yield cell
