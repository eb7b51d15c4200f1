"""From trial records to the verdict and the arms' lines in the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from statistics import fmean, median
from typing import Any, get_args

import numpy as np

from normcraft._core.errors import InputError, unknown_name
from normcraft.records import Arm, ArmSummary, Outcome, TrialRecord, Verdict
from normcraft.studies.selection import FloatArray, chosen_rates, chosen_values
from normcraft.studies.signflip import Interval, mean_interval
from normcraft.studies.verdict import Comparison, Metric, compare_with_baseline, decide

__all__ = ["line_of", "result_of", "summarize"]

Trials = Mapping[tuple[str, int, float], TrialRecord]


def summarize(
    arms: Sequence[Arm],
    records: Sequence[TrialRecord],
    *,
    baseline: str,
    higher_is_better: bool,
    smallest_effect: float | None,
    as_fraction: bool,
    metric: str,
    level: float = 0.05,
) -> tuple[Verdict, tuple[ArmSummary, ...]]:
    """The verdict of a comparison, finished or running, and one summary an arm.

    A diverged trial counts at its chance score, which is that on validation data, in the mean of
    test scores too. A trial without a result (failed, stopped, not yet run) takes its seed out of
    every arm, so that all arms are judged on the same seeds; a learning rate that one arm has is
    expected of all. Of several records of one trial the last counts; records of other arms are
    ignored. Where learning rates tie, the smallest is chosen.

    Args:
        arms: The arms that were compared, with distinct names.
        records: What came of their trials, in any order.
        baseline: Name of the arm that every other is tested against.
        higher_is_better: Direction of the metric.
        smallest_effect: A difference no larger than this is practically none. None for half a
            point where the metric is a fraction, else half a percent of the baseline's mean.
        as_fraction: Whether the metric is a fraction, told in points.
        metric: Name of the metric.
        level: Error probability of the verdict, over all arms together.

    Returns:
        The verdict, and the summaries: the baseline first, the others in the order received.

    Raises:
        InputError: Where no arm has a record; likewise where two arms share a name or the baseline
            is none of them.

    Example:
        >>> from dataclasses import fields
        >>> from normcraft.records import TrialSpec
        >>> blank = dict.fromkeys((field.name for field in fields(TrialSpec)), None)
        >>> def trial(arm, seed, score):
        ...     spec = TrialSpec(**{**blank, "arm": arm, "seed": seed, "learning_rate": 0.1})
        ...     return TrialRecord(spec, "finished", score=score)
        >>> arms = [Arm(name, name, None, None, 32, "{}", 10, None) for name in ("none", "input")]
        >>> records = [trial("none", seed, 0.90) for seed in range(6)]
        >>> records += [trial("input", seed, 0.92 + seed / 500) for seed in range(6)]
        >>> verdict, (none, best) = summarize(arms, records, baseline="none", as_fraction=True,
        ...     higher_is_better=True, smallest_effect=None, metric="accuracy")
        >>> verdict
        input is better than none by 2.5 points (95% interval 2.0 to 3.0, 6 paired seeds)
    """
    arms = _baseline_first(arms, baseline)
    if not {arm.name for arm in arms} & {record.spec.arm for record in records}:
        raise InputError("there are no trials to judge", hint="run the comparison first")
    table = _Table.read(arms, records, 1 if higher_is_better else -1)
    if smallest_effect is None:
        smallest_effect = 0.005 if as_fraction else 0.005 * abs(table.mean(baseline) or 0.0)
    found: tuple[Comparison, ...] = ()
    if table.seeds:
        others = {arm.name: table.scores[arm.name] for arm in arms[1:]}
        found = compare_with_baseline(
            table.scores[baseline], others, smallest_effect=smallest_effect, level=level
        )
    verdict = decide(
        found,
        baseline=baseline,
        pairs=len(table.seeds),
        metric=Metric(metric, higher_is_better, as_fraction),
        smallest_effect=smallest_effect,
        level=level,
        incomplete=table.incomplete,
    )
    if all(record.outcome == "diverged" for record in table.trials.values()):
        sentence = "nothing can be told: every trial diverged; try smaller learning rates"
        verdict = replace(verdict, sentence=sentence, outcome="cannot_tell", winner=None)
    by_arm = {one.arm: one for one in found}
    return verdict, tuple(
        _summary(arm, table, baseline, by_arm.get(arm.name), level) for arm in arms
    )


def _baseline_first(arms: Sequence[Arm], baseline: str) -> list[Arm]:
    names = [arm.name for arm in arms]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError("two arms share a name", received=repr(twice[0]))
    if baseline not in names:
        raise unknown_name("baseline", baseline, names)
    return sorted(arms, key=lambda arm: arm.name != baseline)


@dataclass(frozen=True)
class _Table:
    # `scores` by arm: (seeds, rates), turned by `sign` so that higher is better. `seeds` are those
    # with a result in every arm at every rate.
    trials: Trials
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    incomplete: int
    sign: int
    scores: Mapping[str, FloatArray]

    @classmethod
    def read(cls, arms: Sequence[Arm], records: Sequence[TrialRecord], sign: int) -> _Table:
        names = [arm.name for arm in arms]
        trials = {
            (one.spec.arm, one.spec.seed, one.spec.learning_rate): one
            for one in records
            if one.spec.arm in names
        }
        every = sorted({seed for _, seed, _ in trials})
        rates = tuple(sorted({rate for _, _, rate in trials}))
        results = np.array(
            [[[result_of(trials.get((n, s, r))) for r in rates] for s in every] for n in names]
        )
        whole = np.isfinite(results).all(axis=(0, 2))
        seeds = tuple(seed for seed, keep in zip(every, whole, strict=True) if keep)
        scores = dict(zip(names, sign * results[:, whole], strict=True))
        return cls(trials, rates, seeds, len(every) - len(seeds), sign, scores)

    def mean(self, arm: str) -> float | None:
        return self.sign * float(chosen_values(self.scores[arm]).mean()) if self.seeds else None

    def rate_means(self, arm: str) -> list[float | None]:
        if not self.seeds:
            return [None] * len(self.rates)
        return [self.sign * float(mean) for mean in self.scores[arm].mean(axis=0)]

    def chosen(self, arm: str) -> list[float]:
        if not self.seeds:
            return []
        return [self.rates[pick] for pick in chosen_rates(self.scores[arm])]

    def interval(self, arm: str, level: float) -> Interval | None:
        if not self.seeds:
            return None
        return mean_interval(self.sign * chosen_values(self.scores[arm]), level=level)


def result_of(record: TrialRecord | None, *, as_trained: bool = False) -> float:
    """What a trial counts as: its score, where it diverged that of chance.

    Args:
        record: The record, if there is one.
        as_trained: Whether the statistics as training left them count.

    Returns:
        A score; NaN where there is none.
    """
    value = None
    if record and record.outcome == "finished":
        value = record.score_as_trained if as_trained else record.score
    elif record and record.outcome == "diverged":
        value = record.chance_score
    return value if value is not None and isfinite(value) else nan


def line_of(arm: Arm, own: Sequence[TrialRecord], **figures: Any) -> ArmSummary:
    """The line of an arm in the table.

    Args:
        arm: The arm.
        own: Its records.
        **figures: What its scores say: the other fields of the line.

    Returns:
        The line.
    """
    outcomes = Counter(record.outcome for record in own)
    times = [one.step_milliseconds for one in own if one.step_milliseconds is not None]
    kept = ("name", "placement", "kind", "activation", "batch_size", "parameters", "foldable")
    return ArmSummary(
        **{name: getattr(arm, name) for name in kept},
        outcomes={outcome: outcomes[outcome] for outcome in get_args(Outcome)},
        step_milliseconds=median(times) if times else None,
        **figures,
    )


def _summary(
    arm: Arm, table: _Table, baseline: str, comparison: Comparison | None, level: float
) -> ArmSummary:
    own = [record for (name, _, _), record in table.trials.items() if name == arm.name]
    chosen = table.chosen(arm.name)
    judged = [table.trials[arm.name, *key] for key in zip(table.seeds, chosen, strict=True)]
    as_trained = [result_of(one, as_trained=True) for one in judged]
    return line_of(
        arm,
        own,
        learning_rate=max(table.rates, key=chosen.count),
        mean=table.mean(arm.name),
        interval=table.interval(arm.name, level),
        as_trained_mean=fmean(as_trained) if judged and isfinite(sum(as_trained)) else None,
        test_mean=_test_mean(judged, table.trials),
        difference=comparison.difference if comparison else None,
        difference_interval=comparison.interval if comparison else None,
        p_value=comparison.p_value if comparison else None,
        probability_better=_share_better(table, arm.name, baseline) if comparison else None,
        seeds=len(table.seeds),
        by_learning_rate=tuple(zip(table.rates, table.rate_means(arm.name), strict=True)),
        outcome=comparison.outcome if comparison else None,
    )


def _test_mean(judged: Sequence[TrialRecord], trials: Trials) -> float | None:
    # What has no score there diverged, or is not finite on the test data. Chance on them is in no
    # record: the same constant, that of the training labels, scores about alike on both parts.
    if all(one.test_score is None for one in trials.values()):
        return None
    scores = [one.chance_score if one.test_score is None else one.test_score for one in judged]
    known = [score for score in scores if score is not None]
    return fmean(known) if known else None


def _share_better(table: _Table, arm: str, baseline: str) -> float:
    differences = chosen_values(table.scores[arm]) - chosen_values(table.scores[baseline])
    return float(np.mean((np.sign(differences) + 1) / 2))
