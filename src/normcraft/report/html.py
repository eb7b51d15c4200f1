"""The report page: one file that opens without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from normcraft._core.errors import NormcraftError
from normcraft.records import Arm, Summary, TrialRecord
from normcraft.report import page
from normcraft.report.code import to_code
from normcraft.report.curves import Quantity, has_curves
from normcraft.report.escape import script_json, visible, visible_lines
from normcraft.report.figure import curves_figure
from normcraft.report.forest import differences_figure
from normcraft.report.numbers import amount, finite, score_format
from normcraft.report.rates import learning_rates_figure, several_rates
from normcraft.report.searched import control_line, cost_line, rung_lines, searched_rows
from normcraft.report.still import curves_svg
from normcraft.report.templates import template

__all__ = ["render_html"]

_BADGES = {
    "better": "A winner",
    "equal": "Practically equal",
    "cannot_tell": "Cannot tell",
}


def render_html(
    summary: Summary,
    arms: Sequence[Arm],
    records: Sequence[TrialRecord],
    *,
    code: str | None = None,
) -> str:
    """The comparison as one HTML page, with figures, the winner's code and how to run it again.

    The page needs no network: Plotly's script stands in it (most of its five megabytes). A content
    security policy lets its own two scripts run and nothing else, so that text from a model or a
    data file cannot act.

    Args:
        summary: The judged comparison, finished or running.
        arms: Its arms, with what was edited and their configurations.
        records: What came of its trials; may be empty.
        code: Keras code of the winner; None to write it from the arm's configuration.

    Returns:
        HTML text.

    Example:
        >>> from normcraft.records import Verdict
        >>> verdict = Verdict("cannot tell yet", "cannot_tell", None, "none", None, None, None)
        >>> summary = Summary(verdict, (), "accuracy", True, True, 0, 0.0, "fit", "local", None,
        ...                   None, model="digits_cnn", data="digits")
        >>> "cannot tell yet" in render_html(summary, (), ())
        True
    """
    from markupsafe import Markup

    figures = _figures(summary, arms, records)
    quantities: tuple[Quantity, ...] = ("score", "loss")
    text: str = template("report.html.j2").render(
        _assets()
        | _heading(summary)
        | _code(summary, arms, code)
        | {
            "summary": summary,
            "rows": page.arm_rows(summary),
            "form": score_format(summary, minus="\N{MINUS SIGN}"),
            "figures": figures,
            "still": Markup(curves_svg(summary, records)),
            "figures_json": Markup(script_json(json.dumps(figures, allow_nan=False))),
            "diverged": sum(arm.outcomes.get("diverged", 0) for arm in summary.arms),
            "curves": {each: page.curve_rows(summary, records, each) for each in quantities},
            "activations": page.activations(summary, records),
            "edits": page.edits(arms),
            "unfinished": page.unfinished(records),
            "backends": page.backends(records),
            "machines": page.machines(records),
            "searched": _searched(summary),
            "command": visible_lines(summary.command or ""),
        }
    )
    return text


def _searched(summary: Summary) -> dict[str, Any] | None:
    search = summary.search
    if search is None:
        return None
    return {
        "cost": cost_line(search),
        "rungs": rung_lines(search),
        "rows": searched_rows(summary),
        "controls": [control_line(control, summary) for control in search.controls],
    }


@cache
def _assets() -> dict[str, Any]:
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    folder = resources.files("normcraft.report") / "assets"
    scripts = {"plotly": get_plotlyjs(), "script": (folder / "report.js").read_text("utf-8")}
    texts = scripts | {"style": (folder / "report.css").read_text("utf-8")}
    return {
        "policy": " ".join(f"'{_fingerprint(text)}'" for text in scripts.values()),
        **{name: Markup(text) for name, text in texts.items()},
    }


def _fingerprint(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _figures(
    summary: Summary, arms: Sequence[Arm], records: Sequence[TrialRecord]
) -> dict[str, dict[str, Any]]:
    # Those that there is something to draw in.
    found: dict[str, Any] = {}
    quantities: tuple[Quantity, ...] = ("score", "loss")
    for quantity in quantities:
        if has_curves(records, quantity):
            found[quantity] = curves_figure(summary, arms, records, quantity=quantity)
            found[quantity].update_layout(showlegend=False)
    if any(finite(arm.difference) is not None for arm in summary.arms):
        found["differences"] = differences_figure(summary, records)
    if several_rates(summary):
        found["rates"] = learning_rates_figure(summary).update_layout(showlegend=False)
    return {name: _plain(figure) for name, figure in found.items()}


def _plain(figure: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(figure.to_json())
    values["layout"].pop("template", None)
    return values


def _heading(summary: Summary) -> dict[str, str]:
    ended = f"{summary.trials} of {summary.planned} trials"
    return {
        "title": visible(f"{summary.model} on {summary.data}"),
        "badge": _BADGES[summary.verdict.outcome] + ("" if summary.complete else " so far"),
        "running": "" if summary.complete else f"running: {ended}",
        "duration": amount(summary.seconds) or "0",
    }


def _code(summary: Summary, arms: Sequence[Arm], code: str | None) -> dict[str, str]:
    arm = page.shown_arm(summary, arms)
    if arm is None:
        return {"code_arm": "", "code": "", "code_error": ""}
    error = ""
    if code is None:
        try:
            code = to_code(arm.config)
        except (NormcraftError, ImportError) as reason:
            error = visible(reason)
    return {"code_arm": visible(arm.name), "code": visible_lines(code or ""), "code_error": error}
