"""What a notebook shows of a comparison: the sentence, a compact table, the curves."""

from __future__ import annotations

from collections.abc import Sequence

from normcraft.records import Summary, TrialRecord
from normcraft.report import page
from normcraft.report.numbers import score_format
from normcraft.report.rates import several_rates
from normcraft.report.still import curves_svg
from normcraft.report.table import circumstances
from normcraft.report.templates import template

__all__ = ["render_notebook"]


def render_notebook(summary: Summary, records: Sequence[TrialRecord]) -> str:
    """The comparison as a fragment of HTML without scripts, some kilobytes of it.

    It takes the colors of the notebook around it, light or dark, and needs no network, no trust
    and no extension: what is stored in the notebook file shows again wherever it is opened.

    Args:
        summary: The judged comparison.
        records: What came of its trials.

    Returns:
        HTML text.
    """
    from markupsafe import Markup

    text: str = template("notebook.html.j2").render(
        summary=summary,
        circumstances=circumstances(summary),
        rows=page.arm_rows(summary),
        form=score_format(summary, minus="\N{MINUS SIGN}"),
        several_rates=several_rates(summary),
        curves=Markup(curves_svg(summary, records)),
    )
    return text
