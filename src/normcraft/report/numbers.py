"""Scores as text: percent or plain, with as many digits as the intervals carry."""

from __future__ import annotations

import math
from dataclasses import dataclass

from normcraft.records import Summary

__all__ = ["ScoreFormat", "amount", "finite", "rate", "score_format"]


@dataclass(frozen=True)
class ScoreFormat:
    """How the scores of one comparison are written.

    Attributes:
        scale: 100 for percentages, else 1.
        digits: Digits after the point.
        unit: What follows a score in running text, with its space (`" %"`).
        difference_unit: What follows a difference (`" points"`).
        minus: The minus sign.
    """

    scale: float
    digits: int
    unit: str
    difference_unit: str
    minus: str = "-"

    def score(self, value: float | None) -> str:
        """A score, without its unit.

        Returns:
            Text, empty where there is no number.
        """
        return self._number(value, "")

    def difference(self, value: float | None) -> str:
        """A difference with its sign, without its unit.

        Returns:
            Text, empty where there is no number.
        """
        return self._number(value, "+")

    def interval(self, bounds: tuple[float, float] | None, sign: str = "") -> str:
        """An interval, without its unit.

        Args:
            bounds: Low and high.
            sign: `"+"` where positive bounds carry a sign.

        Returns:
            For example `"0.8 to 1.9"`; empty where there is none.
        """
        if bounds is None or finite(bounds[0]) is None or finite(bounds[1]) is None:
            return ""
        return f"{self._number(bounds[0], sign)} to {self._number(bounds[1], sign)}"

    def _number(self, value: float | None, sign: str) -> str:
        if finite(value) is None:
            return ""
        text = f"{self.scale * value:{sign}.{self.digits}f}"  # type: ignore[operator]
        if not float(text):
            text = text.lstrip("+-")
        return text.replace("-", self.minus)


def score_format(summary: Summary, minus: str = "-") -> ScoreFormat:
    """The format in which the narrowest interval still shows its width.

    Args:
        summary: The comparison.
        minus: The minus sign.

    Returns:
        Percent with one to three digits where scores are fractions, else plain numbers.

    Example:
        >>> form = ScoreFormat(scale=100, digits=1, unit=" %", difference_unit=" points")
        >>> form.difference(0.0131)
        '+1.3'
    """
    scale = 100.0 if summary.as_fraction else 1.0
    bounds = [arm.interval for arm in summary.arms] + [a.difference_interval for a in summary.arms]
    widths = [high - low for low, high in filter(None, bounds) if math.isfinite(high - low)]
    rounding = 1e-9 * max((abs(arm.mean or 0.0) for arm in summary.arms), default=0.0)
    widths = [scale * width for width in widths if width > rounding]
    widths = widths or [scale * abs(a.difference) for a in summary.arms if a.difference]
    widths = [width for width in widths if math.isfinite(width)]
    exponent = math.floor(math.log10(min(widths))) if widths else -1
    if summary.as_fraction:
        return ScoreFormat(scale, min(max(-exponent, 1), 3), " %", " points", minus)
    return ScoreFormat(scale, min(max(1 - exponent, 0), 8), "", "", minus)


def finite(value: float | None) -> float | None:
    """The number, or None where it is none.

    Returns:
        None for None, NaN and the infinities.
    """
    return value if value is not None and math.isfinite(value) else None


def rate(value: float) -> str:
    """A learning rate in its shortest form.

    Returns:
        For example `"0.001"`.
    """
    return f"{value:.6g}"


def amount(value: float | None) -> str:
    """A time or another positive measure with three significant digits.

    Returns:
        For example `"3.14"` or `"1,250"`; empty where there is no number.
    """
    if value is None or not math.isfinite(value):
        return ""
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{round(value, digits):,.{max(digits, 0)}f}"
