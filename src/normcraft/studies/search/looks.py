"""When the confirming stage looks at its scores, and what of the error budget each look uses.

The levels of all looks add up to that of the verdict, so that by the union bound no arm is called
wrongly with a larger probability, however it is decided whether to go on after a look.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from normcraft.studies.signflip import pairs_needed

__all__ = ["LEVEL", "Look", "looks"]

LEVEL = 0.05
FIRST = 0.01  # what a look at half of the pairs uses


class Look(NamedTuple):
    """A look at the scores.

    Attributes:
        pairs: Fresh seeds after which it takes place.
        level: Error probability that it uses.
    """

    pairs: int
    level: float


def looks(pairs: int, arms: int) -> tuple[Look, ...]:
    """The looks of a confirming stage, fixed before its first trial.

    Args:
        pairs: Fresh seeds that there can be.
        arms: Arms that are tested.

    Returns:
        One look at the end; one at half before it, where so many pairs could show anything.

    Example:
        >>> looks(20, 1)
        (Look(pairs=10, level=0.01), Look(pairs=20, level=0.04))
        >>> looks(8, 3)
        (Look(pairs=8, level=0.05),)
    """
    half = ceil(pairs / 2)
    if pairs_needed(FIRST / arms) <= half < pairs:
        return (Look(half, FIRST), Look(pairs, LEVEL - FIRST))
    return (Look(pairs, LEVEL),)
