"""The figure of paired differences: each seed, their mean and its interval, against zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from normcraft.records import ArmSummary, Summary, TrialRecord
from normcraft.report.axes import INK, ZONE, layout, metric_text, plotly_text
from normcraft.report.numbers import ScoreFormat, finite, score_format
from normcraft.report.paired import paired_differences
from normcraft.report.palette import strokes

__all__ = ["differences_figure"]

_ROW_PIXELS = 96


def differences_figure(summary: Summary, records: Sequence[TrialRecord]) -> Any:
    """A row an arm: small points for the seeds, a diamond for the mean, a bar for the interval.

    The shaded zone around zero is the difference that counts as practically none.

    Args:
        summary: The judged comparison.
        records: What came of its trials.

    Returns:
        A `plotly.graph_objects.Figure`, its rows in the order of the table.
    """
    import plotly.graph_objects as go

    form, found = score_format(summary), paired_differences(summary, records)
    arms = [arm for arm in summary.arms if arm.name != summary.verdict.baseline]
    figure = go.Figure(layout=_layout(summary, form, len(arms)))
    for row, arm in enumerate(arms):
        color = strokes(summary)[arm.name].color
        figure.add_trace(_seeds(found.get(arm.name, {}), form, row, color))
        if finite(arm.difference) is not None:
            figure.add_trace(_mean(arm, form, row, color))
        label = {"text": plotly_text(arm.name), "x": 0, "y": row - 0.34, "showarrow": False}
        figure.add_annotation(label | {"xref": "paper", "xanchor": "left", "font": {"size": 12}})
    effect = form.scale * summary.verdict.smallest_effect
    figure.add_vrect(x0=-effect, x1=effect, fillcolor=ZONE, line_width=0, layer="below")
    figure.add_vline(x=0, line_color=INK, line_width=1.5)
    return figure


def _layout(summary: Summary, form: ScoreFormat, rows: int) -> dict[str, Any]:
    unit = f"{form.difference_unit.strip()} of " if form.difference_unit else ""
    x = {"title": {"text": f"{unit}{metric_text(summary)}"}}
    y = {"range": [rows - 0.35, -0.6], "showticklabels": False, "showgrid": False}
    height = _ROW_PIXELS * max(rows, 1) + 64
    return layout(x, y) | {"height": height, "showlegend": False, "hovermode": "closest"}


def _seeds(
    differences: dict[int, float], form: ScoreFormat, row: int, color: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": [form.scale * value for value in differences.values()],
        "y": [row + 0.22 + 0.05 * (number % 3) for number in range(len(differences))],
        "customdata": list(differences),
        "mode": "markers",
        "marker": {"size": 8, "color": color, "opacity": 0.7},
        "hovertemplate": f"seed %{{customdata}}: %{{x:+.{form.digits}f}}<extra></extra>",
    }


def _mean(arm: ArmSummary, form: ScoreFormat, row: int, color: str) -> dict[str, Any]:
    mean = form.scale * (arm.difference or 0.0)
    low, high = arm.difference_interval or (0.0, 0.0)
    bar = {
        "type": "data",
        "symmetric": False,
        "array": [form.scale * high - mean],
        "arrayminus": [mean - form.scale * low],
        "thickness": 2.5,
        "width": 7,
        "color": color,
    }
    text = f"{form.difference(arm.difference)} ({form.interval(arm.difference_interval, '+')})"
    return {
        "type": "scatter",
        "x": [mean],
        "y": [row],
        "mode": "markers",
        "marker": {"symbol": "diamond", "size": 13, "color": color},
        "error_x": bar if arm.difference_interval else {},
        "hovertemplate": f"mean {text.removesuffix(' ()')}<extra></extra>",
    }
