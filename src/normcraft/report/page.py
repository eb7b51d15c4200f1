"""What the report page shows, as plain text and numbers ready for its template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from normcraft.records import Arm, ArmSummary, Summary, TrialRecord
from normcraft.report.curves import CurvePoint, Quantity, curve, trials_of
from normcraft.report.escape import visible
from normcraft.report.numbers import ScoreFormat, amount, finite, rate, score_format
from normcraft.report.palette import strokes

__all__ = [
    "ArmRow",
    "activations",
    "arm_rows",
    "backends",
    "curve_rows",
    "edits",
    "machines",
    "shown_arm",
    "unfinished",
]

_OUTCOMES = {
    "better": "better",
    "worse": "worse",
    "equal": "practically equal",
    "cannot_tell": "cannot tell",
}


@dataclass(frozen=True)
class ArmRow:
    """A row of the page's table; its fields are text, empty where there is nothing to say."""

    name: str
    color: str
    dash: str
    is_winner: bool
    mean: str
    interval: str
    as_trained: str
    test: str
    difference: str
    difference_interval: str
    outcome: str
    probability: str
    p_value: str
    learning_rate: str
    batch_size: str
    seeds: str
    diverged: str
    failed: str
    stopped: str
    step: str
    parameters: str
    foldable: str


def arm_rows(summary: Summary) -> list[ArmRow]:
    """The rows of the page's table.

    Returns:
        One an arm, in the order of the summary.
    """
    form = score_format(summary, minus="\N{MINUS SIGN}")
    return [_arm_row(summary, arm, form) for arm in summary.arms]


def _arm_row(summary: Summary, arm: ArmSummary, form: ScoreFormat) -> ArmRow:
    stroke, is_baseline = strokes(summary)[arm.name], arm.name == summary.verdict.baseline
    share = finite(arm.probability_better)
    return ArmRow(
        name=visible(arm.name),
        color=stroke.color,
        dash={"solid": "solid", "dot": "dotted"}.get(stroke.dash, "dashed"),
        is_winner=arm.name == summary.verdict.winner,
        mean=form.score(arm.mean),
        interval=form.interval(arm.interval),
        as_trained=form.score(arm.as_trained_mean),
        test=form.score(arm.test_mean),
        difference="baseline" if is_baseline else form.difference(arm.difference),
        difference_interval=form.interval(arm.difference_interval, "+"),
        outcome=_OUTCOMES.get(arm.outcome or "", ""),
        probability="" if share is None else f"{share:.0%}",
        p_value=_p_value(arm.p_value),
        learning_rate=rate(arm.learning_rate),
        batch_size=str(arm.batch_size),
        seeds=str(arm.seeds),
        diverged=_count(arm, "diverged"),
        failed=_count(arm, "failed"),
        stopped=_count(arm, "stopped"),
        step=amount(arm.step_milliseconds),
        parameters=f"{arm.parameters:,}",
        foldable=arm.foldable or "",
    )


def _count(arm: ArmSummary, outcome: str) -> str:
    return str(arm.outcomes.get(outcome, 0) or "")


def _p_value(value: float | None) -> str:
    if finite(value) is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # type: ignore[operator]


def curve_rows(
    summary: Summary, records: Sequence[TrialRecord], quantity: Quantity
) -> dict[int, list[str]]:
    """The curves as a table: epoch to one cell an arm.

    Returns:
        Cells read `"96.1 (95.2 to 97.0)"`.
    """
    form = score_format(summary)
    found = [
        {point.epoch: point for point in curve(trials_of(arm, records), quantity)}
        for arm in summary.arms
    ]
    epochs = sorted({epoch for points in found for epoch in points})
    return {epoch: [_cell(each.get(epoch), form, quantity) for each in found] for epoch in epochs}


def _cell(point: CurvePoint | None, form: ScoreFormat, quantity: Quantity) -> str:
    if point is None:
        return ""
    values = (point.mean, point.low, point.high)
    texts = [form.score(v) if quantity == "score" else f"{v:.4g}" for v in values]
    return texts[0] if point.seeds == 1 else f"{texts[0]} ({texts[1]} to {texts[2]})"


