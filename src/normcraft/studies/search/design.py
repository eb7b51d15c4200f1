"""The design of a search: what it is a pure function of, beside the scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import Any

import numpy as np

from normcraft.studies.search.cell import Candidate
from normcraft.studies.search.halving import places
from normcraft.studies.search.looks import LEVEL
from normcraft.studies.signflip import pairs_needed

__all__ = [
    "MOST_ARMS",
    "SPARE",
    "SearchDesign",
    "confirmation_cost",
    "exploration_cost",
    "explorers_within",
    "rung_lengths",
]

GROWTH = 3  # from rung to rung
MOST_RUNGS = 3
MOST_EXPLORERS = 4  # seeds of a rung
MOST_ARMS = 3  # that are confirmed, beside the baseline: each costs seeds, and by Holm power
SHARE = 0.55  # of the budget that exploring may take
SPARE = 2  # pairs beyond the fewest that could show anything


@dataclass(frozen=True)
class SearchDesign:
    """What decides, together with the scores of trials, all that a search does.

    Attributes:
        arms: Arms that begin.
        variants: `(arm, parent)` of arms that enter where their parent is among the best.
        baseline: Arm that every other is tested against; one of `arms`.
        rates: Learning rates that each arm tries.
        seeds: Fresh seeds: those of the grid, on which nothing is chosen before it is tested.
        length: Epochs of a trial of full length.
        budget: Epochs that all trials together may take.
        explorers: Seeds of each rung.
        random: The random control, an arm at a learning rate.
        smallest_effect: Difference that counts as none; None for the default.
        as_fraction: Whether scores are fractions.

    Example:
        >>> design = SearchDesign(("none", "input"), (), "none", (0.1,), (0, 1, 2), 10, 500, 2,
        ...                       Candidate("input", 0.1), None, True)
        >>> design.rungs, design.exploring_seeds, design.control_seeds[:2]
        ((1, 3, 10), (3, 4), (7, 8))
    """

    arms: tuple[str, ...]
    variants: tuple[tuple[str, str], ...]
    baseline: str
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    length: int
    budget: int
    explorers: int
    random: Candidate
    smallest_effect: float | None
    as_fraction: bool

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs of a trial in each rung, ascending to the full length."""
        return rung_lengths(self.length)

    @property
    def exploring_seeds(self) -> tuple[int, ...]:
        """Seeds that choose; none of the grid's."""
        return tuple(islice(self._unused(), self.explorers))

    @property
    def control_seeds(self) -> tuple[int, ...]:
        """Seeds of the no-change control, one for each of the grid's."""
        return tuple(islice(self._unused(), MOST_EXPLORERS, MOST_EXPLORERS + len(self.seeds)))

    @property
    def grid_cost(self) -> int:
        """Epochs that all arms at all rates with all seeds would take."""
        arms = len(self.arms) + len(self.variants)
        return arms * len(self.rates) * len(self.seeds) * self.length

    @property
    def most_cost(self) -> int:
        """Epochs that the search can take at most."""
        exploring = self.explorers * exploration_cost(
            len(self.arms), len(self.variants), len(self.rates), self.rungs
        )
        return min(self.budget, exploring + (3 + MOST_ARMS) * len(self.seeds) * self.length)

    def candidates(self, arms: Sequence[str]) -> tuple[Candidate, ...]:
        """Arms at every learning rate.

        Args:
            arms: Arms.

        Returns:
            Candidates.
        """
        return tuple(Candidate(arm, rate) for arm in arms for rate in self.rates)

    def document(self) -> dict[str, Any]:
        """The same as a JSON-able dictionary.

        Returns:
            All fields by name.
        """
        return asdict(self)

    @classmethod
    def of_document(cls, fields: Mapping[str, Any]) -> SearchDesign:
        """The design that `document` wrote.

        Args:
            fields: What was written, read back from JSON.

        Returns:
            An equal design.
        """
        lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        lists["variants"] = tuple((str(a), str(b)) for a, b in fields["variants"])
        return cls(**{**fields, **lists, "random": Candidate(*fields["random"])})

    def _unused(self) -> Iterator[int]:
        taken = set(self.seeds)
        return (seed for seed in count() if seed not in taken)


def rung_lengths(length: int) -> tuple[int, ...]:
    """Epochs of a trial in each rung: a third of the next one's, at most three rungs.

    Args:
        length: Epochs of a trial of full length.

    Returns:
        Ascending lengths, the last one full.

    Example:
        >>> [rung_lengths(length) for length in (1, 3, 10, 30)]
        [(1,), (1, 3), (1, 3, 10), (3, 10, 30)]
    """
    shares = (round(length / GROWTH**step) for step in reversed(range(MOST_RUNGS)))
    return tuple(sorted({max(1, share) for share in shares}))


def exploration_cost(arms: int, variants: int, rates: int, rungs: Sequence[int]) -> int:
    """The most that all rungs can cost with one seed.

    Args:
        arms: Arms that begin.
        variants: Arms that may enter.
        rates: Learning rates.
        rungs: Lengths of the rungs.

    Returns:
        Epochs.

    Example:
        >>> exploration_cost(8, 0, 3, (1, 3, 10))
        143
    """
    candidates, total = (arms + variants) * rates, 0
    for length in rungs:
        total += candidates * length
        candidates = min(candidates, places(candidates) + 1)  # with the baseline
    return total


def confirmation_cost(length: int, pairs: int) -> int:
    """What confirming one arm costs: that arm, the baseline and both controls.

    Args:
        length: Epochs of a trial of full length.
        pairs: Fresh seeds.

    Returns:
        Epochs.
    """
    return 4 * pairs * length


def explorers_within(budget: int, cost_of_one: int, length: int) -> int:
    """How many seeds each rung gets: as many as leave enough of the budget for confirming.

    Args:
        budget: Epochs.
        cost_of_one: What all rungs cost with one seed.
        length: Epochs of a trial of full length.

    Returns:
        From 1 to 4.

    Example:
        >>> [explorers_within(budget, 143, 10) for budget in (1600, 610, 100)]
        [4, 2, 1]
    """
    confirming = confirmation_cost(length, pairs_needed(LEVEL) + SPARE)
    most = min(SHARE * budget, budget - confirming)
    return int(np.clip(most // cost_of_one, 1, MOST_EXPLORERS))
