"""The validation curves as a still picture: for a notebook, and for a page without scripts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from normcraft.records import ArmSummary, Summary, TrialRecord
from normcraft.report.curves import CurvePoint, Quantity, curve, has_curves, judged_mean, trials_of
from normcraft.report.escape import shortened, visible
from normcraft.report.numbers import ScoreFormat, score_format
from normcraft.report.palette import strokes
from normcraft.report.templates import template
from normcraft.report.ticks import is_wide, linear_ticks, log_ticks

__all__ = ["curves_svg"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 628, 10, 260
_DASHES = {"solid": "", "dash": "8 4", "dot": "2 4", "dashdot": "8 4 2 4"}
_MOST_DOTS = 25


def curves_svg(summary: Summary, records: Sequence[TrialRecord]) -> str:
    """The figure of `curves_figure` without a script: lines, bands, diamonds, values on hovering.

    Texts and axes take the color of the text around them, so that it suits dark pages.

    Args:
        summary: The judged comparison.
        records: What came of its trials.

    Returns:
        An SVG element; empty where there is no curve.
    """
    quantity: Quantity = "score" if has_curves(records, "score") else "loss"
    form = score_format(summary) if quantity == "score" else ScoreFormat(1, 4, "", "")
    drawn = [
        _Drawn(arm, points, judged_mean(trials, quantity), form)
        for arm in summary.arms
        if (points := curve(trials := trials_of(arm, records), quantity))
    ]
    if not drawn:
        return ""
    wide = quantity == "loss" and is_wide(value for each in drawn for value in each.values)
    x, y = _scales(drawn, wide)
    name = shortened(summary.metric, 24) if quantity == "score" else "loss"
    text: str = template("curves.svg.j2").render(
        title=f"validation {name}{' (%)' if form.scale == 100 else ''}",
        across=[
            (f"{x(tick):.1f}", f"{tick:g}")
            for tick in linear_ticks(x.low, x.high, 12, least_step=1)
        ],
        upward=[
            (f"{y(tick):.1f}", f"{tick:.6g}")
            for tick in (log_ticks(y.low, y.high) if wide else linear_ticks(y.low, y.high, 8))
        ],
        arms=[each.placed(summary, x, y) for each in drawn],
    )
    return text


@dataclass(frozen=True)
class _Scale:
    # From values to pixels along one axis.
    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = map(self._measure, (self.low, self.high, value))
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def _measure(self, value: float) -> float:
        return math.log(value) if self.logarithmic else value


@dataclass(frozen=True)
class _Drawn:
    arm: ArmSummary
    points: list[CurvePoint]
    judged: float | None
    form: ScoreFormat

    @property
    def values(self) -> list[float]:
        found = [bound for point in self.points for bound in (point.low, point.high)]
        found += [] if self.judged is None else [self.judged]
        return [self.form.scale * value for value in found]

    def placed(self, summary: Summary, x: _Scale, y: _Scale) -> dict[str, Any]:
        # What the template draws, in pixels.
        def path(points: Iterable[tuple[int, float]]) -> str:
            return " ".join(f"{x(e):.1f},{y(self.form.scale * value):.1f}" for e, value in points)

        stroke, form, name = strokes(summary)[self.arm.name], self.form, visible(self.arm.name)
        above = [(p.epoch, p.high) for p in self.points]
        below = [(p.epoch, p.low) for p in reversed(self.points)]
        last = self.points[-1].epoch
        few = self.points[:: math.ceil(len(self.points) / _MOST_DOTS)]
        return {
            "color": stroke.color,
            "dashes": _DASHES[stroke.dash],
            "band": path([*above, *below]),
            "line": path((p.epoch, p.mean) for p in self.points),
            "dots": [
                (
                    path([(p.epoch, p.mean)]),
                    f"{name}, epoch {p.epoch}: {form.score(p.mean)} "
                    f"({form.interval((p.low, p.high))}, seeds: {p.seeds})",
                )
                for p in few
            ],
            "judged": self.judged is not None
            and (path([(last, self.judged)]), f"{name}, re-estimated: {form.score(self.judged)}"),
        }


def _scales(drawn: Sequence[_Drawn], wide: bool) -> tuple[_Scale, _Scale]:
    last = max(each.points[-1].epoch for each in drawn)
    values = [value for each in drawn for value in each.values]
    low, high = min(values), max(values)
    room = 0.0 if wide else 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return (
        _Scale(0.5, last + 0.5, _LEFT, _RIGHT),
        _Scale(low - room, high + room, _BOTTOM, _TOP, logarithmic=wide),
    )
