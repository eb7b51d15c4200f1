"""Why an arm gets no more seeds: they would change neither the verdict nor what is handed back."""

from __future__ import annotations

from dataclasses import replace

from normcraft.studies.search.cell import Candidate
from normcraft.studies.search.curtail import is_settled
from normcraft.studies.search.judge import compared
from normcraft.studies.search.looks import Look
from normcraft.studies.search.pairs import Pairs
from normcraft.studies.search.standing import Confirmation, Standing

__all__ = ["curtail", "leave", "leave_all"]

SETTLED = "no further pair could tell it apart"
ALL_SEEDS = "all its seeds have run"
WORDS = {"worse": "worse than the baseline", "equal": "practically equal to the baseline"}


def curtail(stage: Confirmation, pairs: Pairs, look: Look) -> Confirmation:
    """Between looks: arms leave of which "cannot tell" is all that can come, and that are not best.

    Args:
        stage: The stage.
        pairs: The scores so far.
        look: The look that comes next.

    Returns:
        The stage.
    """
    standings = (_curtailed(stage, pairs, look, one) for one in stage.standings)
    return replace(stage, standings=tuple(standings))


def _curtailed(stage: Confirmation, pairs: Pairs, look: Look, one: Standing) -> Standing:
    effect = pairs.effect(stage.baseline)
    if one.left is not None or one.is_decided:
        return one
    if not _is_settled(stage, pairs, look, one.candidate, effect):
        return one
    test = pairs.test(one.candidate, stage.baseline)
    if test is None or not pairs.is_behind(
        one.candidate, _rival(stage, pairs, one.candidate), effect
    ):
        return one
    found = compared(one.candidate.arm, test, effect, look.level / len(stage.standings), 1.0)
    return replace(one, found=found, pairs=test.pairs, left=SETTLED)


def _is_settled(
    stage: Confirmation, pairs: Pairs, look: Look, candidate: Candidate, effect: float
) -> bool:
    one, other = pairs.of(candidate, stage.baseline)
    differences = (one - other)[:, 0]
    return all(
        is_settled(
            differences, later.pairs - pairs.seeds, level=later.level, smallest_effect=effect
        )
        for later in stage.looks
        if later.pairs >= look.pairs
    )


def _rival(stage: Confirmation, pairs: Pairs, candidate: Candidate) -> Candidate:
    others = [one.candidate for one in stage.running if one.candidate != candidate]
    return max([stage.baseline, *others], key=lambda other: pairs.estimate(other, stage.baseline))


def leave(stage: Confirmation, pairs: Pairs) -> Confirmation:
    """After a look: arms leave that are worse or equal, or behind one that is better.

    Args:
        stage: The stage.
        pairs: The scores up to the look.

    Returns:
        The stage; no arm runs any more where none could be handed back in place of the best.
    """
    left: dict[Standing, str] = {
        one: f"it is {WORDS[one.found.outcome]}"
        for one in stage.running
        if one.found is not None and one.found.outcome in WORDS
    }
    going = [one for one in stage.running if one not in left]
    leader = max(going, key=lambda one: _estimate(stage, pairs, one), default=None)
    if leader is not None and leader.is_better:
        effect, others = pairs.effect(stage.baseline), [one for one in going if one is not leader]
        behind = [o for o in others if pairs.is_behind(o.candidate, leader.candidate, effect)]
        reason = f"it is hardly better than {leader.candidate.arm} by more than counts"
        left |= dict.fromkeys(behind, reason)
        if len(behind) == len(others):
            left[leader] = "it is better, and no other is likely to be better still"
    standings = (replace(one, left=one.left or left.get(one)) for one in stage.standings)
    return replace(stage, standings=tuple(standings))


def _estimate(stage: Confirmation, pairs: Pairs, one: Standing) -> float:
    return pairs.estimate(one.candidate, stage.baseline)


def leave_all(stage: Confirmation) -> Confirmation:
    """After the last look: all arms leave.

    Args:
        stage: The stage.

    Returns:
        The stage.
    """
    standings = (replace(one, left=one.left or ALL_SEEDS) for one in stage.standings)
    return replace(stage, standings=tuple(standings))
