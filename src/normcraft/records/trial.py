"""A trial: what decides its result, and what came of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

__all__ = ["Epoch", "Outcome", "TrialRecord", "TrialSpec"]

Outcome = Literal["finished", "diverged", "failed", "stopped"]


@dataclass(frozen=True)
class TrialSpec:
    """Everything that decides a trial's result; its `hash` names the trial.

    Attributes:
        arm: Name of the arm in its study (a label: not part of the hash).
        placement: Placement expression.
        kind: Kind of normalization, or None.
        activation: Hidden activation swapped in, or None.
        batch_size: Samples a step.
        learning_rate: Learning rate of the optimizer; of a schedule the largest that it is made of.
        seed: Trial seed: weights, batch order, dropout stream and split follow from it.
        epochs: Passes over the training data, each of `steps_per_epoch` steps.
        steps_per_epoch: Steps in an epoch; None for all batches, the last partial one included.
        shuffle: Whether the batch order is drawn from the seed; False replays the data's own order.
        model: Digest of the arm's configuration, compile settings included.
        initial: `"reinitialize"`, or the digest of the weights that every trial begins with.
        data: Fingerprint of the data, of how it is split, and of the weights of its classes if any.
        metric: Name of the metric that judges.
        trainer: How the trial is trained (`"fused"` or `"fit"`).
        plan: Digest of the execution plan (threads, groups, kernels).
        backend: Keras backend and its version.
        precision: Dtype policy.
        numerics: Version of normcraft's own numerics.
    """

    arm: str
    placement: str
    kind: str | None
    activation: str | None
    batch_size: int
    learning_rate: float
    seed: int
    epochs: int
    steps_per_epoch: int | None
    shuffle: bool
    model: str
    initial: str
    data: str
    metric: str
    trainer: str
    plan: str
    backend: str
    precision: str
    numerics: int

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of all fields but the label `arm`; 32 hex digits."""
        fields = asdict(self)
        del fields["arm"]
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training curve, as trained (moving statistics as they stood).

    Attributes:
        epoch: 1 for the first.
        loss: Mean training loss over the epoch, penalties included.
        score: Mean training metric over the epoch; None where the metric is the loss.
        validation_loss: Loss on the validation data at the end of the epoch.
        validation_score: Metric on the validation data at the end of the epoch.
        seconds: Time spent training in this epoch, compilation included.
    """

    epoch: int
    loss: float | None
    score: float | None
    validation_loss: float | None
    validation_score: float | None
    seconds: float


@dataclass(frozen=True)
class TrialRecord:
    """What came of one trial.

    Attributes:
        spec: What was run.
        outcome: `finished` and `diverged` are final; `failed` and `stopped` may run again.
        reason: Why it failed, stopped or where it diverged; None when it finished.
        curve: One entry an epoch.
        score: Validation metric with re-estimated statistics; None unless finished.
        score_as_trained: The same with the moving statistics as training left them.
        loss: Validation loss with re-estimated statistics.
        test_score: Test metric with re-estimated statistics; None without test data. Never chooses.
        chance_score: Metric of the best constant prediction on this seed's validation data; what a
            diverged trial counts as.
        seconds: Time of the whole trial.
        step_milliseconds: Median time of a training step, the compiling epoch left out where there
            is another.
        activations: For each named layer `{"mean", "std", "zero"}` of its outputs over a sample of
            training data at the end ("zero" is the fraction of exact zeros).
        versions: Version of Python, Keras, the backend and normcraft.
        machine: Processor, cores and system.
    """

    spec: TrialSpec
    outcome: Outcome
    reason: str | None = None
    curve: tuple[Epoch, ...] = ()
    score: float | None = None
    score_as_trained: float | None = None
    loss: float | None = None
    test_score: float | None = None
    chance_score: float | None = None
    seconds: float = 0.0
    step_milliseconds: float | None = None
    activations: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The record as JSON text.

        Returns:
            Text that `from_json` turns back into an equal record.
        """
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> TrialRecord:
        """The record that `to_json` wrote.

        Returns:
            A record equal to the one written.
        """
        fields: dict[str, Any] = json.loads(text)
        fields["spec"] = TrialSpec(**fields["spec"])
        fields["curve"] = tuple(Epoch(**point) for point in fields["curve"])
        return cls(**fields)
