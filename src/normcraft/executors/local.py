"""Runs groups of trials one after another in this process."""

from __future__ import annotations

from collections.abc import Iterator

from normcraft.executors._job import Job
from normcraft.records import TrialRecord

__all__ = ["PLAN", "SHARES_FILES", "SHARES_MEMORY", "run"]

PLAN = "one process"
SHARES_MEMORY = True
SHARES_FILES = True


def run(job: Job) -> Iterator[TrialRecord]:
    """Runs groups in order.

    Args:
        job: The trials; `workers` and `trial_timeout` mean nothing here.

    Yields:
        Records as they are finished.

    Example:
        >>> all_at_once = lambda group: iter([group])
        >>> list(run(Job(lambda on_epoch: all_at_once, [("a", "b"), ("c",)])))
        ['a', 'b', 'c']
    """
    worker = job.make_worker(job.on_epoch)
    groups = job.groups
    while groups:
        for group in groups:
            if job.stopping():
                return
            for records in worker(group):
                yield from records
                if job.stopping():
                    return
        groups = job.more()
