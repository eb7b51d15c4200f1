"""The page of a monitor: what it recorded over the steps, and the model as training left it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from normcraft.diagnostics.explanation import Explanation
from normcraft.diagnostics.monitor_record import LayerRecord, MonitorRecord
from normcraft.report.escape import visible
from normcraft.report.explanation_page import page_of
from normcraft.report.explanation_text import figure, share
from normcraft.report.plots import lines

__all__ = ["render_monitor"]


def render_monitor(explanation: Explanation, history: Sequence[MonitorRecord]) -> str:
    """The records of a monitor as one HTML page with pictures.

    Args:
        explanation: The model as training left it.
        history: What was recorded.

    Returns:
        HTML text that needs no network and runs no script.
    """
    steps = [record.step for record in history]
    return page_of(
        explanation,
        kicker="normcraft monitor",
        courses=[_course(rows, steps) for rows in zip(*(r.layers for r in history), strict=True)],
        courses_title=f"Training, at {len(history)} moments from step {steps[0]} to {steps[-1]}",
        courses_keys=[
            ("on the probe rows", "received", False),
            ("moving averages", "normal", False),
            ("gap between training and inference", "other", False),
        ],
        courses_words=(
            "On the same rows at each moment, in training mode. Means and standard deviations are "
            "averaged over channels; the gap is mean|a−b| / mean|a| of what the layer gives in "
            "training mode and at inference."
        ),
    )


def _course(rows: Sequence[LayerRecord], steps: Sequence[int]) -> dict[str, Any]:
    last = rows[-1]
    panels = [
        lines(
            "what it receives",
            "median, and from the 15th to the 85th percentile",
            [("received", [_at(row.quantiles, 1) for row in rows])],
            bands=[
                (
                    "received",
                    [_at(row.quantiles, 0) for row in rows],
                    [_at(row.quantiles, 2) for row in rows],
                )
            ],
            across=steps,
        ),
        lines(
            "standard deviation",
            "averaged over channels",
            _with_moving(
                [_std(row.variance) for row in rows], [_std(row.moving_variance) for row in rows]
            ),
            across=steps,
            from_zero=True,
        ),
        lines(
            "gap between training and inference",
            "of what it gives, on average",
            [("other", [_number(row.mean_gap) for row in rows])],
            across=steps,
            from_zero=True,
        ),
    ]
    weight = "" if last.initial_weight is None else f"initial values {share(last.initial_weight)}, "
    return {
        "name": visible(last.name),
        "count": f"at the end: {weight}gap {figure(last.mean_gap, 2)}",
        "panels": panels,
    }


def _with_moving(probe: list[float], moving: list[float]) -> list[tuple[str, list[float]]]:
    own = [("normal", moving)] if any(map(math.isfinite, moving)) else []
    return [("received", probe), *own]


def _at(quantiles: tuple[float, float, float] | None, index: int) -> float:
    return math.nan if quantiles is None else quantiles[index]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _std(variance: tuple[float, ...] | None) -> float:
    if not variance:
        return math.nan
    return sum(math.sqrt(max(0.0, value)) for value in variance) / len(variance)
