"""What a study writes down: specifications, records and verdicts, as plain frozen values.

Everything here is immutable, holds only strings, numbers, tuples and dictionaries, and turns into
JSON and back without loss. No Keras: records are read where no model can be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

__all__ = [
    "Arm",
    "ArmSummary",
    "Control",
    "Epoch",
    "Outcome",
    "SearchSummary",
    "SearchedArm",
    "SearchedRung",
    "Summary",
    "TrialRecord",
    "TrialSpec",
    "Verdict",
    "VerdictOutcome",
]

Outcome = Literal["finished", "diverged", "failed", "stopped"]
VerdictOutcome = Literal["better", "equal", "cannot_tell"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Arm:
    """One variant of the model: what was placed where, and the model that came of it.

    Attributes:
        name: Unique in its study, for example `"after_activation"` or `"after_activation/layer"`.
        placement: Placement expression, for example `"input+before_activation"`.
        kind: Kind of normalization, or None where nothing is inserted.
        activation: Hidden activation that was swapped in, or None for the model's own.
        batch_size: Samples a step.
        config: The model as `keras.saving.serialize_keras_object` describes it, as JSON text.
        parameters: All weights of the model, trainable or not.
        foldable: Whether its normalization can be folded away after training; None where unknown.
        inserted: `(site, kind)` of every insertion.
        skipped: `(site, reason)` of every refused site.
        biases_dropped: Biases made redundant by the insertion and removed.
    """

    name: str
    placement: str
    kind: str | None
    activation: str | None
    batch_size: int
    config: str
    parameters: int
    foldable: Literal["all", "part", "none"] | None
    inserted: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    biases_dropped: int = 0


@dataclass(frozen=True)
class TrialSpec:
    """Everything that decides a trial's result; its `hash` names the trial.

    Attributes:
        arm: Name of the arm in its study (a label: not part of the hash).
        placement: Placement expression.
        kind: Kind of normalization, or None.
        activation: Hidden activation swapped in, or None.
        batch_size: Samples a step.
        learning_rate: Initial learning rate of the optimizer.
        seed: Trial seed: weights, batch order, dropout stream and split follow from it.
        epochs: Passes over the training data, each of `steps_per_epoch` steps.
        steps_per_epoch: Steps in an epoch; None for all batches, the last partial one included.
        shuffle: Whether the batch order is drawn from the seed; False replays the data's own order.
        model: Digest of the arm's configuration, compile settings included.
        initial: `"reinitialize"`, or the digest of the initial weights that are kept.
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


@dataclass(frozen=True)
class ArmSummary:
    """An arm's line in the table; scores are in the metric's unit.

    Attributes:
        name: Name of the arm.
        placement: Placement expression.
        kind: Kind of normalization, or None.
        activation: Activation swapped in, or None.
        batch_size: Samples a step.
        learning_rate: The learning rate most often chosen for this arm.
        mean: Mean validation score over seeds, statistics re-estimated, diverged trials at chance.
        interval: 95% interval of `mean`; None below six seeds.
        as_trained_mean: The same mean with statistics as training left them.
        test_mean: Mean test score; None without test data.
        difference: Arm minus baseline, positive is better; None for the baseline.
        difference_interval: Interval of `difference` at the level that decided it; None below six
            pairs or where that level cannot be reached.
        p_value: Holm-adjusted p-value of the exact paired sign-flip test; None for the baseline.
        probability_better: Share of paired seeds in which the arm beat the baseline, ties half.
        seeds: Pairs that count.
        outcomes: Count of trials by outcome.
        step_milliseconds: Median time of a training step.
        parameters: Weights of the model.
        foldable: Whether the normalization can be folded away.
        by_learning_rate: `(learning rate, mean score)` of every rate tried.
        outcome: The three-way outcome against the baseline, or `"worse"`; None for the baseline.
    """

    name: str
    placement: str
    kind: str | None
    activation: str | None
    batch_size: int
    learning_rate: float
    mean: float | None
    interval: Interval | None
    as_trained_mean: float | None
    test_mean: float | None
    difference: float | None
    difference_interval: Interval | None
    p_value: float | None
    probability_better: float | None
    seeds: int
    outcomes: Mapping[str, int]
    step_milliseconds: float | None
    parameters: int
    foldable: Literal["all", "part", "none"] | None
    by_learning_rate: tuple[tuple[float, float | None], ...]
    outcome: Literal["better", "worse", "equal", "cannot_tell"] | None = None


