"""The JSON document of a comparison: what `normcraft compare --json` prints."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, get_args

from normcraft.records import ArmSummary, Outcome, Summary, Verdict

__all__ = ["document"]


def document(summary: Summary) -> dict[str, Any]:
    """The comparison as plain values, ready for `json.dumps`.

    Args:
        summary: The judged comparison.

    Returns:
        `{"verdict", "arms", "metric", "trials", ...}`; a number that does not exist is None, and so
        is one that JSON cannot hold.

    Example:
        >>> import json
        >>> verdict = Verdict("cannot tell yet", "cannot_tell", None, "none", None, None, None)
        >>> summary = Summary(verdict, (), "accuracy", True, True, 0, 0.0, "fit", "local", None,
        ...                   None, model="digits_cnn", data="digits")
        >>> json.dumps(document(summary)["verdict"]["outcome"])
        '"cannot_tell"'
    """
    found: dict[str, Any] = _finite(
        {
            "verdict": _verdict(summary.verdict),
            "arms": [_arm(arm) for arm in summary.arms],
            "metric": summary.metric,
            "higher_is_better": summary.higher_is_better,
            "trials": summary.trials,
            "complete": summary.complete,
            "seconds": summary.seconds,
            "trainer": summary.trainer,
            "executor": summary.executor,
            "store": summary.store,
            "report": summary.report,
            "model": summary.model,
            "data": summary.data,
            "notes": list(summary.notes),
            "command": summary.command,
            "search": None if summary.search is None else asdict(summary.search),
        }
    )
    return found


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "sentence": verdict.sentence,
        "outcome": verdict.outcome,
        "winner": verdict.winner,
        "baseline": verdict.baseline,
        "difference": verdict.difference,
        "interval": verdict.interval,
        "p_value": verdict.p_value,
        "smallest_detectable": verdict.smallest_detectable,
        "smallest_effect": verdict.smallest_effect,
        "level": verdict.level,
    }


def _arm(arm: ArmSummary) -> dict[str, Any]:
    return {
        "name": arm.name,
        "placement": arm.placement,
        "kind": arm.kind,
        "activation": arm.activation,
        "batch_size": arm.batch_size,
        "learning_rate": arm.learning_rate,
        "mean": arm.mean,
        "interval": arm.interval,
        "as_trained_mean": arm.as_trained_mean,
        "test_mean": arm.test_mean,
        "difference": arm.difference,
        "difference_interval": arm.difference_interval,
        "p_value": arm.p_value,
        "probability_better": arm.probability_better,
        "outcome": arm.outcome,
        "seeds": arm.seeds,
        "outcomes": {name: arm.outcomes.get(name, 0) for name in get_args(Outcome)},
        "step_milliseconds": arm.step_milliseconds,
        "parameters": arm.parameters,
        "foldable": arm.foldable,
        "by_learning_rate": [
            {"learning_rate": rate, "mean": mean} for rate, mean in arm.by_learning_rate
        ],
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
