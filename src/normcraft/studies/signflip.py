r"""The exact paired sign-flip test of two arms, and the interval that is its inversion.

For $n$ paired seeds the statistic is the mean paired difference, each arm at its chosen learning
rate (`selection.chosen_rates`):

$$T = \frac1n \sum_s (a_{s,\hat l_s(a)} - b_{s,\hat l_s(b)})$$

If the arms do not differ, the labels "a" and "b" of a seed may be swapped. A flip swaps **whole
rows** of learning rates and rates are chosen anew, so that choosing is part of what the test
repeats; p is the share of all $2^n$ flips with $|T_f| \ge |T|$ (Fisher 1935, *The Design of
Experiments*, section 21; Pitman 1937, *J. R. Stat. Soc. Suppl.* 4). A flip and its opposite give
$\pm T_f$, so the first seed is never flipped, which halves the work.

**The interval** holds every shift $\delta$ that the test of $a - \delta$ against $b$ does not
reject. A shift moves all rates of a row alike, so it changes no choice, and with $\sigma_f$ the
mean of the flip's signs $T_f(\delta) = T_f - \delta\sigma_f$. A flip then counts,
$|T_f - \delta\sigma_f| \ge |T - \delta|$, exactly between the two numbers

$$\frac{T + T_f}{1 + \sigma_f}, \qquad \frac{T - T_f}{1 - \sigma_f}$$

which lie on either side of $T$ (with one learning rate: the mean difference of the seeds that were
not flipped and of those that were). So p falls steadily on either side of $T$, and the ends of the
interval are order statistics of these numbers: no search, for any number of learning rates. The
code holds sums over seeds rather than means, which keeps whole numbers whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import count
from math import floor

import numpy as np
from numpy.typing import NDArray

from normcraft._core.errors import InputError
from normcraft.studies.selection import (
    RELATIVE_TIE,
    FloatArray,
    finite_scores,
    values_of_columns,
)

__all__ = ["Interval", "SignFlipTest", "all_flips", "mean_interval", "pairs_needed"]

Interval = tuple[float, float]

EXACT_PAIRS = 16
# A power of two, as the number of all flips is: p then has no rounding, and p <= level is exact.
SAMPLED_FLIPS = 2 ** (EXACT_PAIRS - 1)
CHUNK_ELEMENTS = 2**18


@dataclass(frozen=True, eq=False)
class SignFlipTest:
    """Every flip of two paired arms, once: the p-value and the intervals at any level follow.

    Attributes:
        sums: Sum of the paired differences under each flip, shape `(flips,)`, the identity first.
        balances: Sum of each flip's signs, shape `(flips,)`.
        pairs: Paired seeds.
        tie: Sums that differ by no more than this are equal (`selection.RELATIVE_TIE` of the
            largest score, a seed).

    Example:
        >>> a = np.array([[3.0], [1.0], [2.0], [5.0], [4.0], [6.0]])
        >>> test = SignFlipTest.of(a, np.zeros((6, 1)))
        >>> test.p_value, test.interval(0.05)
        (0.03125, (1.0, 6.0))
    """

    sums: FloatArray
    balances: NDArray[np.intp]
    pairs: int
    tie: float

    @classmethod
    def of(cls, a: FloatArray, b: FloatArray) -> SignFlipTest:
        """The test of arm `a` against arm `b`.

        Args:
            a: Scores, shape `(seeds, learning_rates)`, higher is better.
            b: Scores of the same seeds and learning rates.

        Returns:
            The test.

        Raises:
            InputError: If the shapes differ.
        """
        if np.ndim(a) != 2 or np.shape(a) != np.shape(b):
            raise InputError(
                "arms are not paired",
                received=f"shapes {np.shape(a)} and {np.shape(b)}",
                expected="(seeds, learning_rates), the same for both",
            )
        a, b = finite_scores(a), finite_scores(b)
        flips = all_flips(len(a))
        sums = _sums_of_differences(a, b, flips)
        tie = len(a) * RELATIVE_TIE * max(np.abs(a).max(), np.abs(b).max())
        return cls(sums, len(a) - 2 * flips.sum(axis=1), len(a), tie)

    @cached_property
    def p_value(self) -> float:
        """The two-sided p-value, between 2 / 2**pairs and 1.

        Exact to 16 pairs. Beyond, a fixed random sample of 32,767 flips and the identity,
        p = (1 + hits) / 32,768, which is valid as well (Phipson and Smyth 2010). Flips that differ
        from T by rounding alone count as ties.
        """
        return float(np.mean(np.abs(self.sums) >= abs(self.sums[0]) - self.tie))

    def interval(self, level: float) -> Interval | None:
        """All shifts of `a - b` that the test does not reject at `level`.

        It excludes 0 exactly where `p_value <= level`. Under a pure shift it covers with a
        probability of at least `1 - level`.

        Args:
            level: Error probability of the test that is inverted.

        Returns:
            `(low, high)`, or None where so few pairs can reject nothing (at 0.05: fewer than six).
        """
        _check_level(level)
        observed, moved = self.sums[0], self.balances < self.pairs
        rank = floor(level * len(self.sums)) - np.count_nonzero(~moved)
        if rank < 0:
            return None
        sums, balances = self.sums[moved], self.balances[moved]
        ends = np.stack(
            [
                (observed + sums) / (self.pairs + balances),
                (observed - sums) / (self.pairs - balances),
            ]
        )
        inside = [observed / self.pairs]
        if self.p_value > level:  # a tie within rounding is not rejected: nor is it left out
            inside.append(0.0)
        low = min(np.sort(ends.min(axis=0))[rank], *inside)
        high = max(np.sort(ends.max(axis=0))[::-1][rank], *inside)
        return float(low), float(high)


def mean_interval(values: FloatArray, *, level: float = 0.05) -> Interval | None:
    """The interval of a mean: all centres that the one-sample sign-flip test does not reject.

    The values are taken to be spread alike on either side of their centre.

    Args:
        values: Shape `(seeds,)`.
        level: Error probability.

    Returns:
        `(low, high)`, or None where so few values can reject nothing (at 0.05: fewer than six).

    Example:
        >>> mean_interval(np.array([3.0, 1.0, 2.0, 5.0, 4.0, 6.0]))
        (1.0, 6.0)
    """
    column = np.asarray(values, dtype=np.float64).reshape(-1, 1)
    return SignFlipTest.of(column, np.zeros_like(column)).interval(level)


def pairs_needed(level: float) -> int:
    """The fewest pairs with which anything can be significant: 2 / 2**pairs <= `level`.

    Args:
        level: Error probability; 0.05 / m for the first step of Holm over m comparisons.

    Returns:
        A number of pairs.

    Example:
        >>> [pairs_needed(0.05 / comparisons) for comparisons in (1, 2, 3, 6)]
        [6, 7, 7, 8]
    """
    _check_level(level)
    return next(pairs for pairs in count(1) if 2.0 ** (1 - pairs) <= level)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError("not an error probability", received=f"{level}", expected="0 < level < 1")


def _sums_of_differences(a: FloatArray, b: FloatArray, flips: NDArray[np.bool_]) -> FloatArray:
    # The sum of differences under every flip, (flips,).
    if a.shape[1] == 1:  # nothing to choose
        sums: FloatArray = (1 - 2 * flips.astype(np.float64)) @ (a - b)[:, 0]
        return sums
    step = max(1, CHUNK_ELEMENTS // a.size)
    chunks = [flips[start : start + step] for start in range(0, len(flips), step)]
    return np.concatenate([_sums_of_chunk(a, b, swap) for swap in chunks])


def _sums_of_chunk(a: FloatArray, b: FloatArray, swap: NDArray[np.bool_]) -> FloatArray:
    one, other = (
        values_of_columns([np.where(swap, y, x) for x, y in zip(first.T, second.T, strict=True)])
        for first, second in ((a, b), (b, a))
    )
    sums: FloatArray = (one - other).sum(axis=1)
    return sums


@cache
def all_flips(pairs: int) -> NDArray[np.bool_]:
    """The flips that a test of so many pairs repeats.

    Args:
        pairs: Paired seeds.

    Returns:
        Shape `(flips, pairs)`, True where a seed is swapped; the first seed never is, and the first
        flip swaps none.

    Example:
        >>> all_flips(2).tolist()
        [[False, False], [False, True]]
    """
    if pairs <= EXACT_PAIRS:
        codes = 2 * np.arange(2 ** max(0, pairs - 1))
        return np.asarray((codes[:, None] >> np.arange(pairs)) & 1, dtype=np.bool_)
    flips = np.random.default_rng(0).integers(0, 2, (SAMPLED_FLIPS, pairs), dtype=np.bool_)
    flips[0], flips[:, 0] = False, False
    return flips
