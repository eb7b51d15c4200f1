"""The verdict in words: one sentence whose figures are rounded alike."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from normcraft.studies.signflip import pairs_needed

if TYPE_CHECKING:
    from normcraft.studies.verdict import Comparison

__all__ = ["Metric", "Wording", "detectable", "too_few"]


@dataclass(frozen=True)
class Metric:
    """How differences of a metric are put into words.

    Attributes:
        name: Name of the metric.
        higher_is_better: Its direction.
        as_fraction: Whether it is a fraction, which is told in points (hundredths).
    """

    name: str
    higher_is_better: bool = True
    as_fraction: bool = True


def detectable(found: Comparison) -> float | None:
    """The smallest difference that would have been called.

    Returns:
        The distance from the difference to the farther end of its interval: a shift by more than
        this excludes zero on either side. None without an interval.
    """
    return found.interval and max(
        found.interval[1] - found.difference, found.difference - found.interval[0]
    )


def too_few(pairs: int, comparisons: int, level: float, incomplete: int) -> str:
    """Why so few pairs cannot decide anything, and what to do.

    Returns:
        A clause for the verdict's sentence.
    """
    needed = pairs_needed(level / comparisons)
    family = f" over {comparisons} comparisons" if comparisons > 1 else ""
    hint = f"add --seeds {max(8, needed)}"
    if pairs + incomplete >= needed:
        hint = f"{incomplete} more lack a result in some arm, run it again to complete them"
    return (
        f"{pairs} paired seed{'s' if pairs > 1 else ''} cannot reach significance at {level:g}"
        f"{family}, at least {needed} are needed: {hint}"
    )


@dataclass(frozen=True)
class Wording:
    """Words for one comparison; the figures of a sentence are rounded alike, so none contradicts.

    Attributes:
        found: The comparison that is told.
        metric: What it is measured in.
        pairs: Paired seeds.
        comparisons: Comparisons that Holm's correction covers.
        smallest_effect: Difference that counts as none.
    """

    found: Comparison
    metric: Metric
    pairs: int
    comparisons: int
    smallest_effect: float

    def tell(self, arm: str, other: str) -> str:
        """The sentence.

        Returns:
            For example `"a is better than b by 1.3 points (95% interval …, 8 paired seeds)"`.
        """
        if self.found.outcome == "better":
            by = f" by {self._amount}" if self.metric.as_fraction else f": {self._amount}"
            return f"{arm} is better than {other}{by} ({self._evidence}, {self._seeds})"
        the = "the difference is " if self.metric.as_fraction else ""
        if self.found.outcome == "equal":
            return (
                f"{arm} and {other} are practically equal: {the}{self._amount} "
                f"({self._evidence}, {self._seeds}), within {self._bound}"
            )
        return (
            f"cannot tell {arm} from {other}: {the}{self._amount} ({self._evidence}); with "
            f"{self._seeds} only a difference of {self._detectable} or more could have been shown"
        )

    @property
    def _scale(self) -> int:
        # A metric's name goes with "higher" or "lower", never with a negative difference.
        if self.metric.as_fraction:
            return 100
        return -1 if self.found.difference < 0 else 1

    @property
    def _ends(self) -> tuple[float, float]:
        low, high = sorted(self._scale * end for end in self.found.interval or (0.0, 0.0))
        return low, high

    @property
    def _digits(self) -> int:
        # Enough that a bound which excludes zero, the width and the smallest effect do not vanish.
        low, high = self._ends
        matter = [high - low if high - low > 1e-9 * max(-low, high) else 0.0]
        if low > 0 or high < 0:
            matter.append(min(abs(low), abs(high)))
        least = 1 if self.metric.as_fraction else 1 - _exponent(max(-low, high))
        if self.found.outcome == "equal":
            effect = abs(self._scale) * self.smallest_effect
            two = 1 - _exponent(effect)
            least = max(least, two - (round(effect, two - 1) == round(effect, two)))
        return max(0, least, *(-_exponent(value) for value in matter if value))

    @property
    def _amount(self) -> str:
        figure = self._number(self._scale * self.found.difference)
        if self.metric.as_fraction:
            return f"{figure} points"
        word = "higher" if self.metric.higher_is_better == (self._scale > 0) else "lower"
        return f"{self.metric.name} {word} by {figure}"

    @property
    def _evidence(self) -> str:
        low, high = map(self._number, self._ends)
        family = f", Holm over {self.comparisons} comparisons" if self.comparisons > 1 else ""
        return f"{100 * (1 - self.found.level):.4g}% interval {low} to {high}{family}"

    @property
    def _seeds(self) -> str:
        return f"{self.pairs} paired seeds"

    @property
    def _bound(self) -> str:
        figure = self._number(abs(self._scale) * self.smallest_effect)
        figure = figure.rstrip("0").rstrip(".") if "." in figure else figure
        if not self.metric.as_fraction:
            return figure
        return {"0.5": "half a point", "1": "one point"}.get(figure, f"{figure} points")

    @property
    def _detectable(self) -> str:
        steps = abs(self._scale) * (detectable(self.found) or 0.0) * 10**self._digits
        figure = self._number(ceil(round(steps, 6)) / 10**self._digits)
        return f"{figure} points" if self.metric.as_fraction else figure

    def _number(self, value: float) -> str:
        text = f"{value:.{self._digits}f}"
        return text if float(text) else text.removeprefix("-")


def _exponent(value: float) -> int:
    return floor(log10(value)) if value > 0 else 0
