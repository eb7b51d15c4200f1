"""Runs groups of trials one after another in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from normcraft.records import TrialRecord, TrialSpec

__all__ = ["run"]

Group = tuple[TrialSpec, ...]


def run(
    worker: Callable[[Group], Iterator[TrialRecord]], groups: Iterable[Group]
) -> Iterator[TrialRecord]:
    """Runs groups in order.

    Args:
        worker: Trains the trials of a group and yields their records.
        groups: Trials that share a compiled program.

    Yields:
        Records as they are finished.

    Example:
        >>> list(run(lambda group: iter(group), [("a", "b"), ("c",)]))
        ['a', 'b', 'c']
    """
    for group in groups:
        yield from worker(group)