def unfinished(records: Sequence[TrialRecord]) -> list[dict[str, str]]:
    """Trials that did not finish, those of one arm and one reason together.

    Returns:
        One dictionary a group with its arm, outcome, reason and seeds, printable.
    """
    groups: dict[tuple[str, str, str], list[int]] = {}
    for record in records:
        if record.outcome != "finished":
            key = (record.spec.arm, record.outcome, record.reason or "")
            groups.setdefault(key, []).append(record.spec.seed)
    return [
        {
            "arm": visible(arm),
            "outcome": outcome,
            "reason": visible(reason),
            "seeds": ", ".join(map(str, sorted(seeds))),
        }
        for (arm, outcome, reason), seeds in groups.items()
    ]


def edits(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """What was changed to make each arm.

    Returns:
        One dictionary an arm, its texts printable.
    """
    return [
        {
            "name": visible(arm.name),
            "placement": visible(arm.placement),
            "kind": visible(arm.kind or ""),
            "activation": visible(arm.activation or ""),
            "inserted": [(visible(site), visible(kind)) for site, kind in arm.inserted],
            "skipped": [(visible(site), visible(reason)) for site, reason in arm.skipped],
            "biases_dropped": arm.biases_dropped,
        }
        for arm in arms
    ]


def activations(summary: Summary, records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """The outputs of each arm's layers at the end of training, averaged over its trials.

    Returns:
        One dictionary an arm that has any: its name, and rows of layer, mean, standard deviation,
        share of zeros as text and the share as a number for a bar.
    """
    found = []
    for arm in summary.arms:
        trials = [trial.activations for trial in trials_of(arm, records) if trial.activations]
        if trials:
            layers = dict.fromkeys(layer for trial in trials for layer in trial)
            rows = [_layer_row(layer, [t[layer] for t in trials if layer in t]) for layer in layers]
            found.append({"name": visible(arm.name), "trials": len(trials), "rows": rows})
    return found


def _layer_row(layer: str, trials: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    def mean(key: str) -> float | None:
        values = [trial[key] for trial in trials if finite(trial.get(key)) is not None]
        return fmean(values) if values else None

    zero = mean("zero")
    return {
        "layer": visible(layer),
        "mean": _three_digits(mean("mean")),
        "std": _three_digits(mean("std")),
        "zero": "" if zero is None else f"{zero:.0%}",
        "share": min(max(zero or 0.0, 0.0), 1.0),
    }


def _three_digits(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def shown_arm(summary: Summary, arms: Sequence[Arm]) -> Arm | None:
    """The arm whose code is shown: the winner, else the one with the best mean.

    Returns:
        None where no arm has a result.
    """
    sign = 1 if summary.higher_is_better else -1
    means = {arm.name: sign * arm.mean for arm in summary.arms if finite(arm.mean) is not None}  # type: ignore[operator]
    chosen = summary.verdict.winner or (summary.search and summary.search.chosen)
    best = chosen or max(means, key=means.__getitem__, default=None)
    return next((arm for arm in arms if arm.name == best), None)


def backends(records: Sequence[TrialRecord]) -> list[str]:
    """Names of the Keras backends that the trials ran on.

    Returns:
        Printable names, in the order of the records.
    """
    names = dict.fromkeys(record.spec.backend.partition(" ")[0] for record in records)
    return [visible(name) for name in names if name]


def machines(records: Sequence[TrialRecord]) -> list[dict[str, str]]:
    """The versions and machines that the trials ran with, each once, the commonest first.

    Returns:
        Printable keys and values.
    """
    found = Counter(
        tuple((visible(k), visible(v)) for k, v in (*r.versions.items(), *r.machine.items()))
        for r in records
    )
    return [dict(pairs) for pairs, _ in found.most_common() if pairs]
