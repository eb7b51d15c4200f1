"""Pairs of the confirming stage: two candidates on the same fresh seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from normcraft.studies.search.cell import Candidate, Scores
from normcraft.studies.search.design import SearchDesign
from normcraft.studies.selection import FloatArray
from normcraft.studies.signflip import SignFlipTest

__all__ = ["Pairs"]


@dataclass(frozen=True)
class Pairs:
    """The scores of a search, read in pairs.

    Attributes:
        design: The design.
        scores: The scores that exist.
        seeds: How many of the fresh seeds count, from the first on.
    """

    design: SearchDesign
    scores: Scores
    seeds: int

    def of(self, one: Candidate, other: Candidate) -> tuple[FloatArray, FloatArray]:
        """The scores of two candidates on the fresh seeds of which both have a result.

        Args:
            one: A candidate.
            other: Another.

        Returns:
            Two arrays of shape `(pairs, 1)`.
        """
        return self._paired(one, other, self.design.seeds[: self.seeds])

    def test(self, one: Candidate, other: Candidate) -> SignFlipTest | None:
        """The test of one candidate against another.

        Args:
            one: A candidate.
            other: Another.

        Returns:
            The test; None without any pair.
        """
        first, second = self.of(one, other)
        return SignFlipTest.of(first, second) if len(first) else None

    def estimate(self, one: Candidate, other: Candidate) -> float:
        """The mean difference over seeds at full length, those of stage one included.

        It tests nothing: it says which of several arms is handed back.

        Args:
            one: A candidate.
            other: Another.

        Returns:
            Minus infinity without any pair.
        """
        seeds = (*self.design.seeds[: self.seeds], *self.design.exploring_seeds)
        first, second = self._paired(one, other, seeds)
        return float((first - second).mean()) if len(first) else -np.inf

    def effect(self, baseline: Candidate) -> float:
        """The difference that counts as none.

        Args:
            baseline: The baseline; without a stated effect, half a per cent of its mean counts.

        Returns:
            A difference of scores.
        """
        if self.design.smallest_effect is not None:
            return self.design.smallest_effect
        if self.design.as_fraction:
            return 0.005
        own = self.of(baseline, baseline)[0]
        return 0.005 * abs(float(own.mean())) if len(own) else 0.0

    def is_behind(self, one: Candidate, other: Candidate, effect: float) -> bool:
        """Whether a candidate is hardly better than another by more than what counts.

        It is no claim of the verdict: it decides where seeds go.

        Args:
            one: A candidate.
            other: Another.
            effect: The difference that counts as none.

        Returns:
            Whether the 95% interval of the difference ends below the effect.
        """
        test = self.test(one, other)
        bounds = test.interval(0.05) if test else None
        return bounds is not None and bounds[1] < effect

    def _paired(
        self, one: Candidate, other: Candidate, seeds: tuple[int, ...]
    ) -> tuple[FloatArray, FloatArray]:
        length = self.design.length
        rows = [
            [self.scores.get(each.cell(seed, length), np.nan) for each in (one, other)]
            for seed in seeds
        ]
        found = np.array(rows, dtype=np.float64).reshape(-1, 2)
        found = found[~np.isnan(found).any(axis=1)]
        return found[:, :1], found[:, 1:]
