"""Live progress: a bar on a terminal or in a notebook, one line a trial elsewhere, on stderr."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from normcraft.api.show import in_notebook
from normcraft.records import TrialRecord, TrialSpec
from normcraft.report.escape import shortened, visible
from normcraft.studies import News, Progress

__all__ = ["Lines", "LiveBar", "NotebookBar", "watcher"]

# A notebook keeps up with a few messages a second, and an epoch may take milliseconds.
_SECONDS_BETWEEN = 0.2
# Characters of an arm's name that leave room for the bar in 80 columns.
_LONGEST = 30


def watcher() -> Progress:
    """The progress display that suits where it is shown.

    Returns:
        A `NotebookBar` in a notebook, a `LiveBar` on a terminal that can move its cursor, else
        `Lines`.
    """
    if in_notebook():
        return NotebookBar()
    moves = sys.stderr.isatty() and not Console(stderr=True).is_dumb_terminal
    return LiveBar() if moves else Lines()


class _Tally(Progress):
    """Counts trials and remembers the best arm so far, by mean."""

    def start(self, *, total: int, done: int, epochs: int, higher_is_better: bool) -> None:
        self.total, self.done, self.epochs = total, done, epochs
        self._continued = done
        self._sign = 1 if higher_is_better else -1
        self._scores: dict[str, list[float]] = {}
        self._running: dict[str, float] = {}
        self._started = time.monotonic()
        self._news: News | None = None
        self._trained = self._trained_before = 0

    def epoch(self, spec: TrialSpec, number: int) -> None:
        self._running[spec.hash] = number if self._news else number / self.epochs

    def news(self, news: News) -> None:
        self._news, self._trained_before = news, self._trained

    def record(self, record: TrialRecord) -> None:
        self.done += 1
        self._trained += record.spec.epochs
        self._running.pop(record.spec.hash, None)
        if record.score is not None:
            self._scores.setdefault(record.spec.arm, []).append(record.score)

    def stopping(self) -> None:
        line = "finishing the running trials, which are kept; Ctrl-C again stops at once"
        print(line, file=sys.stderr, flush=True)

    @property
    def advance(self) -> float:
        """Trials that are done, and the parts of those that run; of a search the epochs."""
        return (self.spent if self._news else self.done) + sum(self._running.values())

    @property
    def spent(self) -> int:
        """Epochs of a search that are done."""
        assert self._news is not None
        return self._news.spent + self._trained - self._trained_before

    @property
    def planned(self) -> int:
        """Epochs that a search may take at most."""
        assert self._news is not None
        return max(self._news.planned, self.spent)

    @property
    def where(self) -> str:
        """Where a search stands."""
        assert self._news is not None
        return f"{self._news.stage}; {len(self._news.arms_in)} of {self._news.arms} arms in"

    @property
    def best(self) -> str:
        """The arm with the best mean so far, with that mean."""
        means = {arm: sum(scores) / len(scores) for arm, scores in self._scores.items()}
        if not means:
            return "nothing yet"
        arm = max(means, key=lambda name: self._sign * means[name])
        return f"{shortened(arm, _LONGEST)} {means[arm]:.4g}"

    @property
    def seconds_left(self) -> float:
        """Time left, at the pace so far; of a search at most."""
        took = time.monotonic() - self._started
        if self._news:
            return (self.planned - self.spent) * took / max(self._trained, 1)
        return (self.total - self.done) * took / max(self.done - self._continued, 1)


class Lines(_Tally):
    """One line a trial, for log files and pipes."""

    def start(self, *, total: int, done: int, epochs: int, higher_is_better: bool) -> None:
        super().start(total=total, done=done, epochs=epochs, higher_is_better=higher_is_better)
        held = f", {done} of them in the store already" if done else ""
        length = "1 epoch" if epochs == 1 else f"{epochs} epochs"
        print(f"{total} trials of {length}{held}", file=sys.stderr, flush=True)

    def news(self, news: News) -> None:
        super().news(news)
        line = f"{self.where}; {self.spent} of at most {self.planned} epochs; {news.verdict}"
        print(visible(line), file=sys.stderr, flush=True)

    def record(self, record: TrialRecord) -> None:
        super().record(record)
        score = "" if record.score is None else f" {record.score:.4g}"
        reason = "" if record.reason is None else f" ({visible(record.reason)})"
        print(
            f"trial {self._number}: {visible(record.spec.arm)}, seed {record.spec.seed}: "
            f"{record.outcome}{score}{reason}; best so far {self.best}; "
            f"{self.seconds_left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    @property
    def _number(self) -> str:
        return f"{self.done}/{self.total}" if self._news is None else f"{self.done}"


class LiveBar(_Tally):
    """A bar that moves with every epoch; of a search it shows where that stands."""

    def start(self, *, total: int, done: int, epochs: int, higher_is_better: bool) -> None:
        super().start(total=total, done=done, epochs=epochs, higher_is_better=higher_is_better)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[best]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("trials", total=total, completed=done, best="")
        self._bar.start()

    def epoch(self, spec: TrialSpec, number: int) -> None:
        super().epoch(spec, number)
        self._bar.update(self._task, completed=self.advance)

    def news(self, news: News) -> None:
        super().news(news)
        self._bar.console.print(Text(f"{self.where}: {visible(news.verdict)}"))
        self._bar.update(
            self._task, description="epochs", total=self.planned, completed=self.advance
        )

    def stopping(self) -> None:
        self._bar.console.print("finishing the running trials; Ctrl-C again stops at once")

    def record(self, record: TrialRecord) -> None:
        super().record(record)
        self._bar.update(self._task, completed=self.advance, best=f"best so far {self.best}")

    def finish(self) -> None:
        self._bar.stop()


class NotebookBar(_Tally):
    """A bar in a cell's output that moves with every epoch; when all is done, what was done."""

    def start(self, *, total: int, done: int, epochs: int, higher_is_better: bool) -> None:
        from IPython.display import display

        super().start(total=total, done=done, epochs=epochs, higher_is_better=higher_is_better)
        self._ended, self._shown = False, time.monotonic()
        self._handle: Any = display(self, display_id=True)

    def epoch(self, spec: TrialSpec, number: int) -> None:
        super().epoch(spec, number)
        self._show()

    def record(self, record: TrialRecord) -> None:
        super().record(record)
        self._show()

    def finish(self) -> None:
        self._ended, self._shown = True, 0.0
        self._show()

    def news(self, news: News) -> None:
        super().news(news)
        self._show()

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown >= _SECONDS_BETWEEN:
            self._shown = now
            self._handle.update(self)

    def __repr__(self) -> str:
        counted = f"{self.done} of {self.total} trials"
        if self._news:
            counted = f"{self.done} trials, {self.spent} epochs; {self.where}"
        if self._ended:
            return counted
        return f"{counted}, best so far {self.best}, {self.seconds_left:.0f} s left"

    def _repr_html_(self) -> str:
        text = escape(repr(self))
        if self._ended:
            return f"<p>{text}</p>"
        most = self.planned if self._news else self.total
        value = f'value="{self.advance:.2f}" max="{most}"'
        return f'<p><progress {value} aria-label="trials"></progress> {text}</p>'