@dataclass(frozen=True, repr=False)
class Verdict:
    """What the comparison says; prints as its sentence.

    Attributes:
        sentence: The verdict in words.
        outcome: `"better"`, `"equal"` or `"cannot_tell"`.
        winner: Name of the arm that is better beyond noise; None otherwise. May be the baseline.
        baseline: Name of the arm that every other is tested against.
        difference: Score of the judged arm minus its opponent, positive is better.
        interval: Interval of `difference` at the level that decided it.
        p_value: Holm-adjusted p-value.
        smallest_detectable: The smallest difference that this many seeds could have shown.
        smallest_effect: The difference that counts as practically none.
        level: Significance level that decided; `interval` covers 1 − `level`.
    """

    sentence: str
    outcome: VerdictOutcome
    winner: str | None
    baseline: str
    difference: float | None
    interval: Interval | None
    p_value: float | None
    smallest_detectable: float | None = None
    smallest_effect: float = 0.005
    level: float = 0.05

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class SearchedRung:
    """A rung of a search.

    Attributes:
        epochs: Length of its trials.
        seeds: Seeds that each candidate ran.
        candidates: Arms at learning rates that entered.
        kept: How many of them went on; to the confirming stage from the last rung.
        complete: Whether all its trials have ended.
    """

    epochs: int
    seeds: int
    candidates: int
    kept: int
    complete: bool


@dataclass(frozen=True)
class SearchedArm:
    """How an arm fared in a search.

    Attributes:
        name: Name of the arm.
        parent: The arm that it is a variant of, or None.
        learning_rate: Its best learning rate in the longest rung that it reached; None if it
            never began.
        epochs: Length of that rung.
        mean: Its mean score there, statistics re-estimated.
        pairs: Fresh seeds on which it was tested.
        left: Where and why it left, or that it is still in.
        is_in: Whether it still gets trials.
    """

    name: str
    parent: str | None
    learning_rate: float | None
    epochs: int | None
    mean: float | None
    pairs: int
    left: str
    is_in: bool


@dataclass(frozen=True)
class Control:
    """A control of a search, tested against the baseline like an arm, outside of the verdict.

    Attributes:
        name: `"no change"` (the baseline's model on seeds of its own) or `"random"` (an arm and a
            learning rate drawn uniformly).
        arm: Its arm.
        learning_rate: Its learning rate.
        pairs: Pairs that count.
        difference: Control minus baseline, positive is better.
        interval: Interval of it; None where so few pairs show nothing, or before the end.
        p_value: Its own, not adjusted for the arms.
        outcome: The outcome; None before the end.
    """

    name: str
    arm: str
    learning_rate: float
    pairs: int
    difference: float | None
    interval: Interval | None
    p_value: float | None
    outcome: Literal["better", "worse", "equal", "cannot_tell"] | None


@dataclass(frozen=True)
class SearchSummary:
    """How a comparison within a budget was searched.

    Attributes:
        budget: The budget, as it was given.
        stage: Where the search stands, in words.
        ended: Whether it has ended.
        rungs: The rungs that have begun.
        arms: All arms, in the order of the study.
        controls: The controls; none before the confirming stage.
        looks: `(fresh seeds, error probability)` of every look of the confirming stage.
        looked: How many of them have taken place.
        fresh: Fresh seeds that the confirming stage has run.
        epochs: Epochs of all its trials, controls included.
        grid_epochs: Epochs that the full grid would take.
        chosen: Arm that is handed back: the winner, else the best estimate; None before any.
    """

    budget: str
    stage: str
    ended: bool
    rungs: tuple[SearchedRung, ...]
    arms: tuple[SearchedArm, ...]
    controls: tuple[Control, ...]
    looks: tuple[tuple[int, float], ...]
    looked: int
    fresh: tuple[int, ...]
    epochs: int
    grid_epochs: int
    chosen: str | None


@dataclass(frozen=True)
class Summary:
    """A whole comparison, judged: all that the table, the JSON document and the report show.

    Attributes:
        verdict: The verdict.
        arms: One line an arm, baseline first.
        metric: Name of the metric that judged.
        higher_is_better: Direction of the metric.
        as_fraction: Whether scores are fractions that read well as percentages.
        trials: Trials that count, all outcomes.
        seconds: Time spent in trials.
        trainer: How trials were trained.
        executor: Where they ran.
        store: Path of the store, or None.
        report: Path of the report, or None.
        model: What was compared, for a heading.
        data: The data, for a heading.
        notes: Remarks of the run (scaling, refused sites, a change of trainer), one line each.
        command: How to run it again, as a shell line or Python call.
        planned: Trials that the study consists of; None where that is not known.
        search: How it was searched; None for a full grid.
    """

    verdict: Verdict
    arms: tuple[ArmSummary, ...]
    metric: str
    higher_is_better: bool
    as_fraction: bool
    trials: int
    seconds: float
    trainer: str
    executor: str
    store: str | None
    report: str | None
    model: str
    data: str
    notes: tuple[str, ...] = ()
    command: str | None = None
    planned: int | None = None
    search: SearchSummary | None = None

    @property
    def complete(self) -> bool:
        """Whether every planned trial has a record, or the search has ended."""
        if self.search is not None:
            return self.search.ended
        return self.planned is None or self.trials >= self.planned
