"""Hands trials to an executor, with all that its workers need."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from normcraft._core.registry import load
from normcraft.executors import Group, Job
from normcraft.studies.options import Options
from normcraft.studies.packing import pack
from normcraft.studies.shipping import ship, unpacked
from normcraft.studies.worker import MakeWorker

__all__ = ["hand_out", "travelling"]


def hand_out(
    executor_name: str,
    parts: MakeWorker,
    groups: Sequence[Group],
    *,
    options: Options,
    own_objects: Mapping[str, Any],
    **how: Any,
) -> Generator[Any, None, None]:
    """Runs groups of trials where an executor runs them.

    Args:
        executor_name: Name of the executor.
        parts: What makes a worker.
        groups: Trials that share a compiled program.
        options: Of the study.
        own_objects: Classes and functions that the models are made of, by name.
        **how: More of a `Job`: `workers`, `on_epoch`, `stopping`, …

    Yields:
        What a worker gives for each trial, as it comes.
    """
    executor = load("normcraft.executors", executor_name, what="executor")
    with travelling(parts, executor, own_objects) as make_worker:
        job = Job(
            make_worker,
            groups,
            address=options.ray_address,
            resources=options.worker_resources or {},
            **how,
        )
        with closing(executor.run(job)) as records:
            for came in records:
                yield unpacked(came, parts.candidates)


@contextmanager
def travelling(parts: MakeWorker, executor: Any, own_objects: Mapping[str, Any]) -> Iterator[Any]:
    """What makes the worker where trials run.

    Args:
        parts: What makes it here.
        executor: The executor's module.
        own_objects: Classes and functions that the models are made of, by name.

    Yields:
        The same here; for processes as files in a folder of ours; for other machines as one value.
    """
    if executor.SHARES_MEMORY:
        yield parts
        return
    folder = parts.candidates.folder / "travelling"
    shutil.rmtree(folder, ignore_errors=True)  # a run that was killed may have left one
    folder.mkdir(parents=True)
    try:
        packed = pack(parts, dict(own_objects), folder)
        yield packed if executor.SHARES_FILES else ship(packed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
