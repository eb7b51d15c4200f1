"""Which group a worker is given next."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from itertools import islice

from normcraft.executors._job import Group

__all__ = ["next_group"]


def next_group(waiting: deque[Group], arms: Collection[str], reach: int) -> Group:
    """Takes the next group of an arm that the worker has compiled already, else the first.

    Args:
        waiting: The groups that nobody trains; the one that is given is taken out.
        arms: Arms that the worker has trained.
        reach: Among how many of the next groups to look.

    Returns:
        A group.
    """
    near = islice(waiting, reach)
    group = next((group for group in near if group[0].arm in arms), waiting[0])
    waiting.remove(group)
    return group
