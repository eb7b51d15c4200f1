"""How a comparison was searched, as text: the rungs, the arms and where they left, the controls."""

from __future__ import annotations

from dataclasses import dataclass

from normcraft.records import Control, SearchedArm, SearchSummary, Summary
from normcraft.report.escape import visible
from normcraft.report.numbers import ScoreFormat, rate, score_format

__all__ = ["SearchedRow", "control_line", "cost_line", "rung_lines", "searched_rows"]

OUTCOMES = {
    "better": "better than the baseline",
    "worse": "worse than the baseline",
    "equal": "practically equal to the baseline",
    "cannot_tell": "not told from the baseline",
}


@dataclass(frozen=True)
class SearchedRow:
    """A line about an arm; its fields are text.

    Attributes:
        name: The arm.
        learning_rate: Its best learning rate.
        mean: Its mean in the longest rung that it reached.
        epochs: The length of that rung.
        pairs: Fresh seeds on which it was tested.
        left: Where and why it left.
    """

    name: str
    learning_rate: str
    mean: str
    epochs: str
    pairs: str
    left: str


def searched_rows(summary: Summary) -> list[SearchedRow]:
    """The arms of a search.

    Args:
        summary: The judged comparison.

    Returns:
        A row an arm; none for a full grid.
    """
    form = score_format(summary)
    arms = summary.search.arms if summary.search else ()
    return [_row(arm, form) for arm in arms]


def _row(arm: SearchedArm, form: ScoreFormat) -> SearchedRow:
    return SearchedRow(
        name=visible(arm.name),
        learning_rate="" if arm.learning_rate is None else rate(arm.learning_rate),
        mean=form.score(arm.mean),
        epochs="" if arm.epochs is None else str(arm.epochs),
        pairs=str(arm.pairs or ""),
        left=visible(arm.left),
    )


def cost_line(search: SearchSummary) -> str:
    """What a search cost, beside the full grid.

    Args:
        search: The search.

    Returns:
        One line.
    """
    share = search.epochs / search.grid_epochs if search.grid_epochs else 0.0
    return (
        f"budget {visible(search.budget)}: {search.epochs} epochs with both controls, {share:.0%} "
        f"of the {search.grid_epochs} of the full grid; {visible(search.stage)}"
    )


def rung_lines(search: SearchSummary) -> list[str]:
    """The rungs and the confirming stage.

    Args:
        search: The search.

    Returns:
        A line each.
    """
    found = [
        f"{rung.epochs} {'epoch' if rung.epochs == 1 else 'epochs'}, {rung.seeds} "
        f"{'seed' if rung.seeds == 1 else 'seeds'}: {rung.candidates} arms at a learning rate, "
        + (f"{rung.kept} kept" if rung.complete else "not complete")
        for rung in search.rungs
    ]
    if search.looks:
        looks = ", ".join(f"{seeds} (level {level:g})" for seeds, level in search.looks)
        found.append(
            f"confirming on fresh seeds: {len(search.fresh)} run; looks after {looks}; "
            f"{search.looked} taken"
        )
    return found


def control_line(control: Control, summary: Summary) -> str:
    """What came of a control.

    Args:
        control: The control.
        summary: The comparison, for the way numbers are written.

    Returns:
        One line.
    """
    form = score_format(summary)
    what = f"{control.name} control ({visible(control.arm)} at {rate(control.learning_rate)})"
    if control.difference is None:
        return f"{what}: has not run"
    text = f"{what}: {form.difference(control.difference)}{form.difference_unit}"
    if control.outcome is None:
        return f"{text} so far, {control.pairs} pairs"
    p = f", p = {control.p_value:.3f}" if control.p_value is not None else ""
    return f"{text}, {OUTCOMES[control.outcome]} ({control.pairs} pairs{p})"
