"""Compiled functions that several threads may call, and programs that are compiled ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from threading import RLock
from typing import Any, NamedTuple

import jax

from normcraft._core.cores import num_cores
from normcraft.trainers.fused.strands import Stopped, side_by_side

__all__ = ["Needed", "Shared", "compile_all"]

FAST = {"xla_backend_optimization_level": 1}  # a quarter less to compile a small network
# On a GPU most of a compilation is the timing of kernels. For products of matrices those that the
# library takes unasked are as fast; for its convolutions they can be seven times as slow.
UNTUNED = {"xla_gpu_autotune_level": 0, "xla_gpu_enable_triton_gemm": False}
_TRACING = RLock()


class Shared:
    """A function, compiled by JAX, that several threads may call.

    What it has not met yet is compiled by one of them, while others that need the same wait. One
    function is traced at a time: tracing puts forms into layers that all threads share.

    Args:
        function: The function.
        alike: How many arguments in front have always the same shapes.
        seldom: Whether it runs so seldom that compiling it fast counts for more.
        convolves: Whether there are convolutions of the library's in it.
        **options: Of `jax.jit`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        alike: int = 0,
        seldom: bool = False,
        convolves: bool = False,
        **options: Any,
    ) -> None:
        settings = _settings(seldom=seldom, convolves=convolves)
        self._function = jax.jit(function, compiler_options=settings, **options)
        self._alike = alike
        self._programs: dict[Any, Future[Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Calls it.

        Returns:
            Its result.
        """
        return self.program(*arguments)(*arguments)

    def program(self, *arguments: Any) -> Any:
        """The compiled program for arguments like these, which are not used up.

        Returns:
            What JAX's `compile` gives.
        """
        shapes = tuple(map(_shape, jax.tree.leaves(arguments[self._alike :])))
        mine: Future[Any] = Future()
        program = self._programs.setdefault(shapes, mine)
        if program is mine:
            try:
                with _TRACING:
                    lowered = self._function.lower(*arguments)
                mine.set_result(lowered.compile())
            except BaseException as error:
                del self._programs[shapes]  # with more memory it may be compiled yet
                mine.set_exception(error)
        return program.result()


class Needed(NamedTuple):
    """A program that will be needed.

    Attributes:
        function: The function.
        arguments: Some that have the shapes of those to come.
    """

    function: Shared
    arguments: tuple[Any, ...]

    def compile(self) -> Any:
        """Compiles it, where that was not done yet.

        Returns:
            The program.
        """
        return self.function.program(*self.arguments)


def compile_all(needed: Iterable[Needed]) -> None:
    """Compiles programs, as many at a time as there are cores.

    Args:
        needed: What will be needed, the most expensive first.
    """

    def compile_one(one: Needed, stopped: Stopped) -> None:
        if not stopped():
            one.compile()

    side_by_side(compile_one, list(needed), at_once=num_cores())


def _settings(*, seldom: bool, convolves: bool) -> dict[str, Any] | None:
    backend = jax.default_backend()
    if backend == "cpu" and seldom:
        return FAST
    return UNTUNED if backend == "gpu" and not convolves else None


def _shape(array: Any) -> tuple[int, ...]:
    return getattr(array, "shape", ())
