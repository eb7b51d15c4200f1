"""The two controls of a search: the baseline under another name, and an arm drawn at random.

Both run on as many fresh seeds as the baseline and are tested like an arm, once, when the
confirming stage has ended; neither can win. The first must not be found different more often than
the error rate says; the second shows what choosing was worth.
"""

from __future__ import annotations

import numpy as np

from normcraft.records import Control
from normcraft.studies.search.cell import Candidate
from normcraft.studies.search.pairs import Pairs
from normcraft.studies.search.standing import Confirmation
from normcraft.studies.selection import FloatArray
from normcraft.studies.signflip import SignFlipTest
from normcraft.studies.verdict import outcome_of

__all__ = ["controls", "draw_random"]


def draw_random(candidates: tuple[Candidate, ...], identity: str) -> Candidate:
    """The random control: any candidate is as likely as any other.

    Args:
        candidates: Every arm at every learning rate.
        identity: Digest of the study, from which the draw follows.

    Returns:
        A candidate.
    """
    random = np.random.default_rng(int(identity, 16))
    return candidates[random.integers(len(candidates))]


def controls(stage: Confirmation, pairs: Pairs) -> tuple[Control, ...]:
    """What came of the controls.

    Args:
        stage: The confirming stage.
        pairs: The scores.

    Returns:
        The no-change control and the random one.
    """
    design, baseline = pairs.design, stage.baseline
    own = pairs.of(baseline, baseline)[0]
    return (
        _control("no change", baseline, stage, pairs, (_elsewhere(stage, pairs), own)),
        _control("random", design.random, stage, pairs, pairs.of(design.random, baseline)),
    )


def _elsewhere(stage: Confirmation, pairs: Pairs) -> FloatArray:
    # The baseline's model on the control's own seeds.
    cells = (
        stage.baseline.cell(seed, pairs.design.length)
        for seed in pairs.design.control_seeds[: stage.seeds]
    )
    found = np.array([pairs.scores.get(cell, np.nan) for cell in cells]).reshape(-1, 1)
    kept: FloatArray = found[~np.isnan(found).any(axis=1)]
    return kept


def _control(
    name: str,
    candidate: Candidate,
    stage: Confirmation,
    pairs: Pairs,
    scores: tuple[FloatArray, FloatArray],
) -> Control:
    # Pairs of unequal number come from failed trials and from such as still run.
    number = min(map(len, scores))
    if not number:
        return Control(name, candidate.arm, candidate.rate, 0, None, None, None, None)
    test = SignFlipTest.of(scores[0][:number], scores[1][:number])
    difference = float(test.sums[0] / test.pairs)
    if stage.running:
        return Control(name, candidate.arm, candidate.rate, number, difference, None, None, None)
    bounds = test.interval(stage.looks[max(0, stage.looked - 1)].level)
    outcome = outcome_of(bounds, pairs.effect(stage.baseline))
    return Control(
        name, candidate.arm, candidate.rate, number, difference, bounds, test.p_value, outcome
    )
