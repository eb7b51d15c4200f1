r"""Curtailment: whether the pairs that are still to come can change "cannot tell" into anything.

Let $S$ be the sum of the $n$ differences that are known, and let $r$ more follow, of any size. If
their total with $S$ is positive, a flip $f$ counts against the arm wherever

- it flips none of the $r$ and $S_f \ge S$ (then $T_f \ge T$ whatever they are), or
- it flips all of the $r$ and $S_f \le -S$ (then $T_f \le -T$).

The share of these flips bounds p from below, for every completion; with all $2^{n + r}$ flips it is
$2^{1-r}$ times the one-sided p-value so far. The test of a shift is bounded in the same way. Where
neither "better" nor "worse" nor "equal" is left at the level, no completion reaches any of them.
The bound is counted over the very flips that the test will use, so it is exact beyond 16 pairs too.
"""

from __future__ import annotations

import numpy as np

from normcraft.studies.selection import RELATIVE_TIE, FloatArray
from normcraft.studies.signflip import all_flips

__all__ = ["is_settled"]


def is_settled(
    differences: FloatArray, remaining: int, *, level: float, smallest_effect: float
) -> bool:
    """Whether "cannot tell" is all that can come of a comparison.

    Args:
        differences: The paired differences that are known, shape `(pairs,)`.
        remaining: How many follow.
        level: The largest level at which the comparison may be decided.
        smallest_effect: A difference no larger than this is practically none.

    Returns:
        True only where no completion is significant in either direction, or practically equal.

    Example:
        >>> noise = np.array([0.02, -0.03, 0.01, -0.02, 0.03, -0.01])
        >>> is_settled(noise, 2, level=0.05, smallest_effect=0.005)
        True
        >>> is_settled(noise, 6, level=0.05, smallest_effect=0.005)
        False
    """
    differences = np.asarray(differences, dtype=np.float64)
    if not len(differences) or 2.0 ** (1 - remaining) <= level:  # the bound cannot be larger
        return False
    # A shift just beyond the effect, where all differences are zero too.
    margin = 1e-9 * ((np.abs(differences).max() + smallest_effect) or 1.0)

    def out_of_reach(values: FloatArray) -> bool:
        return _least_p(values, remaining) > level

    inside = smallest_effect + margin
    return (
        out_of_reach(differences)  # better
        and out_of_reach(-differences)  # worse
        and (out_of_reach(inside - differences) or out_of_reach(differences + inside))  # equal
    )


def _least_p(differences: FloatArray, remaining: int) -> float:
    # The least p with which the mean can turn out positive.
    pairs = len(differences)
    flips = all_flips(pairs + remaining)
    sums = (1 - 2 * flips[:, :pairs].astype(np.float64)) @ differences
    tie = pairs * RELATIVE_TIE * np.abs(differences).max()
    none, every = ~flips[:, pairs:].any(axis=1), flips[:, pairs:].all(axis=1)
    counts = (none & (sums >= sums[0] - tie)) | (every & (sums <= tie - sums[0]))
    return float(np.mean(counts))
