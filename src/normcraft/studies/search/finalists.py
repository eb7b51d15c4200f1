"""From stage one to stage two: which arms are confirmed, at which rate, on how many seeds."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from normcraft.studies.search.cell import Candidate, cost
from normcraft.studies.search.design import (
    MOST_ARMS,
    SPARE,
    SearchDesign,
    confirmation_cost,
    exploration_cost,
)
from normcraft.studies.search.explore import Rung
from normcraft.studies.search.looks import LEVEL, looks
from normcraft.studies.search.standing import Confirmation, Standing
from normcraft.studies.signflip import pairs_needed

__all__ = ["begin", "epochs_needed"]


def begin(design: SearchDesign, rungs: Sequence[Rung]) -> Confirmation:
    """The confirming stage before its first trial; everything in it follows from stage one.

    Args:
        design: The design.
        rungs: All rungs, complete.

    Returns:
        The stage: the best arms, as many as the budget can confirm, with the looks at them.
    """
    baseline, arms = _best_of(rungs[-1], design.baseline)
    left = design.budget - cost(cell for rung in rungs for cell in rung.cells)
    chosen, pairs = arms[:1], 0
    for number in range(min(MOST_ARMS, len(arms)), 0, -1):
        chosen = arms[:number]
        pairs = _pairs_within(design, left, [baseline, *chosen])
        if pairs >= min(len(design.seeds), pairs_needed(LEVEL / number) + SPARE):
            break
    standings = tuple(Standing(one) for one in chosen) if pairs else ()
    return Confirmation(baseline, standings, looks(pairs, len(chosen) or 1))


def _best_of(rung: Rung, baseline: str) -> tuple[Candidate, list[Candidate]]:
    # The baseline and the other arms that did not fail, each at its best learning rate.
    ranked = sorted(rung.means, key=lambda one: -(rung.means[one] or 0.0))
    best: dict[str, Candidate] = {}
    for candidate in ranked:
        best.setdefault(candidate.arm, candidate)
    own = best.pop(baseline)
    return own, [one for one in best.values() if rung.means[one] != -inf]


def _pairs_within(design: SearchDesign, left: int, candidates: Sequence[Candidate]) -> int:
    trials = len({*candidates, design.random}) + 1  # and the no-change control
    return max(0, min(len(design.seeds), left // (trials * design.length)))


def epochs_needed(design: SearchDesign) -> int:
    """The least budget with which one arm could be told from the baseline.

    Args:
        design: The design.

    Returns:
        Epochs: every rung with one seed, and the fewest pairs of the baseline, an arm and both
        controls.
    """
    rungs = exploration_cost(
        len(design.arms), len(design.variants), len(design.rates), design.rungs
    )
    return rungs + confirmation_cost(design.length, pairs_needed(LEVEL))
