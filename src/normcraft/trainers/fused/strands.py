"""Programs side by side, a thread each: where one alone does not keep all cores busy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

__all__ = ["Stopped", "never", "side_by_side"]

Stopped = Callable[[], bool]
One = TypeVar("One")
Result = TypeVar("Result")


def never() -> bool:
    """What says that nothing has to come to an end.

    Returns:
        False.
    """
    return False


def side_by_side(
    function: Callable[[One, Stopped], Result], ones: Sequence[One], *, at_once: int | None = None
) -> list[Result]:
    """A function of each, at the same time; the first in this thread where it is the only one.

    Args:
        function: Of one, and of what says that it is to come to an end: after Ctrl-C, or where
            another one has failed.
        ones: Its arguments.
        at_once: How many at a time; None for all.

    Returns:
        Its results, in their order.

    Example:
        >>> side_by_side(lambda one, stopped: 10 * one, [1, 2])
        [10, 20]
    """
    if len(ones) <= 1:
        return [function(one, never) for one in ones]
    stop = Event()

    def guarded(one: One) -> Result:
        try:
            return function(one, stop.is_set)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(at_once or len(ones), thread_name_prefix="strand") as pool:
        try:
            results = [pool.submit(guarded, one) for one in ones]
            return [result.result() for result in results]
        finally:
            stop.set()
