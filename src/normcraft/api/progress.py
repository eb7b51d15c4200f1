"""Live progress on stderr: a bar on a terminal, one line a trial elsewhere."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from normcraft.records import TrialRecord, TrialSpec
from normcraft.studies import Progress

__all__ = ["Lines", "LiveBar", "watcher"]


def watcher() -> Progress:
    """The progress display that suits stderr.

    Returns:
        A `LiveBar` on a terminal, else `Lines`.
    """
    return LiveBar() if sys.stderr.isatty() else Lines()


class _Tally(Progress):
    """Counts trials and remembers the best arm so far, by mean."""

    def start(self, *, total: int, done: int, epochs: int, higher_is_better: bool) -> None:
        self.total, self.done, self.epochs = total, done, epochs
        self._continued = done
        self._sign = 1 if higher_is_better else -1
        self._scores: dict[str, list[float]] = {}
        self._started = time.monotonic()

    def record(self, record: TrialRecord) -> None:
        self.done += 1
        if record.score is not None:
            self._scores.setdefault(record.spec.arm, []).append(record.score)

    def stopping(self) -> None:
        line = "finishing the running trials, which are kept; Ctrl-C again stops at once"
        print(line, file=sys.stderr, flush=True)

    @property
    def best(self) -> str:
        """The arm with the best mean so far, with that mean."""
        means = {arm: sum(scores) / len(scores) for arm, scores in self._scores.items()}
        if not means:
            return "nothing yet"
        arm = max(means, key=lambda name: self._sign * means[name])
        return f"{arm} {means[arm]:.4g}"

    @property
    def seconds_left(self) -> float:
        """Time left, at the pace so far."""
        run = max(self.done - self._continued, 1)
        return (self.total - self.done) * (time.monotonic() - self._started) / run


class Lines(_Tally):
    """One line a trial, for log files and pipes."""

    def start(self, *, total: int, done: int, epochs: int, higher_is_better: bool) -> None:
        super().start(total=total, done=done, epochs=epochs, higher_is_better=higher_is_better)
        held = f", {done} of them in the store already" if done else ""
        print(f"{total} trials of {epochs} epochs{held}", file=sys.stderr, flush=True)

    def record(self, record: TrialRecord) -> None:
        super().record(record)
        score = "" if record.score is None else f" {record.score:.4g}"
        reason = "" if record.reason is None else f" ({record.reason})"
        print(
            f"trial {self.done}/{self.total}: {record.spec.arm}, seed {record.spec.seed}: "
            f"{record.outcome}{score}{reason}; best so far {self.best}; "
            f"{self.seconds_left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )


class LiveBar(_Tally):
    """A bar that moves with every epoch."""

    def start(self, *, total: int, done: int, epochs: int, higher_is_better: bool) -> None:
        super().start(total=total, done=done, epochs=epochs, higher_is_better=higher_is_better)
        self._bar = Bar(
            TextColumn("trials"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[best]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._running: dict[str, float] = {}
        self._task = self._bar.add_task("", total=total, completed=done, best="")
        self._bar.start()

    def epoch(self, spec: TrialSpec, number: int) -> None:
        self._running[spec.hash] = number / self.epochs
        self._bar.update(self._task, completed=self.done + sum(self._running.values()))

    def stopping(self) -> None:
        self._bar.console.print("finishing the running trials; Ctrl-C again stops at once")

    def record(self, record: TrialRecord) -> None:
        super().record(record)
        self._running.pop(record.spec.hash, None)
        self._bar.update(self._task, completed=self.done, best=f"best so far {self.best}")

    def finish(self) -> None:
        self._bar.stop()
