"""The columns of the terminal table, and which of them a width carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rich.cells import cell_len

from normcraft.records import ArmSummary, Summary
from normcraft.report.escape import visible
from normcraft.report.numbers import ScoreFormat, amount, rate, score_format

__all__ = ["GAP", "Column", "columns_for", "paired_seeds"]

GAP = 2
_NARROWEST_NAME = 12


@dataclass(frozen=True)
class Column:
    """One column, filled.

    Attributes:
        header: Its heading, one or two lines.
        cells: One a row, one or two lines each; the second line is the finer print.
        rank: How soon it goes where there is no room; 0 never does.
        label: What it is called where it was left out.
    """

    header: str
    cells: tuple[str, ...]
    rank: int
    label: str

    @property
    def width(self) -> int:
        """The width that breaks no line."""
        lines = [line for text in (self.header, *self.cells) for line in text.split("\n")]
        return max(map(cell_len, lines))


def columns_for(summary: Summary, width: int) -> tuple[list[Column], list[str]]:
    """The columns that fit: all on one line if possible, else intervals below, else fewer.

    Args:
        summary: The comparison.
        width: Characters in a line.

    Returns:
        The columns in their order, and the labels of those left out.
    """
    columns = _columns(summary, " ")
    if not _fits(columns, width):
        columns = _columns(summary, "\n")
    left_out: list[str] = []
    while not _fits(columns, width) and any(column.rank for column in columns):
        least = max(columns, key=lambda column: column.rank)
        columns.remove(least)
        left_out.insert(0, least.label)
    return columns, left_out


def paired_seeds(summary: Summary) -> int | None:
    """The number of paired seeds, where all arms have as many.

    Returns:
        None where arms differ or there is none.
    """
    counts = {arm.seeds for arm in summary.arms}
    return counts.pop() if len(counts) == 1 else None


def _fits(columns: list[Column], width: int) -> bool:
    name, *numbers = columns
    needed = min(name.width, max(_NARROWEST_NAME, width // 4))
    return needed + sum(GAP + column.width for column in numbers) <= width


def _columns(summary: Summary, between: str) -> list[Column]:
    # All that hold anything; `between` stands between a mean and its interval.
    form = score_format(summary)
    percent = " %" if summary.as_fraction else ""
    several = any(len(arm.by_learning_rate) > 1 for arm in summary.arms)
    baseline = _baseline_header(summary)

    def column(
        header: str, rank: int, cell: Callable[[ArmSummary], str], label: str | None = None
    ) -> Column:
        cells = tuple(cell(arm) for arm in summary.arms)
        spaced = header if between == "\n" else header.replace("\n", " ")
        return Column(spaced, cells, rank, label or header.replace("\n", " "))

    found = [
        column("arm", 0, lambda arm: visible(arm.name)),
        column(
            f"{visible(summary.metric)}{percent}\n95% interval",
            0,
            lambda arm: _with_interval(form.score(arm.mean), form.interval(arm.interval), between),
        ),
        column("as\ntrained", 4, lambda arm: form.score(arm.as_trained_mean)),
        column("test", 3, lambda arm: form.score(arm.test_mean)),
        column(baseline, 1, lambda arm: _difference(arm, summary, form, between)),
        column("P\nbetter", 2, _probability),
        column("learning\nrate", 3, lambda arm: rate(arm.learning_rate) if several else ""),
        *(column(outcome, 2, partial(_count, outcome)) for outcome in _REMARKABLE),
        column("seeds", 5, lambda arm: "" if paired_seeds(summary) else str(arm.seeds)),
        column("ms\na step", 6, lambda arm: amount(arm.step_milliseconds)),
        column("folds", 6, lambda arm: arm.foldable or ""),
        column("weights", 7, lambda arm: f"{arm.parameters:,}"),
    ]
    return [each for each in found if any(each.cells)] or found[:1]


_REMARKABLE = ("diverged", "failed", "stopped")


def _baseline_header(summary: Summary) -> str:
    name = visible(summary.verdict.baseline)
    return f"vs {name if cell_len(name) <= 9 else 'baseline'}\ninterval"


def _with_interval(number: str, interval: str, between: str) -> str:
    if not interval:
        return number
    return f"{number}{between}{interval}" if between == "\n" else f"{number} ({interval})"


def _difference(arm: ArmSummary, summary: Summary, form: ScoreFormat, between: str) -> str:
    if arm.name == summary.verdict.baseline:
        return "baseline"
    interval = form.interval(arm.difference_interval, "+")
    return _with_interval(form.difference(arm.difference), interval, between)


def _probability(arm: ArmSummary) -> str:
    return "" if arm.probability_better is None else f"{arm.probability_better:.0%}"


def _count(outcome: str, arm: ArmSummary) -> str:
    return str(arm.outcomes.get(outcome, 0) or "")
