"""How the confirming stage stands."""

from __future__ import annotations

from dataclasses import dataclass

from normcraft.studies.search.cell import Candidate, Cell
from normcraft.studies.search.looks import Look
from normcraft.studies.verdict import Comparison

__all__ = ["Confirmation", "Standing"]


@dataclass(frozen=True)
class Standing:
    """How an arm stands in the confirming stage.

    Attributes:
        candidate: The arm at its learning rate.
        found: What the last look that concerned it found; None before.
        pairs: Pairs that this rests on.
        left: Why it gets no more seeds; None while it does.
    """

    candidate: Candidate
    found: Comparison | None = None
    pairs: int = 0
    left: str | None = None

    @property
    def is_decided(self) -> bool:
        """Whether it was told apart from the baseline, or found equal."""
        return self.found is not None and self.found.outcome != "cannot_tell"

    @property
    def is_better(self) -> bool:
        """Whether it was found better than the baseline."""
        return self.found is not None and self.found.outcome == "better"


@dataclass(frozen=True)
class Confirmation:
    """The confirming stage as it stands.

    Attributes:
        baseline: The baseline at its learning rate.
        standings: The arms that are tested, the best of stage one first.
        looks: When they are judged.
        looked: How many looks have taken place.
        cells: Trials that belong to it so far, those handed out next included.
        missing: Trials to hand out next.
    """

    baseline: Candidate
    standings: tuple[Standing, ...]
    looks: tuple[Look, ...]
    looked: int = 0
    cells: tuple[Cell, ...] = ()
    missing: tuple[Cell, ...] = ()

    @property
    def seeds(self) -> int:
        """Fresh seeds that there can be."""
        return self.looks[-1].pairs

    @property
    def running(self) -> list[Standing]:
        """Arms that still get seeds."""
        return [one for one in self.standings if one.left is None]
