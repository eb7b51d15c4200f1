"""Made-up searches: designs, and scores drawn as trials would give them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from normcraft.studies.search.cell import Candidate, Cell
from normcraft.studies.search.design import SearchDesign
from normcraft.studies.search.follow import SearchState, follow

ARMS = ("none", "a", "b", "c", "d", "e")


def design_of(arms=ARMS, *, rates=(0.01, 0.1), seeds=12, length=9, **changes) -> SearchDesign:
    design = SearchDesign(
        arms=tuple(arms),
        variants=(),
        baseline=arms[0],
        rates=tuple(rates),
        seeds=tuple(range(seeds)),
        length=length,
        budget=10**6,
        explorers=2,
        random=Candidate(arms[-1], rates[0]),
        smallest_effect=None,
        as_fraction=True,
    )
    return replace(design, **changes)


class Truth:
    """What trials would score: a mean an arm, a penalty of the second rate, and noise."""

    def __init__(self, means, *, noise=0.01, random=0) -> None:
        self.means, self.noise, self.random = dict(means), noise, random

    def __call__(self, cell: Cell) -> float:
        key = [self.random, hash_of(cell.arm), int(cell.rate * 1e6), cell.seed, cell.epochs]
        drawn = np.random.default_rng(key).normal()
        return self.means[cell.arm] - 0.02 * (cell.rate > 0.05) + self.noise * drawn


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode(), "big") % 2**31


def carried_out(design: SearchDesign, truth, scores=None) -> tuple[SearchState, dict[Cell, float]]:
    """A whole search; its last state and the scores."""
    scores = dict(scores or {})
    while (state := follow(design, scores)).wanted:
        scores |= {cell: truth(cell) for cell in state.wanted}
    return state, scores
