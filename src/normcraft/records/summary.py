"""A comparison, judged: its arms, its verdict, and all that a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from normcraft.records.search import SearchSummary

__all__ = ["ArmSummary", "Summary", "Verdict", "VerdictOutcome"]

VerdictOutcome = Literal["better", "equal", "cannot_tell"]
Interval = tuple[float, float]


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
        test_mean: Mean test score, diverged trials at chance on validation data; None without test
            data.
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
