"""A look at the confirming stage: the arms that go on are tested against the baseline."""

from __future__ import annotations

from dataclasses import replace

from normcraft.studies.search.looks import LEVEL, Look
from normcraft.studies.search.pairs import Pairs
from normcraft.studies.search.standing import Confirmation, Standing
from normcraft.studies.signflip import SignFlipTest
from normcraft.studies.verdict import Comparison, holm, outcome_of

__all__ = ["compared", "judge"]


def judge(stage: Confirmation, pairs: Pairs, look: Look) -> Confirmation:
    """Tests the arms at a look, Holm over them.

    An arm that left without being told apart still counts in the correction, with p = 1. One that
    was told apart and goes on is tested again, to sharpen its interval; its outcome stays.

    Args:
        stage: The stage; all trials up to the look have ended.
        pairs: The scores up to the look.
        look: The look.

    Returns:
        The stage with what was found.
    """
    family = [one for one in stage.standings if one.left is None or not one.is_decided]
    tests = [pairs.test(one.candidate, stage.baseline) for one in family]
    values = [
        1.0 if test is None or one.left is not None else test.p_value
        for one, test in zip(family, tests, strict=True)
    ]
    changed: dict[Standing, Standing] = {}
    for one, test, p, level in zip(family, tests, *holm(values, level=look.level), strict=True):
        if test is not None and one.left is None:
            effect = pairs.effect(stage.baseline)
            found = compared(one.candidate.arm, test, effect, level, p * LEVEL / look.level)
            changed[one] = _with(one, found, test.pairs)
    return replace(stage, standings=tuple(changed.get(one, one) for one in stage.standings))


def compared(
    arm: str, test: SignFlipTest, effect: float, level: float, p_value: float
) -> Comparison:
    """What a test says of an arm at a level.

    Args:
        arm: Its name.
        test: The test.
        effect: The difference that counts as none.
        level: The level.
        p_value: The adjusted p-value.

    Returns:
        The comparison.
    """
    bounds = test.interval(level)
    difference = float(test.sums[0] / test.pairs)
    outcome = outcome_of(bounds, effect)
    return Comparison(arm, difference, bounds, level, min(1.0, p_value), outcome)


def _with(one: Standing, found: Comparison, pairs: int) -> Standing:
    if one.found is not None and one.is_decided and one.found.outcome != found.outcome:
        return one
    return replace(one, found=found, pairs=pairs)
