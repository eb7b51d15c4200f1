"""Programs side by side, a thread each: where one alone does not keep all cores busy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, RLock
from typing import Any, TypeVar

import jax

__all__ = ["Shared", "Stopped", "side_by_side"]

Stopped = Callable[[], bool]
One = TypeVar("One")
Result = TypeVar("Result")
_TRACING = RLock()


def side_by_side(function: Callable[[One, Stopped], Result], ones: Sequence[One]) -> list[Result]:
    """A function of each, at the same time; the first in this thread where it is the only one.

    Args:
        function: Of one, and of what says that it is to come to an end: after Ctrl-C, or where
            another one has failed.
        ones: Its arguments.

    Returns:
        Its results, in their order.

    Example:
        >>> side_by_side(lambda one, stopped: 10 * one, [1, 2])
        [10, 20]
    """
    stop = Event()
    if len(ones) == 1:
        return [function(ones[0], stop.is_set)]

    def guarded(one: One) -> Result:
        try:
            return function(one, stop.is_set)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(len(ones), thread_name_prefix="strand") as pool:
        try:
            results = [pool.submit(guarded, one) for one in ones]
            return [result.result() for result in results]
        finally:
            stop.set()


class Shared:
    """A function, compiled by JAX, that several threads may call.

    What it has not met yet is traced and compiled by one of them, while the others that need it
    wait: tracing puts forms into layers that all of them share.

    Args:
        function: The function.
        alike: How many arguments in front have always the same shapes.
        **options: Of `jax.jit`.
    """

    def __init__(self, function: Callable[..., Any], *, alike: int = 0, **options: Any) -> None:
        self._compiled = jax.jit(function, **options)
        self._alike = alike
        self._met: set[Any] = set()

    def __call__(self, *arguments: Any) -> Any:
        """Calls it.

        Returns:
            Its result.
        """
        shapes = tuple(map(_shape, jax.tree.leaves(arguments[self._alike :])))
        if shapes in self._met:
            return self._compiled(*arguments)
        with _TRACING:
            result = self._compiled(*arguments)
            self._met.add(shapes)
        return result

    def lower(self, *arguments: Any) -> Any:
        """The program, traced and not compiled.

        Returns:
            What JAX gives.
        """
        with _TRACING:
            return self._compiled.lower(*arguments)


def _shape(array: Any) -> tuple[int, ...]:
    return getattr(array, "shape", ())
