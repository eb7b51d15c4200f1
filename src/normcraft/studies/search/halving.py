"""Successive halving: which candidates of a rung go on, also while some of its trials still run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import ceil

from normcraft.studies.search.cell import Candidate

__all__ = ["halve", "places"]

FEWEST = 4  # candidates, so that a rung never leaves fewer than the arms that are confirmed


def places(candidates: int) -> int:
    """How many of a rung's candidates go on.

    Args:
        candidates: How many there are.

    Returns:
        Half of them, four at least where there are as many.

    Example:
        >>> [places(number) for number in (24, 7, 5, 3)]
        [12, 4, 4, 3]
    """
    return min(candidates, max(FEWEST, ceil(candidates / 2)))


def halve(
    means: Mapping[Candidate, float | None], *, baseline: str, complete: bool = True
) -> tuple[Candidate, ...]:
    """The candidates that go on: the best half, of an arm no more than half of its learning rates.

    The baseline always goes on, at its best rate. While trials are running, only candidates that
    go on whatever those trials bring are named, so that the order in which trials end changes
    nothing but who may begin early.

    Args:
        means: Mean score by candidate; None where its trials still run, minus infinity where one
            failed.
        baseline: Name of the baseline.
        complete: Whether these are all candidates of the rung; else nothing is certain.

    Returns:
        Candidates, the best first.

    Example:
        >>> a, b, none = (Candidate(arm, 0.1) for arm in ("a", "b", "none"))
        >>> halve({none: 0.5, a: 0.9, b: 0.8}, baseline="none")[0]
        Candidate(arm='a', rate=0.1)
    """
    if not complete:
        return ()
    most = {arm: ceil(number / 2) for arm, number in Counter(c.arm for c in means).items()}
    order = {candidate: number for number, candidate in enumerate(means)}
    known = {candidate: mean for candidate, mean in means.items() if mean is not None}
    ranked = sorted(known, key=lambda candidate: (-known[candidate], order[candidate]))
    waiting = Counter(candidate.arm for candidate in means if candidate not in known)
    room = places(len(means)) - sum(waiting.values())
    kept: list[Candidate] = []
    used = Counter(waiting)
    for candidate in ranked:
        if room > 0 and used[candidate.arm] < most[candidate.arm]:
            kept.append(candidate)
            room -= 1
        used[candidate.arm] += 1
    return (*kept, *_protected(ranked, kept, baseline, waiting))


def _protected(
    ranked: list[Candidate], kept: list[Candidate], baseline: str, waiting: Counter[str]
) -> list[Candidate]:
    own = [candidate for candidate in ranked if candidate.arm == baseline]
    if waiting[baseline] or not own or own[0] in kept:
        return []
    return own[:1]
