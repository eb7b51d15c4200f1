"""A compiled function that several threads may call: traced by one of them."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

import jax

__all__ = ["Shared"]

_TRACING = RLock()


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
