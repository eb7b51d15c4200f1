"""The execution plan of a study: where trials run, and how many in one program."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from normcraft._core.cores import num_cores
from normcraft._core.errors import NormcraftError
from normcraft.executors import Group
from normcraft.records import TrialSpec
from normcraft.studies.rehearsal import Rehearsal, Rehearsed
from normcraft.studies.worker import MakeWorker

__all__ = ["MEASURED", "Plan", "groups_of", "make_plan"]

MEASURED = "measured"  # what stands in a trial's hash: which plan it was, the store knows
# Seconds of training from which worker processes are tried: timing them and beginning again there
# takes a minute, and they are hardly faster than programs side by side in threads.
PAYS = 600.0
FEW = 2000  # steps in all for which timing the forms of layers does not pay
Run = Callable[..., Iterator[Any]]


@dataclass(frozen=True)
class Plan:
    """How the trials of a study are executed.

    Attributes:
        executor: Where they run.
        together: How many trials of an arm are trained at once.
        strands: In how many programs side by side, in threads of one process.
        speeds: How fast the forms of layers are there.
        reason: What was measured, in words; None where nothing had to be.
    """

    executor: str = "local"
    together: int = 1
    strands: int = 1
    speeds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reason: str | None = None


def make_plan(executor: str, parts: MakeWorker, specs: Sequence[TrialSpec], run: Run) -> Plan:
    """The plan for trials of the fused trainer, by a rehearsal.

    Where the executor is left open, one process with all cores is timed first: each trial alone,
    with short steps several in one program, and several programs side by side. Worker processes of
    one core each are timed where so much is left to train that starting them pays.

    Args:
        executor: `"local"`, `"processes"`, `"ray"`, or `"auto"` for the faster of the first two.
        parts: What a worker is made of.
        specs: The trials that are to run.
        run: Runs groups elsewhere: `run(executor, parts, groups, workers=...)`.

    Returns:
        The plan.
    """
    sizes = {spec.arm: spec.batch_size for spec in specs}
    last = [spec for spec in specs if spec.arm == specs[-1].arm]  # seldom the plain one
    group = (min(last, key=_rate),)  # which diverges least: what diverges ends early
    steps = _num_steps(parts, specs)
    rehearsal = partial(Rehearsal, sizes=sizes, forms=steps > FEW)
    if executor != "auto" or parts.dataset.is_stream:
        parts = replace(parts, make=partial(rehearsal, steps=False))
        if executor != "local" and not parts.dataset.is_stream:
            away = partial(run, executor)
            found = _there(away, parts, group, 1) if _has_choice(parts, sizes) else None
            return Plan(executor, speeds=found.speeds if found else {})
        return Plan("local", speeds=_here(parts, group).speeds)
    make = partial(rehearsal, steps=len(specs) > 1)
    parts = replace(parts, together=_most_together(parts, specs), make=make)
    here = _here(parts, group)
    left = here.least * steps
    plan = Plan("local", *here.fastest, here.speeds)
    cores = num_cores() if os.name == "posix" else 1
    if not PAYS < left < math.inf or cores < 2 or len(specs) < 2 * cores:
        return plan
    there = _there(partial(run, "processes"), parts, group, cores)
    if there is None:
        return plan
    shared, alone = there.least / cores, here.least
    times = f"{1000 * shared:.3g} ms a step in worker processes, {1000 * alone:.3g} in one process"
    if shared < alone:
        parts.rehearsed.clear()
        return Plan("processes", *there.fastest, there.speeds, times)
    return replace(plan, reason=times)


def groups_of(specs: Sequence[TrialSpec], together: int) -> list[Group]:
    """Trials that a worker is given at once: those of one arm, of as few seeds as fill a program.

    Within a group they stand by learning rate, each of which may be another program.

    Args:
        specs: Trials, seed by seed.
        together: How many trials one program trains.

    Returns:
        Groups in an order that leaves whole pairs wherever a study is stopped.
    """
    seeds = dict.fromkeys(spec.seed for spec in specs)
    numbers = {seed: number for number, seed in enumerate(seeds)}
    rates = len({spec.learning_rate for spec in specs}) or 1
    at_once = math.ceil(together / rates)
    found: dict[tuple[int, str], list[TrialSpec]] = {}
    for spec in specs:
        found.setdefault((numbers[spec.seed] // at_once, spec.arm), []).append(spec)
    return [tuple(sorted(group, key=_rate)) for group in found.values()]


def _rate(spec: TrialSpec) -> float:
    return spec.learning_rate


def _has_choice(parts: MakeWorker, sizes: Mapping[str, int]) -> bool:
    from normcraft.trainers.fused import has_choice

    return any(has_choice(parts.models[arm], size) for arm, size in sizes.items())


def _here(parts: MakeWorker, group: Group) -> Rehearsed:
    found: Sequence[Rehearsed] = next(parts(lambda spec, epoch: None)(group))
    return found[0]


def _there(run: Run, parts: MakeWorker, group: Group, count: int) -> Rehearsed | None:
    # All workers at once, as they would run; the slowest counts.
    with suppress(NormcraftError):
        answers: list[Any] = list(run(parts, [group] * count, workers=count))
        found = [one for one in answers if isinstance(one, Rehearsed)]
        if len(found) == count:
            return max(found, key=lambda one: one.least)
    return None


def _most_together(parts: MakeWorker, specs: Sequence[TrialSpec]) -> int:
    # Weights of samples differ from seed to seed, and a feed serves one trial.
    from normcraft.trainers.fused import is_held

    if parts.class_weight is not None or not is_held(parts.dataset):
        return 1
    return max(Counter(spec.arm for spec in specs).values())


def _num_steps(parts: MakeWorker, specs: Sequence[TrialSpec]) -> float:
    if parts.dataset.is_stream:  # which might have to be passed over to be counted
        return math.inf
    samples = parts.data(specs[0].seed).num_samples
    each = (spec.steps_per_epoch or math.ceil(samples / spec.batch_size) for spec in specs)
    return specs[0].epochs * sum(each)
