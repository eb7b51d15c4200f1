"""Small pictures for a page without scripts: histograms and lines, placed in pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from normcraft.diagnostics.distribution import Distribution
from normcraft.report.ticks import linear_ticks

__all__ = ["histogram", "lines", "span_of"]

_WIDTH, _HEIGHT = 300, 140
_RIGHT, _TOP, _BOTTOM = 8, 8, 22
_TICKS = 5
Series = tuple[str, Sequence[float]]
Band = tuple[str, Sequence[float], Sequence[float]]


def histogram(
    title: str,
    words: str,
    drawn: Sequence[tuple[str, Distribution]],
    span: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Densities over one axis, the first filled and the others as dashed lines.

    Args:
        title: What is drawn.
        words: The finer print.
        drawn: `(color, distribution)`; colors are classes of the page's style.
        span: Ends of the axis; None for those of the distributions.

    Returns:
        What the template draws.
    """
    low, high = span or span_of(one for _, one in drawn)
    highest = max(_height(one) for _, one in drawn) or 1.0
    marks = []
    for number, (color, one) in enumerate(drawn):
        points = _outline(one, low, high, highest)
        marks.append((f"line dashed {color}" if number else f"area {color}", _path(points)))
    return _frame(title, words, (low, high), (), 8) | {"marks": marks}


def span_of(drawn: Iterable[Distribution]) -> tuple[float, float]:
    """The ends of an axis that shows several distributions.

    Returns:
        Low and high.
    """
    ends = [(one.low, one.high) for one in drawn]
    return min(low for low, _ in ends), max(high for _, high in ends)


def lines(
    title: str,
    words: str,
    drawn: Sequence[Series],
    *,
    bands: Sequence[Band] = (),
    across: Sequence[float] | None = None,
    from_zero: bool = False,
) -> dict[str, Any]:
    """Lines over steps.

    Args:
        title: What is drawn.
        words: The finer print.
        drawn: `(classes, values)`, one value a step.
        bands: `(classes, lower values, upper values)` behind them.
        across: The step of each value; None for 0, 1, 2, …
        from_zero: Whether the upward axis begins at zero.

    Returns:
        What the template draws.
    """
    every = [values for _, values in drawn] + [v for _, *ends in bands for v in ends]
    finite = [value for values in every for value in values if math.isfinite(value)]
    low, high = _room(finite, from_zero=from_zero)
    steps = list(across) if across is not None else list(range(max(map(len, every), default=1)))
    first, last = (steps[0], steps[-1]) if steps[-1] > steps[0] else (steps[0], steps[0] + 1)
    frame = _frame(title, words, (first, last), (low, high), 44)

    def place(number: int, value: float) -> tuple[float, float]:
        x = 44 + (steps[number] - first) / (last - first) * (_WIDTH - _RIGHT - 44)
        return x, _upward(value, low, high)

    marks = []
    for color, lower, upper in bands:
        there = [place(i, v) for i, v in enumerate(upper) if math.isfinite(v)]
        back = [place(i, v) for i, v in enumerate(lower) if math.isfinite(v)]
        marks.append((f"area {color}", _path([*there, *back[::-1]])))
    for color, values in drawn:
        points = [place(i, v) for i, v in enumerate(values) if math.isfinite(v)]
        marks.append((f"line {color}", _path(points)))
    return frame | {"marks": marks}


def _room(values: Sequence[float], *, from_zero: bool) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = 0.0 if from_zero else low
    room = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
    return (low if from_zero else low - room), high + room


def _upward(value: float, low: float, high: float) -> float:
    floor = _HEIGHT - _BOTTOM
    return floor - (value - low) / (high - low) * (floor - _TOP)


def _frame(
    title: str,
    words: str,
    across: tuple[float, float],
    upward: tuple[float, float] | tuple[()],
    left: int,
) -> dict[str, Any]:
    def place(value: float) -> float:
        return left + (value - across[0]) / (across[1] - across[0]) * (_WIDTH - _RIGHT - left)

    ticks = linear_ticks(*across, _TICKS) if across[1] > across[0] else []
    heights = linear_ticks(*upward, 4) if upward else []
    return {
        "title": title,
        "words": words,
        "label": f"{title}: {words}",
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": left,
        "across": [(f"{place(tick):.1f}", f"{tick:.6g}") for tick in ticks],
        "upward": [(f"{_upward(tick, *upward):.1f}", f"{tick:.6g}") for tick in heights],  # type: ignore[call-arg]
    }


def _height(one: Distribution) -> float:
    return max(one.counts) / (sum(one.counts) or 1) * len(one.counts) / (one.high - one.low)


def _outline(
    one: Distribution, low: float, high: float, highest: float
) -> list[tuple[float, float]]:
    width = (one.high - one.low) / len(one.counts)
    total = sum(one.counts) or 1
    ends = [(one.low, 0.0)]
    for number, count in enumerate(one.counts):
        density = count / total / width
        ends += [(one.low + (number + side) * width, density) for side in (0, 1)]
    ends.append((one.high, 0.0))
    scale = (_WIDTH - _RIGHT - 8) / (high - low)
    return [(8 + (x - low) * scale, _upward(y, 0, 1.05 * highest)) for x, y in ends]


def _path(points: Iterable[tuple[float, float]]) -> str:
    placed = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f"M{placed}" if placed else ""
