"""A rehearsal: how fast trials are where they would run, before any is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from normcraft._core.cores import num_cores
from normcraft.executors import Group, OnEpoch
from normcraft.records import TrialSpec
from normcraft.studies.worker import MakeWorker
from normcraft.trainers import Trial

__all__ = ["Rehearsal", "Rehearsed"]

# Several trials in one program may pay where a step takes less seconds than these, and always do
# where such a program takes less than these for a step of all.
SHORT = 2e-3
ALONE = (1, 1)  # a trial in a program
GROUP = 8  # trials in a program


@dataclass(frozen=True)
class Rehearsed:
    """How fast trials are.

    Attributes:
        speeds: How fast the forms of all layers are.
        seconds: Seconds of a step and trial, by how many trials are trained at once and in how many
            programs side by side.
    """

    speeds: Mapping[str, Mapping[str, float]]
    seconds: Mapping[tuple[int, int], float]

    @property
    def fastest(self) -> tuple[int, int]:
        """How many trials at once, in how many programs, are fastest."""
        return min(self.seconds, key=lambda width: self.seconds[width])

    @property
    def least(self) -> float:
        """Seconds of a step and trial at the fastest."""
        return self.seconds[self.fastest]


class Rehearsal:
    """A worker that times the forms of all layers and steps of a trial, and trains nothing.

    Args:
        parts: What a worker is made of.
        on_epoch: Never called.
        sizes: Samples a step, by arm.
        forms: Whether the forms of layers are timed; else the usual ones are taken.
        steps: Whether steps of a trial are timed.
    """

    def __init__(
        self,
        parts: MakeWorker,
        on_epoch: OnEpoch,
        *,
        sizes: Mapping[str, int],
        forms: bool,
        steps: bool,
    ) -> None:
        del on_epoch
        self._parts = parts
        self._sizes = sizes
        self._forms = forms
        self._steps = steps

    def __call__(self, group: Group) -> Iterator[Sequence[Rehearsed]]:
        """Times a group.

        Args:
            group: One trial.

        Yields:
            How fast the forms of all arms are, and this trial's steps.
        """
        from normcraft.trainers.fused import group_size, measure_speeds, on_cpu

        models = [self._parts.models[arm] for arm in self._sizes]
        sizes, strands = self._sizes.values(), min(num_cores(), self._parts.together)
        speeds = measure_speeds(models, sizes, timed=self._forms, strands=strands)
        if self._steps and on_cpu():
            seconds = _seconds(replace(self._parts, speeds=speeds), *group)
        elif self._steps:  # many trials keep an accelerator busier than few: nothing is to be timed
            seconds = {(group_size(models, sizes, self._parts.together), 1): 0.0}
        else:
            seconds = {ALONE: 0.0}
        yield [Rehearsed(speeds, seconds)]


def _seconds(parts: MakeWorker, spec: TrialSpec) -> dict[tuple[int, int], float]:
    trial = Trial(spec, parts.data(spec.seed))
    found: dict[tuple[int, int], float] = {}
    least, best = float("inf"), None
    for lanes in _candidates(parts, spec, found):
        try:
            trainer: Any = parts.trainer(spec, lanes)
            for strands in _side_by_side(parts.together // lanes, trainer, trial):
                found[lanes * strands, strands] = trainer.step_seconds(trial, strands)
                if found[lanes * strands, strands] >= least:
                    break
                least, best = found[lanes * strands, strands], trainer
        except Exception:  # memory ran out, or the trial itself will say what is wrong
            break
    if best is not None:
        parts.rehearsed[spec.arm] = best
    return found or {ALONE: float("inf")}


def _side_by_side(most: int, trainer: Any, trial: Trial) -> Iterator[int]:
    """How many programs may run side by side: 1, 2, 4, … on all cores."""
    yield 1
    strands, most = 2, min(num_cores(), most, trainer.most_strands(trial))
    while strands <= most:
        yield strands
        strands *= 2


def _candidates(
    parts: MakeWorker, spec: TrialSpec, found: dict[tuple[int, int], float]
) -> Iterator[int]:
    """How many trials a program may train; what was found is looked at in between."""
    from normcraft.trainers.fused import has_choice

    fitting = [GROUP] if parts.together >= GROUP else []
    if has_choice(parts.models[spec.arm], spec.batch_size):
        yield 1
        if found[ALONE] <= SHORT:
            yield from fitting
    else:
        # Where nothing but small products are computed, the group is likely to be all it takes.
        yield from fitting
        if all(n * one >= SHORT for (n, strands), one in found.items() if strands == 1):
            yield 1
