"""The validation curves of an arm: mean and range over its seeds, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from normcraft.records import ArmSummary, TrialRecord
from normcraft.report.numbers import finite

__all__ = ["CurvePoint", "Quantity", "curve", "has_curves", "judged_mean", "trials_of"]

Quantity = Literal["score", "loss"]


@dataclass(frozen=True)
class CurvePoint:
    """One epoch of an arm.

    Attributes:
        epoch: 1 for the first.
        mean: Mean over the seeds that reached this epoch.
        low: The lowest of them.
        high: The highest of them.
        seeds: How many reached it.
    """

    epoch: int
    mean: float
    low: float
    high: float
    seeds: int


def trials_of(arm: ArmSummary, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials of an arm at the learning rate most often chosen for it, the longest alone.

    Returns:
        Records in the order received.
    """
    found = [
        record
        for record in records
        if record.spec.arm == arm.name and record.spec.learning_rate == arm.learning_rate
    ]
    longest = max((record.spec.epochs for record in found), default=0)
    return [record for record in found if record.spec.epochs == longest]


def curve(trials: Iterable[TrialRecord], quantity: Quantity) -> list[CurvePoint]:
    """The validation curve over seeds; a diverged trial ends where it diverged.

    Args:
        trials: Trials of one arm at one learning rate.
        quantity: `"score"` for the metric that judges, `"loss"` for the loss.

    Returns:
        One point for every epoch that at least one trial reached with a finite value.
    """
    values: dict[int, list[float]] = {}
    for trial in trials:
        for point in trial.curve:
            found = point.validation_score if quantity == "score" else point.validation_loss
            if finite(found) is not None:
                values.setdefault(point.epoch, []).append(float(found or 0.0))
    return [
        CurvePoint(epoch, fmean(found), min(found), max(found), len(found))
        for epoch, found in sorted(values.items())
    ]


def has_curves(records: Iterable[TrialRecord], quantity: Quantity) -> bool:
    """Whether any trial has a validation curve of this quantity.

    Returns:
        False for scores where the metric is the loss.
    """
    return bool(curve(records, quantity))


def judged_mean(trials: Iterable[TrialRecord], quantity: Quantity) -> float | None:
    """Mean of what finished trials are judged by, with re-estimated statistics.

    Returns:
        None where no trial was finished.
    """
    found = [trial.score if quantity == "score" else trial.loss for trial in trials]
    values = [value for value in map(finite, found) if value is not None]
    return fmean(values) if values else None
