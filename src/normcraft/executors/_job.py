"""What an executor is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from normcraft.records import TrialRecord, TrialSpec

__all__ = ["Group", "Job", "OnEpoch", "Worker"]

Group = tuple[TrialSpec, ...]
Worker = Callable[[Group], Iterator[Sequence[TrialRecord]]]
OnEpoch = Callable[[TrialSpec, int], None]


@dataclass(frozen=True)
class Job:
    """Trials to run, and how.

    Attributes:
        make_worker: Makes what trains a group and yields the records of the trials that were
            trained at once, in the group's order; the next begin when it is asked for more. Called
            once where the trials run; plain and picklable where that is another process.
        groups: Trials that share a compiled program.
        workers: Trials at a time, where the executor can; None for as many as there is room for.
        trial_timeout: Seconds that a trial may take, where the executor can end it; None for ever.
        on_epoch: Called in this process after every epoch of a trial.
        stopping: Whether no further trial may begin; asked where none is running.
        address: Where the cluster is, for an executor that needs one; None for one of its own.
        resources: What of a cluster a worker takes, by the cluster's names for it.
        more: Groups that the records so far have made necessary; asked where none is waiting.
            Where an executor does not ask, what runs it has to.
    """

    make_worker: Callable[[OnEpoch], Worker]
    groups: Sequence[Group]
    workers: int | None = None
    trial_timeout: float | None = None
    on_epoch: OnEpoch = lambda spec, epoch: None
    stopping: Callable[[], bool] = lambda: False
    address: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    more: Callable[[], Sequence[Group]] = lambda: ()
