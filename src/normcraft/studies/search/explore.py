"""Stage one, exploring: rungs of growing length, candidates that compete on a few shared seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan
from statistics import fmean

from normcraft.studies.search.cell import Candidate, Cell, Scores
from normcraft.studies.search.design import SearchDesign
from normcraft.studies.search.halving import halve

__all__ = ["MOST_VARIANTS", "Rung", "explore"]

MOST_VARIANTS = 2  # parents whose variants enter


@dataclass(frozen=True)
class Rung:
    """A rung as it stands.

    Attributes:
        epochs: Length of its trials.
        seeds: Its seeds, the same for all candidates.
        means: Mean score by candidate; None where trials are missing, minus infinity where one
            failed.
        kept: Candidates that are sure to go on, the best first.
        is_full: Whether no other candidate can enter.
    """

    epochs: int
    seeds: tuple[int, ...]
    means: Mapping[Candidate, float | None]
    kept: tuple[Candidate, ...]
    is_full: bool

    @property
    def complete(self) -> bool:
        """Whether all its trials have ended."""
        return self.is_full and None not in self.means.values()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All its trials, seed by seed."""
        return tuple(one.cell(seed, self.epochs) for seed in self.seeds for one in self.means)


def explore(design: SearchDesign, scores: Scores) -> tuple[Rung, ...]:
    """The rungs that have begun.

    Args:
        design: The design.
        scores: The scores that exist.

    Returns:
        Rungs, the shortest first.
    """
    entering, is_full = _first(design, scores)
    rungs: list[Rung] = []
    for length in design.rungs:
        rung = _rung(design, scores, length, entering, is_full=is_full)
        rungs.append(rung)
        entering, is_full = rung.kept, rung.complete
        if not entering:
            break
    return tuple(rungs)


def _first(design: SearchDesign, scores: Scores) -> tuple[tuple[Candidate, ...], bool]:
    # Those of the first rung: variants join once all arms that may be their parents have run.
    first = design.candidates(design.arms)
    if not design.variants:
        return first, True
    rung = _rung(design, scores, design.rungs[0], first, is_full=True)
    if not rung.complete:
        return first, False
    ranked = sorted(rung.means, key=lambda one: -(rung.means[one] or 0.0))
    parents = {parent for _, parent in design.variants}
    best = list(dict.fromkeys(one.arm for one in ranked if one.arm in parents))[:MOST_VARIANTS]
    joining = [arm for arm, parent in design.variants if parent in best]
    return (*first, *design.candidates(joining)), True


def _rung(
    design: SearchDesign,
    scores: Scores,
    length: int,
    entering: Sequence[Candidate],
    *,
    is_full: bool,
) -> Rung:
    seeds = design.exploring_seeds
    means = {one: _mean([scores.get(one.cell(s, length)) for s in seeds]) for one in entering}
    kept = halve(means, baseline=design.baseline, complete=is_full)
    return Rung(length, seeds, means, kept, is_full)


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        return None
    return -inf if any(map(isnan, known)) else fmean(known)
