"""A rehearsal: how fast trials are where they would run, before any is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from normcraft.executors import Group, OnEpoch
from normcraft.records import TrialSpec
from normcraft.studies.worker import MakeWorker

__all__ = ["Rehearsal", "Rehearsed"]

# On a CPU several trials in one program may pay where a step takes less seconds than these, and
# always do where such a program takes less than these for a step of all.
SHORT = 2e-3
ON_CPU = (1, 8)
ON_ACCELERATOR = (1, 8, 64)


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
        speeds = measure_speeds(models, self._sizes.values(), {}, timed=self._forms)
        parts = replace(self._parts, speeds=speeds)
        yield Rehearsed(speeds, _seconds(parts, *group) if self._steps else {1: 0.0})


def _seconds(parts: MakeWorker, spec: TrialSpec) -> dict[int, float]:
    data = parts.data(spec.seed)
    found: dict[int, float] = {}
    for together in _candidates(parts, spec):
        if together > parts.together or _is_clear(found, together):
            continue
        try:
            trainer: Any = parts.trainer(spec, together)
            found[together] = trainer.step_seconds(spec, data)
        except Exception:  # memory ran out, or the trial itself will say what is wrong
            break
    return found or {1: float("inf")}


def _candidates(parts: MakeWorker, spec: TrialSpec) -> tuple[int, ...]:
    import jax

    from normcraft.trainers.fused import places

    if jax.default_backend() != "cpu":
        return ON_ACCELERATOR
    # Where nothing but small products are computed, the group is likely to be all that is timed.
    has_forms = bool(places(parts.models[spec.arm], spec.batch_size))
    return ON_CPU if has_forms else ON_CPU[::-1]


def _is_clear(found: dict[int, float], together: int) -> bool:
    import jax

    if jax.default_backend() != "cpu" or not found:
        return False
    ((before, seconds),) = found.items()
    return seconds > SHORT if together > before else seconds < SHORT / before
