"""Going through batches: many steps in one compiled program, or a program for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice, takewhile
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from normcraft.trainers.fused.device import on_cpu
from normcraft.trainers.fused.feed import Chunk
from normcraft.trainers.fused.lanes import in_lanes
from normcraft.trainers.fused.rows import take
from normcraft.trainers.fused.shared import Needed, Shared
from normcraft.trainers.fused.strands import Stopped, never

__all__ = ["Carry", "Step", "Through", "in_loops", "loops", "step_by_step"]

Carry = tuple[list[Any], ...]
Step = Callable[[Carry, Any, Any], Carry]
Done = tuple[Carry, bool]  # what is carried on, and whether anything is to follow
SECONDS = 1.0  # that a program may run before Python, and Ctrl-C, have their turn
LOOK = 64  # steps, one program each, after which it is seen whether any loss is finite
GROWTH = 8  # times as many steps as before a program may take at the most


class Through(NamedTuple):
    """A way through batches.

    Attributes:
        run: From what all trials carry, their factors, chunks of data, the most steps to take of a
            chunk (None for all) and what says that it is to stop, to what they carry in the end.
        needed: The programs that `run` needs, the one of most steps first, from what all trials
            carry, their factors and a chunk.
    """

    run: Callable[..., Carry]
    needed: Callable[[Carry, Any, Chunk], list[Needed]]


def loops(*, convolves: bool) -> bool:
    """Whether a program is to take many batches, else one.

    Args:
        convolves: Whether convolutions are left to the library.

    Returns:
        False for XLA's convolutions on a CPU, which runs them on one thread inside of a loop.
    """
    return not (convolves and on_cpu())


def step_by_step(
    step: Step,
    gives_up: tuple[int, ...],
    *,
    lanes: int,
    convolves: bool,
    total: int | None = None,
) -> Through:
    """A program for each step.

    Args:
        step: From what a trial carries, a factor and a batch to what it carries on.
        gives_up: (0,) where what is carried is used up, else ().
        lanes: How many trials it is done for.
        convolves: Whether convolutions are left to the library.
        total: Index of the sum of the losses in the last list that is carried; it ends early where
            none is finite any more. None to go through all batches.

    Returns:
        The way.
    """
    each = _batch_of_each(step, lanes)
    one = Shared(each, alike=2, convolves=convolves, donate_argnums=gives_up)

    def part(carry: Carry, factor: Any, chunk: Chunk, most: int | None, stopped: Stopped) -> Done:
        batches = takewhile(lambda _: not stopped(), islice(chunk.rows.each(), most))
        for number, some in enumerate(batches, 1):
            carry = one(carry, factor, chunk.data, some)
            if number % LOOK == 0 and _is_over(carry, total):
                return carry, False
        jax.block_until_ready(carry)
        return carry, not (stopped() or _is_over(carry, total))

    def needed(carry: Carry, factor: Any, chunk: Chunk) -> list[Needed]:
        (data, rows), rest = chunk, [chunk.rows.rest] * bool(chunk.rows.rest.size)
        batches = [*rows.batches[: min(1, rows.steps)], *rest]
        return [Needed(one, (carry, factor, data, some)) for some in batches]

    return Through(_chunk_by_chunk(part), needed)


def in_loops(
    step: Step,
    gives_up: tuple[int, ...],
    *,
    lanes: int,
    convolves: bool,
    total: int | None = None,
) -> Through:
    """A program for about a second of steps.

    Args:
        step: From what a trial carries, a factor and a batch to what it carries on.
        gives_up: (0,) where what is carried is used up, else ().
        lanes: How many trials it is done for.
        convolves: Whether convolutions are left to the library.
        total: Index of the sum of the losses in the last list that is carried; it ends early where
            none is finite any more. None to go through all batches.

    Returns:
        The way.
    """
    batch_of_each = _batch_of_each(step, lanes)

    def steps(carry: Carry, factor: Any, data: Any, batches: Any, begin: Any, end: Any) -> Carry:
        def unfinished(loop: tuple[Any, Carry]) -> Any:
            index, (*_, metrics) = loop
            more = index < end
            return more if total is None else more & jnp.isfinite(metrics[total]).any()

        def advance(loop: tuple[Any, Carry]) -> tuple[Any, Carry]:
            index, carry = loop
            return index + 1, batch_of_each(carry, factor, data, batches[index])

        result: tuple[Any, Carry] = lax.while_loop(unfinished, advance, (begin, carry))
        return result[1]

    compiled = partial(Shared, alike=2, convolves=convolves, donate_argnums=gives_up)
    many = compiled(steps, seldom=not gives_up)
    one = compiled(batch_of_each, seldom=True)
    pace = _Pace()

    def part(carry: Carry, factor: Any, chunk: Chunk, most: int | None, stopped: Stopped) -> Done:
        (data, rows), begin = chunk, 0
        batches = jnp.asarray(rows.batches)
        last = rows.steps if most is None else min(most, rows.steps)
        while begin < last:
            end = min(begin + pace.steps, last)
            started = time.perf_counter()
            carry = many(carry, factor, data, batches, np.int32(begin), np.int32(end))
            jax.block_until_ready(carry)
            if stopped() or _is_over(carry, total):
                return carry, False
            pace.took(end - begin, time.perf_counter() - started)
            begin = end
        if most is None and rows.rest.size:
            carry = one(carry, factor, data, rows.rest)
        return carry, True

    def needed(carry: Carry, factor: Any, chunk: Chunk) -> list[Needed]:
        data, rows = chunk
        of_all = (carry, factor, data)
        found = []
        if rows.steps:
            found.append(Needed(many, (*of_all, rows.batches, np.int32(0), np.int32(1))))
        if rows.rest.size:
            found.append(Needed(one, (*of_all, rows.rest)))
        return found

    return Through(_chunk_by_chunk(part), needed)


def _is_over(carry: Carry, total: int | None) -> bool:
    return total is not None and not np.isfinite(carry[-1][total]).any()


def _chunk_by_chunk(part: Callable[..., Done]) -> Callable[..., Carry]:
    def run(
        carry: Carry,
        factor: Any,
        chunks: Iterable[Chunk],
        most: int | None = None,
        stopped: Stopped = never,
    ) -> Carry:
        for chunk in chunks:
            carry, goes_on = part(carry, factor, chunk, most, stopped)
            if not goes_on:
                break
            del chunk  # let go of before the next one but one is made
        return carry

    return run


def _batch_of_each(step: Step, lanes: int) -> Callable[..., Carry]:
    def one(carry: Carry, factor: Any, data: Any, some: Any) -> Carry:
        return step(carry, factor, take(data, some))

    each: Callable[..., Carry] = in_lanes(one, lanes, (0, 0, None, 0))
    return each


class _Pace:
    # How many steps take about a second. Nothing is known of the first; what a thread tells that
    # waited while another compiled is mended by the next.
    def __init__(self) -> None:
        self.steps = 1

    def took(self, steps: int, seconds: float) -> None:
        wanted = int(SECONDS * steps / max(seconds, 1e-6))
        self.steps = max(1, min(wanted, GROWTH * self.steps))
