"""What all figures share: a transparent ground, quiet axes, names that stay text."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from normcraft.records import Summary
from normcraft.report.escape import shortened

__all__ = ["INK", "ZONE", "layout", "metric_text", "plotly_text", "score_axis"]

# Greys that show on white and on black alike; the report gives the text the page's own color.
INK = "#808080"
ZONE = "rgba(128,128,128,0.15)"
# Characters of a name that fit a figure on a phone, alone and within an axis title.
_LONGEST = 36
_LONGEST_IN_TITLE = 20
_GRID = "rgba(128,128,128,0.25)"


def layout(x: Mapping[str, Any], y: Mapping[str, Any]) -> dict[str, Any]:
    """The layout of a figure.

    Args:
        x: Settings of the horizontal axis.
        y: Settings of the vertical axis.

    Returns:
        Plotly's layout as plain values, the legend below the figure.
    """
    axis = {
        "gridcolor": _GRID,
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        "linecolor": _GRID,
    }
    return {
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK, "family": "system-ui, sans-serif", "size": 13},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "legend": {"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0},
        "xaxis": axis | dict(x),
        "yaxis": axis | dict(y),
    }


def score_axis(summary: Summary, before: str = "") -> dict[str, Any]:
    """The axis of scores.

    Args:
        summary: The comparison; it names the metric.
        before: What stands before the metric's name.

    Returns:
        Settings of an axis.
    """
    unit = " (%)" if summary.as_fraction else ""
    title = f"{before}{metric_text(summary)}{unit}"
    return {"title": {"text": title}, "type": "linear"}


def metric_text(summary: Summary) -> str:
    """The metric's name for the title of an axis.

    Returns:
        Text as `plotly_text` gives it, shorter.
    """
    return plotly_text(summary.metric, longest=_LONGEST_IN_TITLE)


def plotly_text(name: str, *, longest: int = _LONGEST) -> str:
    """A name for Plotly, which reads some HTML in its texts and breaks no lines.

    Args:
        name: The name.
        longest: Characters from which it loses its middle.

    Returns:
        Text in which nothing is a tag and nothing acts; a long name without its middle.

    Example:
        >>> plotly_text("<b>conv</b>")
        '&lt;b&gt;conv&lt;/b&gt;'
    """
    return html.escape(shortened(name, longest), quote=False)
