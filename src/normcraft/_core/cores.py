"""The cores that this process may use."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["cores", "num_cores", "take_core"]


def cores() -> list[int]:
    """The cores that this process may use, of which there may be more.

    Returns:
        Their numbers.
    """
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def num_cores() -> int:
    """How many cores this process may use.

    Returns:
        Their number.
    """
    return len(cores())


def take_core() -> FileLock | None:
    """Ties this process to one core, which no other process has that took one in this way.

    The threads of libraries that are loaded afterwards stay on it as well. In random order, as
    containers on one machine do not see each other's locks; where all cores are taken, one is
    shared.

    Returns:
        The lock on the core, to be held as long as the process shall keep it to itself; None where
        all are taken, or where the system ties no process to a core.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    free = cores()
    random.SystemRandom().shuffle(free)
    for core in free:
        lock = FileLock(Path(tempfile.gettempdir()) / f"normcraft-{os.getuid()}-core{core}.lock")
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        os.sched_setaffinity(0, {core})
        return lock
    os.sched_setaffinity(0, {free[0]})
    return None
