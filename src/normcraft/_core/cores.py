"""The cores that this process may use."""

from __future__ import annotations

import os

__all__ = ["cores", "num_cores"]


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
