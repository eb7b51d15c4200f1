"""A rehearsal: how fast trials are where they would run, before any is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from normcraft.executors import Group, OnEpoch
from normcraft.records import TrialSpec
from normcraft.studies.worker import MakeWorker
from normcraft.trainers import Trial

__all__ = ["Rehearsal", "Rehearsed"]

# On a CPU several trials in one program may pay where a step takes less seconds than these, and
# always do where such a program takes less than these for a step of all.
SHORT = 2e-3
GROUPS = (8, 64)  # trials in a program; on a CPU the first alone


@dataclass(frozen=True)
class Rehearsed:
    """How fast trials are.

    Attributes:
        speeds: How fast the forms of all layers are.
        seconds: Seconds of a step and trial, by the number of trials that one program trains.
    """

    speeds: Mapping[str, Mapping[str, float]]
    seconds: Mapping[int, float]

    @property
    def together(self) -> int:
        """How many trials in one program are fastest."""
        return min(self.seconds, key=lambda number: self.seconds[number])


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

    def __call__(self, group: Group) -> Iterator[Rehearsed]:
        """Times a group.

        Args:
            group: One trial.

        Yields:
            How fast the forms of all arms are, and this trial's steps.
        """
        from normcraft.trainers.fused import measure_speeds

        models = [self._parts.models[arm] for arm in self._sizes]
        speeds = measure_speeds(models, self._sizes.values(), timed=self._forms)
        parts = replace(self._parts, speeds=speeds)
        yield Rehearsed(speeds, _seconds(parts, *group) if self._steps else {1: 0.0})


def _seconds(parts: MakeWorker, spec: TrialSpec) -> dict[int, float]:
    trial = Trial(spec, parts.data(spec.seed))
    found: dict[int, float] = {}
    for together in _candidates(parts, spec, found):
        try:
            trainer: Any = parts.trainer(spec, together)
            found[together] = trainer.step_seconds(trial)
        except Exception:  # memory ran out, or the trial itself will say what is wrong
            break
    return found or {1: float("inf")}


def _candidates(parts: MakeWorker, spec: TrialSpec, found: dict[int, float]) -> Iterator[int]:
    """How many trials a program may train; what was found is looked at in between."""
    import jax

    from normcraft.trainers.fused import places

    fitting = [number for number in GROUPS if number <= parts.together]
    if jax.default_backend() != "cpu":
        yield from (1, *fitting)
    elif places(parts.models[spec.arm], spec.batch_size):
        yield 1
        if found[1] <= SHORT:
            yield from fitting[:1]
    else:
        # Where nothing but small products are computed, the group is likely to be all it takes.
        yield from fitting[:1]
        if all(number * seconds >= SHORT for number, seconds in found.items()):
            yield 1
