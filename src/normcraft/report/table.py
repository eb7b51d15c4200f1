"""The table that a terminal shows: one row an arm, then the verdict in words."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from normcraft.records import SearchSummary, Summary
from normcraft.report.columns import GAP, Column, columns_for, paired_seeds
from normcraft.report.escape import visible
from normcraft.report.numbers import amount
from normcraft.report.searched import control_line, cost_line, rung_lines, searched_rows

__all__ = ["as_text", "circumstances", "render_text", "table"]

_STYLES = {"better": "bold green", "equal": "bold cyan", "cannot_tell": "bold yellow"}


def table(summary: Summary) -> RenderableType:
    """The comparison as something that Rich prints, in as many columns as fit.

    An interval stands beside its number where there is room and below it where there is not; what
    still does not fit is left out and named. Names are shown with control characters as codes, and
    nothing in them is read as markup.

    Args:
        summary: The judged comparison.

    Returns:
        A renderable; `rich.print(table(summary))` shows it.

    Example:
        >>> from normcraft.records import Verdict
        >>> verdict = Verdict("cannot tell yet", "cannot_tell", None, "none", None, None, None)
        >>> summary = Summary(verdict, (), "accuracy", True, True, 0, 0.0, "fit", "local", None,
        ...                   None, model="digits_cnn", data="digits")
        >>> Console(width=60).print(table(summary))
        digits_cnn on digits...
    """
    return _Report(summary)


def render_text(summary: Summary, *, width: int = 80, color: bool = False) -> str:
    """The comparison as text, for a log file or a pipe.

    Args:
        summary: The judged comparison.
        width: Characters in a line.
        color: Whether to write color codes.

    Returns:
        Lines without blanks at their ends, a line break after the last.

    Example:
        >>> from normcraft.records import Verdict
        >>> verdict = Verdict("cannot tell yet", "cannot_tell", None, "none", None, None, None)
        >>> summary = Summary(verdict, (), "accuracy", True, True, 0, 0.0, "fit", "local", None,
        ...                   None, model="digits_cnn", data="digits")
        >>> print(render_text(summary).splitlines()[0])
        digits_cnn on digits
    """
    return as_text(table(summary), width=width, color=color)


def as_text(renderable: RenderableType, *, width: int = 80, color: bool = False) -> str:
    r"""What Rich would print, as text.

    Args:
        renderable: What to print.
        width: Characters in a line.
        color: Whether to write color codes.

    Returns:
        Lines without blanks at their ends, a line break after the last.

    Example:
        >>> as_text("three  ")
        'three\n'
    """
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        force_jupyter=False,
    )
    console.print(renderable)
    return "".join(line.rstrip() + "\n" for line in stream.getvalue().splitlines())


@dataclass(frozen=True)
class _Report:
    summary: Summary

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        summary = self.summary
        columns, left_out = columns_for(summary, options.max_width)
        yield Text(f"{visible(summary.model)} on {visible(summary.data)}", style="bold")
        yield Text(circumstances(summary), style="dim")
        yield ""
        if summary.arms:
            yield _grid(summary, columns)
        if left_out:
            yield Text(f"left out at this width: {', '.join(left_out)}", style="dim")
        if summary.search is not None:
            yield from _searched(summary, summary.search)
        yield Padding(_verdict(summary), (1, 0) if summary.notes or summary.store else (1, 0, 0, 0))
        for note in summary.notes:
            yield Text(f"note: {visible(note)}", style="dim")
        for label, path in (("store", summary.store), ("report", summary.report)):
            if path:
                yield Text(f"{label:6} {visible(path)}", overflow="fold")


def circumstances(summary: Summary) -> str:
    """How much was run, how long it took and how.

    Returns:
        For example `"8 paired seeds, 24 trials, 34.3 s, trainer fit, executor local"`.
    """
    seeds = paired_seeds(summary)
    parts = [f"{seeds} paired {'seed' if seeds == 1 else 'seeds'}"] if seeds else []
    trials = f"{summary.trials} {'trial' if summary.trials == 1 else 'trials'}"
    ended = f"running: {summary.trials} of {summary.planned} trials"
    parts.append(trials if summary.complete else ended)
    parts.append(f"{amount(summary.seconds) or '0'} s")
    parts.append(f"trainer {visible(summary.trainer)}, executor {visible(summary.executor)}")
    return ", ".join(parts)


def _searched(summary: Summary, search: SearchSummary) -> Iterator[RenderableType]:
    yield Text("\nHow it was searched", style="bold")
    yield Text(cost_line(search), style="dim")
    for line in rung_lines(search):
        yield Text(f"- {line}", style="dim")
    for row in searched_rows(summary):
        at = f" at {row.learning_rate}" if row.learning_rate else ""
        yield Text(f"  {row.name}{at}: {row.left}")
    for control in search.controls:
        yield Text(f"  {control_line(control, summary)}", style="dim")


def _verdict(summary: Summary) -> Text:
    return Text(visible(summary.verdict.sentence), style=_STYLES.get(summary.verdict.outcome, ""))


def _grid(summary: Summary, columns: list[Column]) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    name, *numbers = columns
    grid.add_column(_lines(name.header, "bold"), overflow="fold", vertical="top")
    for column in numbers:
        header = _lines(column.header, "bold")
        grid.add_column(header, justify="right", no_wrap=True, min_width=column.width)
    for row, arm in enumerate(summary.arms):
        style = "green" if arm.name == summary.verdict.winner else ""
        grid.add_row(*(_lines(column.cells[row], style) for column in columns))
    return grid


def _lines(text: str, style: str) -> Text:
    first, _, second = text.partition("\n")
    lines = Text(first, style=style)
    return lines.append(f"\n{second}", style="dim") if second else lines
