"""Differences to the baseline, seed by seed: the points that the verdict was reached from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from normcraft.records import Summary, TrialRecord
from normcraft.report.curves import trials_of
from normcraft.report.numbers import finite

__all__ = ["paired_differences"]


def paired_differences(
    summary: Summary, records: Sequence[TrialRecord]
) -> dict[str, dict[int, float]]:
    """For every arm but the baseline: seed to difference, positive is better.

    As in the verdict, a diverged trial counts at chance, a seed without a result in some arm counts
    in none, and each seed is taken at the learning rate that the other seeds prefer.

    Args:
        summary: The judged comparison.
        records: What came of its trials.

    Returns:
        Arm to seed to difference; empty without a baseline or without a complete seed.
    """
    if summary.search is not None:
        return _of_search(summary, records, summary.search.fresh)
    # `normcraft.studies` imports Keras, which reading a report should not.
    from normcraft.studies.selection import chosen_values

    names = [arm.name for arm in summary.arms]
    results = {(r.spec.arm, r.spec.seed, r.spec.learning_rate): _result(r) for r in records}
    rates = sorted({rate for arm, _, rate in results if arm in names})
    seeds = [
        seed
        for seed in sorted({seed for arm, seed, _ in results if arm in names})
        if all(results.get((name, seed, rate)) is not None for name in names for rate in rates)
    ]
    baseline = summary.verdict.baseline
    if not seeds or baseline not in names:
        return {}
    sign = 1 if summary.higher_is_better else -1
    values = {
        name: chosen_values(
            sign * np.array([[results[name, s, r] for r in rates] for s in seeds], dtype=float)
        )
        for name in names
    }
    return {
        name: dict(zip(seeds, (values[name] - values[baseline]).tolist(), strict=True))
        for name in names
        if name != baseline
    }


def _of_search(
    summary: Summary, records: Sequence[TrialRecord], seeds: Sequence[int]
) -> dict[str, dict[int, float]]:
    # Each arm at its own learning rate, on the fresh seeds that it shares with the baseline.
    sign = 1 if summary.higher_is_better else -1
    values: dict[str, dict[int, float]] = {}
    for arm in summary.arms:
        results = {r.spec.seed: _result(r) for r in trials_of(arm, records)}
        known = {seed: value for seed, value in results.items() if value is not None}
        values[arm.name] = {seed: sign * known[seed] for seed in seeds if seed in known}
    own = values.get(summary.verdict.baseline, {})
    found = {
        name: {seed: value - own[seed] for seed, value in each.items() if seed in own}
        for name, each in values.items()
        if name != summary.verdict.baseline
    }
    return found if any(found.values()) else {}


def _result(record: TrialRecord) -> float | None:
    if record.outcome == "finished":
        return finite(record.score)
    return finite(record.chance_score) if record.outcome == "diverged" else None
