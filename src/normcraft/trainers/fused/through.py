"""Going through batches: many steps in one compiled program, or a program for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from normcraft.trainers.fused.feed import Chunk
from normcraft.trainers.fused.rows import take

__all__ = ["Carry", "Step", "in_loops", "step_by_step"]

Carry = tuple[list[Any], ...]
Step = Callable[[Carry, Any, Any], Carry]
Through = Callable[[Carry, Any, Iterable[Chunk]], Carry]
SECONDS = 1.0  # that a program may run before Python, and Ctrl-C, have their turn
FIRST = 64  # steps of the first run, whose speed is not known yet


def step_by_step(step: Step, gives_up: tuple[int, ...]) -> Through:
    """A program for each step.

    Args:
        step: From what is carried, a factor and a batch to what is carried on.
        gives_up: (0,) where what is carried is used up, else ().

    Returns:
        From what is carried, the factor and chunks of data to what is carried in the end.
    """
    one = _one(step, gives_up)

    def through(carry: Carry, factor: Any, chunks: Iterable[Chunk]) -> Carry:
        for data, rows in chunks:
            for some in rows.each():
                carry = one(carry, factor, data, some)
            jax.block_until_ready(carry)
            del data  # let go of before the next chunk but one is made
        return carry

    return through


def in_loops(step: Step, gives_up: tuple[int, ...], *, total: int) -> Through:
    """A program for about a second of steps; it ends early where the loss is no longer finite.

    Args:
        step: From what is carried, a factor and a batch to what is carried on.
        gives_up: (0,) where what is carried is used up, else ().
        total: Index of the sum of the losses in the last list that is carried.

    Returns:
        From what is carried, the factor and chunks of data to what is carried in the end.
    """

    def steps(carry: Carry, factor: Any, data: Any, batches: Any, begin: Any, end: Any) -> Carry:
        def unfinished(loop: tuple[Any, Carry]) -> Any:
            index, (*_, metrics) = loop
            return (index < end) & jnp.isfinite(metrics[total])

        def advance(loop: tuple[Any, Carry]) -> tuple[Any, Carry]:
            index, carry = loop
            return index + 1, step(carry, factor, take(data, batches[index]))

        result: tuple[Any, Carry] = lax.while_loop(unfinished, advance, (begin, carry))
        return result[1]

    many, one, pace = jax.jit(steps, donate_argnums=gives_up), _one(step, gives_up), _Pace()

    def through(carry: Carry, factor: Any, chunks: Iterable[Chunk]) -> Carry:
        for data, rows in chunks:
            begin, batches = 0, jnp.asarray(rows.batches)
            while begin < rows.steps:
                end = min(begin + pace.steps, rows.steps)
                started = time.perf_counter()
                carry = many(carry, factor, data, batches, np.int32(begin), np.int32(end))
                if not np.isfinite(carry[-1][total]):
                    return carry
                pace.took(end - begin, time.perf_counter() - started)
                begin = end
            if len(rows.rest):
                carry = one(carry, factor, data, rows.rest)
            del data  # let go of before the next chunk but one is made
        return carry

    return through


def _one(step: Step, gives_up: tuple[int, ...]) -> Callable[..., Carry]:
    def one(carry: Carry, factor: Any, data: Any, some: Any) -> Carry:
        return step(carry, factor, take(data, some))

    compiled: Callable[..., Carry] = jax.jit(one, donate_argnums=gives_up)
    return compiled


class _Pace:
    # How many steps take about a second. The first run compiles, and tells nothing.
    def __init__(self) -> None:
        self.steps = FIRST
        self._compiled = False

    def took(self, steps: int, seconds: float) -> None:
        if self._compiled:
            self.steps = max(1, int(SECONDS * steps / max(seconds, 1e-6)))
        self._compiled = True
