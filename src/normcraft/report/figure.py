"""The figure of validation curves, for the report and for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from normcraft.records import Arm, ArmSummary, Summary, TrialRecord
from normcraft.report.axes import layout, plotly_text, score_axis
from normcraft.report.curves import CurvePoint, Quantity, curve, has_curves, judged_mean, trials_of
from normcraft.report.escape import visible
from normcraft.report.numbers import score_format
from normcraft.report.palette import Stroke, strokes
from normcraft.report.ticks import is_wide, linear_ticks, log_ticks

__all__ = ["curves_figure"]


def curves_figure(
    summary: Summary,
    arms: Sequence[Arm],
    records: Sequence[TrialRecord],
    *,
    quantity: Quantity | Literal["both"] = "both",
) -> Any:
    """The validation curves: a line for the mean over seeds, a band from the lowest to the highest.

    Each arm is drawn at the learning rate most often chosen for it. A diverged trial ends where it
    diverged; the mean of an epoch is over the trials that reached it, and hovering says how many.
    The diamond at the end is the mean that is judged, with re-estimated statistics.

    Args:
        summary: The judged comparison.
        arms: Its arms; those without a summary are left out.
        records: What came of its trials.
        quantity: `"score"`, `"loss"`, or `"both"` with buttons that switch between them.

    Returns:
        A `plotly.graph_objects.Figure`; a click in the legend hides an arm.

    Example:
        >>> from normcraft.records import Verdict
        >>> verdict = Verdict("cannot tell yet", "cannot_tell", None, "none", None, None, None)
        >>> summary = Summary(verdict, (), "accuracy", True, True, 0, 0.0, "fit", "local", None,
        ...                   None, model="digits_cnn", data="digits")
        >>> curves_figure(summary, (), ()).layout.xaxis.title.text
        'epoch'
    """
    import plotly.graph_objects as go

    last = max((len(record.curve) for record in records), default=0) or 1
    ticks = linear_ticks(0.5, last + 0.5, 12, least_step=1)
    epochs = {"title": {"text": "epoch"}, "tickvals": ticks, "range": [0.5, last + 0.5]}
    figure = go.Figure(layout=layout(epochs, {}) | {"hovermode": "x unified"})
    wanted: list[Quantity] = ["score", "loss"] if quantity == "both" else [quantity]
    shown = [each for each in wanted if has_curves(records, each)]
    names = {arm.name for arm in arms}
    for each in shown:
        for arm in summary.arms:
            trials = trials_of(arm, records) if arm.name in names else []
            figure.add_traces(_traces(summary, arm, trials, each, shown=each == shown[0]))
    axes = {each: _axis(summary, figure, each) for each in shown}
    figure.update_yaxes(axes[shown[0]] if shown else {})
    if len(shown) > 1:
        figure.update_layout(updatemenus=[_switch(figure, axes)])
    return figure


def _traces(
    summary: Summary,
    arm: ArmSummary,
    trials: Sequence[TrialRecord],
    quantity: Quantity,
    *,
    shown: bool,
) -> list[dict[str, Any]]:
    points, judged = curve(trials, quantity), judged_mean(trials, quantity)
    scale = score_format(summary).scale if quantity == "score" else 1
    stroke = strokes(summary)[arm.name]
    common = {
        "legendgroup": visible(arm.name),
        "meta": quantity,
        "visible": shown,
        "type": "scatter",
    }
    opacity = 0.6 / max(len(summary.arms), 4)  # many bands lie upon each other
    traces = [_band(points, scale, stroke, opacity), _line(summary, arm, points, scale, stroke)]
    if points and judged is not None:
        traces.append(_judged(summary, arm, points[-1].epoch, judged, scale, stroke))
    return [common | trace for trace in traces if points]


def _band(
    points: Sequence[CurvePoint], scale: float, stroke: Stroke, opacity: float
) -> dict[str, Any]:
    epochs = [point.epoch for point in points]
    low, high = [scale * p.low for p in points], [scale * p.high for p in points]
    return {
        "x": epochs + epochs[::-1],
        "y": high + low[::-1],
        "fill": "toself",
        "fillcolor": stroke.faint(opacity),
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _line(
    summary: Summary, arm: ArmSummary, points: Sequence[CurvePoint], scale: float, stroke: Stroke
) -> dict[str, Any]:
    number = _number(summary, scale)
    span = f"%{{customdata[0]:{number}}} to %{{customdata[1]:{number}}}"
    return {
        "x": [point.epoch for point in points],
        "y": [scale * point.mean for point in points],
        "customdata": [[scale * p.low, scale * p.high, p.seeds] for p in points],
        "name": plotly_text(arm.name),
        "mode": "lines+markers",
        "line": {"color": stroke.color, "dash": stroke.dash, "width": 2.5},
        "marker": {"size": 5},
        "hovertemplate": f"%{{y:{number}}} ({span}, seeds: %{{customdata[2]}})",
    }


def _judged(
    summary: Summary, arm: ArmSummary, epoch: int, mean: float, scale: float, stroke: Stroke
) -> dict[str, Any]:
    return {
        "x": [epoch],
        "y": [scale * mean],
        "name": f"{plotly_text(arm.name)}, re-estimated",
        "mode": "markers",
        "marker": {"symbol": "diamond", "size": 11, "color": stroke.color},
        "cliponaxis": False,
        "showlegend": False,
        "hovertemplate": f"%{{y:{_number(summary, scale)}}}",
    }


def _number(summary: Summary, scale: float) -> str:
    return f".{score_format(summary).digits}f" if scale != 1 else ".4~g"


def _axis(summary: Summary, figure: Any, quantity: Quantity) -> dict[str, Any]:
    if quantity == "score":
        return score_axis(summary, "validation ")
    values = [y for trace in figure.data if trace.meta == "loss" for y in trace.y]
    axis: dict[str, Any] = {"title": {"text": "validation loss"}, "type": "linear"}
    if not is_wide(values):
        return axis
    ticks = log_ticks(min(values), max(values))
    return axis | {"type": "log", "tickvals": ticks, "ticktext": [f"{t:g}" for t in ticks]}


def _switch(figure: Any, axes: Mapping[Quantity, Mapping[str, Any]]) -> dict[str, Any]:
    def button(quantity: Quantity) -> dict[str, Any]:
        which = [trace.meta == quantity for trace in figure.data]
        changes = [{"visible": which}, {"yaxis": dict(axes[quantity])}]
        return {"label": quantity, "method": "update", "args": changes}

    return {
        "type": "buttons",
        "direction": "right",
        "buttons": [button(quantity) for quantity in axes],
        "x": 0,
        "xanchor": "left",
        "y": 1.02,
        "yanchor": "bottom",
    }
