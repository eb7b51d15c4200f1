"""The figure of learning rates: what each arm scores at every rate tried."""

from __future__ import annotations

from typing import Any

from normcraft.records import ArmSummary, Summary
from normcraft.report.axes import layout, plotly_text, score_axis
from normcraft.report.escape import visible
from normcraft.report.numbers import finite, rate, score_format
from normcraft.report.palette import strokes

__all__ = ["learning_rates_figure", "several_rates"]


def several_rates(summary: Summary) -> bool:
    """Whether any arm was tried at more than one learning rate.

    Returns:
        True where the figure of learning rates says something.
    """
    return any(len(arm.by_learning_rate) > 1 for arm in summary.arms)


def learning_rates_figure(summary: Summary) -> Any:
    """The mean score of each arm at every learning rate tried; a diamond marks the one chosen most.

    Args:
        summary: The judged comparison.

    Returns:
        A `plotly.graph_objects.Figure`.
    """
    import plotly.graph_objects as go

    tried = sorted({value for arm in summary.arms for value, _ in arm.by_learning_rate})
    axis = {
        "title": {"text": "learning rate"},
        "type": "log",
        "tickvals": tried,
        "ticktext": [rate(value) for value in tried],
    }
    plain = layout(axis, score_axis(summary, "mean validation "))
    figure = go.Figure(layout=plain | {"hovermode": "x unified"})
    for arm in summary.arms:
        figure.add_trace(_trace(summary, arm))
    return figure


def _trace(summary: Summary, arm: ArmSummary) -> dict[str, Any]:
    form, stroke = score_format(summary), strokes(summary)[arm.name]
    points = [(tried, finite(mean)) for tried, mean in arm.by_learning_rate]
    chosen = [tried == arm.learning_rate for tried, _ in points]
    return {
        "type": "scatter",
        "x": [tried for tried, _ in points],
        "y": [None if mean is None else form.scale * mean for _, mean in points],
        "name": plotly_text(arm.name),
        "legendgroup": visible(arm.name),
        "mode": "lines+markers",
        "line": {"color": stroke.color, "dash": stroke.dash, "width": 2.5},
        "marker": {
            "symbol": ["diamond" if each else "circle" for each in chosen],
            "size": [13 if each else 7 for each in chosen],
            "opacity": 1,
            "line": {"width": 0},
        },
        "hovertemplate": f"%{{y:.{form.digits}f}}",
    }
