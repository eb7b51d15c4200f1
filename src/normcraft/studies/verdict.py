"""The verdict: every arm tested against the baseline (Holm), three outcomes, one sentence.

A difference is "equal" where its whole interval lies within the smallest effect that matters, even
if it is not zero; else "better" or "worse" where its interval excludes zero; else "cannot_tell".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Literal, cast

import numpy as np

from normcraft._core.errors import InputError
from normcraft.records import Verdict, VerdictOutcome
from normcraft.studies.selection import FloatArray, chosen_values
from normcraft.studies.signflip import Interval, SignFlipTest
from normcraft.studies.wording import Metric, Wording, detectable, too_few

__all__ = [
    "Comparison",
    "Metric",
    "compare_with_baseline",
    "decide",
    "holm",
    "judged",
    "outcome_of",
]

ArmOutcome = Literal["better", "worse", "equal", "cannot_tell"]


@dataclass(frozen=True)
class Comparison:
    """One arm against the baseline; positive is better.

    Attributes:
        arm: Name of the arm.
        difference: Mean score of the arm minus that of the baseline.
        interval: Interval of `difference` at `level`; None where that level cannot be reached.
        level: Error probability at which Holm's procedure decided this arm.
        p_value: Holm-adjusted p-value.
        outcome: What came of it.
    """

    arm: str
    difference: float
    interval: Interval | None
    level: float
    p_value: float
    outcome: ArmOutcome


def holm(
    p_values: Sequence[float], *, level: float = 0.05
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    r"""Holm's adjusted p-values, and the level that decided each comparison.

    In ascending order the k-th of m p-values is tested at $\alpha / (m - k + 1)$ until one is not
    rejected; all that remain are decided, and kept, at the level of that one. The adjusted value is
    $\max_{j \le k} \min(1, (m - j + 1)\, p_{(j)})$. Equal p-values share the first of their levels,
    so that the order of arms decides nothing. Source: Holm 1979, *Scand. J. Stat.* 6(2).

    Args:
        p_values: One p-value a comparison.
        level: Error probability of the whole family.

    Returns:
        `(adjusted, levels)` in the order received: a comparison is rejected at its level exactly
        where its adjusted p-value is at most `level`.

    Example:
        >>> holm([0.03, 0.01])
        ((0.03, 0.02), (0.05, 0.025))
    """
    adjusted, levels = [1.0] * len(p_values), [level] * len(p_values)
    largest, previous, step, stopped = 0.0, -1.0, level, False
    for done, index in enumerate(np.argsort(p_values, kind="stable")):
        left = len(p_values) - done
        if p_values[index] != previous and not stopped:
            previous, step = p_values[index], level / left
        stopped = stopped or p_values[index] > step
        largest = max(largest, min(1.0, left * p_values[index]))
        adjusted[index], levels[index] = largest, step
    return tuple(adjusted), tuple(levels)


def compare_with_baseline(
    baseline: FloatArray,
    others: Mapping[str, FloatArray],
    *,
    smallest_effect: float,
    level: float = 0.05,
) -> tuple[Comparison, ...]:
    """Every other arm against the baseline, at one error probability for all of them together.

    Args:
        baseline: Scores of the baseline, shape `(seeds, learning_rates)`, higher is better.
        others: Scores of the other arms, by name, of the same shape.
        smallest_effect: A difference no larger than this is practically none.
        level: Error probability of the whole family.

    Returns:
        One comparison an arm, in the order received.

    Raises:
        InputError: Where `smallest_effect` is negative or not a number.

    Example:
        >>> none = np.array([[0.90], [0.91], [0.89], [0.90], [0.92], [0.88]])
        >>> (found,) = compare_with_baseline(none, {"input": none + 0.02}, smallest_effect=0.005)
        >>> found.outcome, found.p_value
        ('better', 0.03125)
    """
    if not 0 <= smallest_effect < inf:
        raise InputError(
            "not a smallest effect", received=f"{smallest_effect}", expected="zero or more"
        )
    tests = [SignFlipTest.of(arm, baseline) for arm in others.values()]
    adjusted, levels = holm([test.p_value for test in tests], level=level)
    reference = chosen_values(baseline).mean()
    found = []
    for (name, arm), test, p, step in zip(others.items(), tests, adjusted, levels, strict=True):
        bounds = test.interval(step)
        difference = float(chosen_values(arm).mean() - reference)
        outcome = outcome_of(bounds, smallest_effect)
        found.append(Comparison(name, difference, bounds, step, p, outcome))
    return tuple(found)


def decide(
    comparisons: Sequence[Comparison],
    *,
    baseline: str,
    pairs: int,
    metric: Metric,
    smallest_effect: float,
    level: float = 0.05,
    incomplete: int = 0,
    rank: Mapping[str, float] | None = None,
) -> Verdict:
    """The verdict over all arms, and its sentence.

    The winner is the best arm that is better than the baseline; or the baseline, where every other
    arm is worse. Else the best arm that is not worse is judged: equal, or it cannot be told.

    Args:
        comparisons: Every other arm against the baseline.
        baseline: Name of the baseline.
        pairs: Paired seeds that count.
        metric: How differences are worded.
        smallest_effect: A difference no larger than this is practically none.
        level: Error probability of the whole family.
        incomplete: Seeds left out because a trial of theirs has no result.
        rank: What arms of one outcome are ranked by; None for their differences.

    Returns:
        The verdict.

    Example:
        >>> found = Comparison("input", 0.013, (0.008, 0.019), 0.05, 0.0078125, "better")
        >>> metric = Metric("accuracy")
        >>> decide([found], baseline="none", pairs=8, metric=metric, smallest_effect=0.005)
        input is better than none by 1.3 points (95% interval 0.8 to 1.9, 8 paired seeds)
    """
    if not pairs or not comparisons:
        sentence = f"only {baseline} was trained: there is nothing to compare it with"
        if not pairs:
            lack = f"({incomplete} incomplete)"
            sentence = f"nothing can be told: no seed has a result in every arm {lack}"
        return Verdict(
            sentence, "cannot_tell", None, baseline, None, None, None, None, smallest_effect
        )
    found, arm, other = judged(comparisons, baseline, rank)
    if found.interval is None:
        why = too_few(pairs, len(comparisons), level, incomplete)
        sentence = f"cannot tell {arm} from {other}: {why}"
    else:
        sentence = Wording(found, metric, pairs, len(comparisons), smallest_effect).tell(arm, other)
    return Verdict(
        sentence=sentence,
        outcome=cast(VerdictOutcome, found.outcome),
        winner=arm if found.outcome == "better" else None,
        baseline=baseline,
        difference=found.difference,
        interval=found.interval,
        p_value=found.p_value,
        smallest_detectable=detectable(found) if found.outcome == "cannot_tell" else None,
        smallest_effect=smallest_effect,
        level=found.level,
    )


def outcome_of(bounds: Interval | None, smallest_effect: float) -> ArmOutcome:
    """What an interval says of an arm.

    Args:
        bounds: Interval of arm minus baseline; None where there is none.
        smallest_effect: A difference no larger than this is practically none.

    Returns:
        The outcome.

    Example:
        >>> outcome_of((0.01, 0.03), 0.005), outcome_of((-0.01, 0.03), 0.005)
        ('better', 'cannot_tell')
    """
    if bounds is None:
        return "cannot_tell"
    low, high = bounds
    if max(-low, high) <= smallest_effect:
        return "equal"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "cannot_tell"


def judged(
    comparisons: Sequence[Comparison], baseline: str, rank: Mapping[str, float] | None = None
) -> tuple[Comparison, str, str]:
    """The comparison that the verdict tells, and its two arms in the order in which it tells them.

    Args:
        comparisons: Every other arm against the baseline.
        baseline: Name of the baseline.
        rank: What arms of one outcome are ranked by; None for their differences.

    Returns:
        `(comparison, arm, other)`; the comparison is turned round where the baseline wins.
    """

    def value(one: Comparison) -> float:
        return one.difference if rank is None else rank[one.arm]

    def best(outcomes: set[ArmOutcome]) -> Comparison | None:
        candidates = [one for one in comparisons if one.outcome in outcomes]
        return max(candidates, key=value, default=None)

    found = best({"better"}) or best({"equal", "cannot_tell"})
    if found:
        return found, found.arm, baseline
    found = max(comparisons, key=value)
    bounds = found.interval and (-found.interval[1], -found.interval[0])
    turned = replace(found, difference=-found.difference, interval=bounds, outcome="better")
    return turned, baseline, found.arm
