"""Is the verdict calibrated? False winners, power and coverage, drawn from real trained trials.

    python -m benchmarks.aa_calibration --pool pool.db [--power] [--figure FILE.svg] [--json]

**The pool.** `digits_cnn` on digits, the arms `none` and `before_activation`, three learning rates
that nearly tie, 200 seeds: 1,200 trials, run by `Study` through worker, trainer and store as in
`normcraft compare`. They are trained once and kept in `--pool`; another run trains what is missing.

**A comparison** takes disjoint seeds of one arm at random, gives each arm of a family its share
under a new name, pairs them at random, and hands the relabelled records to `studies.summarize`.
Those arms differ in nothing but their name, so any winner is a false one. `--smallest-effect` is 0:
a winner under a larger one is a winner under 0 as well. Pools: accuracy as it is; the loss, to be
minimised; accuracy where a quarter of the trials at the highest rate diverged; both halves of the
seeds by themselves; and the accuracy of the other arm, whose scores spread more.

**What the bound covers.** Given the pool, comparisons are independent draws, so the Clopper-Pearson
bound holds for the rate that this pool has. Each seed is as likely to land in any arm at any pair,
whatever the pool holds, and that is all that the sign-flip test assumes: no pool can have a rate
above the level. The halves, which share no trial, show what another pool does.

**Power**: a gain that is added to all scores of one arm. **Coverage**: whether the intervals hold
that gain. **Real pairs**: both arms of the pool, each pair from one seed; and the same with equal
means, which the test does not promise anything about: those arms do not differ in their name alone,
but their scores spread differently.

**With a budget** (`--budget`) arms are searched (`benchmarks/aa_search.py`) in place of compared
in full, with the same bound; how often the no-change control is called different stands beside it.

Exit 1 where the bound of any pool and family is above 7.5%.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import floor
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from benchmarks import aa_search
from benchmarks.aa_pages import figure, search_table, tables
from scipy.stats import binomtest

from normcraft.api.prepare import as_dataset, fit_to_model, load_for
from normcraft.api.progress import watcher
from normcraft.records import Arm, ArmSummary, TrialRecord, Verdict
from normcraft.studies import Budget, Grid, Store, Study
from normcraft.studies.selection import chosen_values
from normcraft.studies.summarize import summarize

GOAL = 0.075
ARMS = ("none", "before_activation")
RATES = (0.004, 0.005, 0.006)
EPOCHS = 3
FAMILIES = ((2, 8), (4, 8), (8, 12))  # (arms, pairs): 8 arms at 8 pairs could never be told apart
SEEDS_NEEDED = 2 * max(arms * pairs for arms, pairs in FAMILIES)
PAIRS = (6, 8, 10, 12, 16)
GAINS = (0.005, 0.01, 0.02)
DIVERGED = 0.25

Row = tuple[TrialRecord, ...]
"""The records of one seed of one arm, at every learning rate."""
Random = np.random.Generator
Figures = dict[str, Any]


@dataclass(frozen=True)
class Pool:
    """Rows to draw from, and how they are judged."""

    name: str
    rows: tuple[Row, ...]
    metric: str = "accuracy"

    @property
    def is_score(self) -> bool:
        """Whether the metric is to be maximised."""
        return self.metric != "loss"


# The pool


def planned(seeds: int) -> Study:
    """The study whose trials are the pool.

    Returns:
        The study, nothing of it trained.
    """
    dataset = as_dataset("digits", None)
    model = load_for("digits_cnn", dataset)
    return Study(
        model,
        fit_to_model(dataset, model),
        grid=Grid(placements=ARMS, learning_rates=RATES),
        budget=Budget(seeds, EPOCHS),
    )


def trained(study: Study, path: Path) -> dict[str, tuple[Row, ...]]:
    """Trains what the store lacks.

    Returns:
        The rows of each arm, in the order of seeds.
    """
    with Store(path) as store:
        records = study.run(store, progress=watcher()).records
    assert all(record.outcome == "finished" for record in records)
    return {
        arm: tuple(
            tuple(one for one in records if (one.spec.arm, one.spec.seed) == (arm, seed))
            for seed in study.budget.trial_seeds
        )
        for arm in ARMS
    }


def pools(every: dict[str, tuple[Row, ...]], random: Random) -> Iterator[Pool]:
    """The pools of the false-winner rate.

    Yields:
        Accuracy, loss, accuracy with diverged trials, the halves, and the other arm.
    """
    other, rows = (every[arm] for arm in ARMS)
    yield Pool("accuracy", rows)
    yield Pool("loss", tuple(tuple(map(judged_by_loss, row)) for row in rows), "loss")
    lost = random.random(len(rows)) < DIVERGED
    mixed = [
        (*row[:-1], diverged(row[-1])) if gone else row
        for row, gone in zip(rows, lost, strict=True)
    ]
    yield Pool("a quarter diverged at the highest rate", tuple(mixed))
    half = len(rows) // 2
    yield Pool("accuracy, first half of the seeds", rows[:half])
    yield Pool("accuracy, second half of the seeds", rows[half:])
    yield Pool("accuracy without normalization", other)


def judged_by_loss(record: TrialRecord) -> TrialRecord:
    """The same trial, its loss in place of its score."""
    return replace(record, score=record.loss, score_as_trained=record.curve[-1].validation_loss)


def diverged(record: TrialRecord) -> TrialRecord:
    """The same trial, had its loss become infinite."""
    return replace(record, outcome="diverged", score=None, score_as_trained=None, loss=None)


def lifted(row: Row, gain: float) -> Row:
    """The same row with a gain added to its scores."""
    return tuple(replace(record, score=record.score + gain) for record in row)


# One comparison


def draw(rows: Sequence[Row], size: int, random: Random) -> list[Row]:
    """So many different rows in random order.

    Returns:
        Rows.
    """
    return [rows[index] for index in random.permutation(len(rows))[:size]]


def judge(
    pool: Pool, drawn: Sequence[Row], family: int, description: Arm
) -> tuple[Verdict, tuple[ArmSummary, ...]]:
    """The verdict over rows that are shared out to the arms of a family in their order.

    Returns:
        What `summarize` says; the baseline is the first arm.
    """
    names = [f"arm {number}" for number in range(1, family + 1)]
    pairs = len(drawn) // family
    records = [
        replace(record, spec=replace(record.spec, arm=names[cell // pairs], seed=cell % pairs))
        for cell, row in enumerate(drawn)
        for record in row
    ]
    return summarize(
        [replace(description, name=name) for name in names],
        records,
        baseline=names[0],
        higher_is_better=pool.is_score,
        smallest_effect=0.0,
        as_fraction=pool.is_score,
        metric=pool.metric,
    )


# False winners


def false_winners(
    pool: Pool, family: int, pairs: int, comparisons: int, random: Random, description: Arm
) -> Figures:
    """How often arms that differ only in name have a winner, or any is called better or worse.

    Returns:
        The figures of one pool and family.
    """
    winners = calls = 0
    for _ in range(comparisons):
        verdict, arms = judge(pool, draw(pool.rows, family * pairs, random), family, description)
        winners += verdict.winner is not None
        calls += any(arm.outcome in {"better", "worse"} for arm in arms)
    flips = 2 ** (pairs - 1)
    return {
        "pool": pool.name,
        "arms": family,
        "pairs": pairs,
        "comparisons": comparisons,
        "false_winner_rate": winners / comparisons,
        "upper_bound": upper_bound(winners, comparisons),
        "false_call_rate": calls / comparisons,
        "false_call_upper_bound": upper_bound(calls, comparisons),
        "exact_limit": (family - 1) * floor(0.05 / (family - 1) * flips) / flips,
    }


def upper_bound(hits: int, of: int) -> float:
    """The one-sided 95% bound of a rate after Clopper and Pearson."""
    return float(binomtest(hits, of, alternative="less").proportion_ci(0.95, "exact").high)


def measure_search(rows: dict[str, tuple[Row, ...]], comparisons: int, random: Random) -> Figures:
    """False winners of the search, in every pool that holds rows enough for a family.

    Returns:
        The figures.
    """
    found = []
    for pool in pools(rows, random):
        for family, pairs in aa_search.FAMILIES:
            if len(pool.rows) < aa_search.rows_needed(family, pairs):
                continue
            counts = aa_search.false_winners(
                pool.rows, family, pairs, comparisons, random, is_score=pool.is_score
            )
            found.append(
                {
                    "pool": pool.name,
                    "arms": family,
                    "pairs": pairs,
                    "comparisons": comparisons,
                    "false_winner_rate": counts["winners"] / comparisons,
                    "upper_bound": upper_bound(counts["winners"], comparisons),
                    "no_change_called_rate": counts["controls"] / comparisons,
                }
            )
            say(found[-1])
    worst = max(found, key=lambda one: one["upper_bound"])
    return {"search": found} | {key: worst[key] for key in ("false_winner_rate", "upper_bound")}


# Power and coverage


def power(
    pool: Pool, family: int, pairs: int, comparisons: int, random: Random, description: Arm
) -> Iterator[Figures]:
    """How often a gain is found, and how often intervals hold what is true.

    Yields:
        The figures of each gain, of one arm and (four arms at 8 and 12 pairs) of all but the
        baseline, in the same draws.
    """
    draws = [draw(pool.rows, family * pairs, random) for _ in range(comparisons)]
    names = [f"arm {number}" for number in range(1, family + 1)]
    for gaining in ("one", "all") if family == 4 and pairs in {8, 12} else ("one",):
        winners = names[1:] if gaining == "all" else names[1:2]
        for gain in GAINS:
            truth = {name: gain * (name in winners) for name in names}
            found = planted(pool, draws, truth, description)
            yield {"gain": gain, "gaining": gaining, **found}


def planted(
    pool: Pool, draws: Sequence[Sequence[Row]], truth: dict[str, float], description: Arm
) -> Figures:
    """Verdicts over draws in which arms gain what is stated.

    Returns:
        Power, wrong winners, and coverage of single intervals and of the verdict's.
    """
    pairs = len(draws[0]) // len(truth)
    gains = [gain for gain in truth.values() for _ in range(pairs)]
    found: Counter[str] = Counter()
    for rows in draws:
        moved = [lifted(row, gain) if gain else row for row, gain in zip(rows, gains, strict=True)]
        verdict, arms = judge(pool, moved, len(truth), description)
        best = max(truth.values())
        found["right"] += verdict.winner is not None and truth[verdict.winner] == best
        found["wrong"] += verdict.winner is not None and truth[verdict.winner] < best
        told = told_difference(verdict, arms, truth)
        found["told"] += told is not None
        found["told covered"] += told is not None and covers(verdict.interval, told)
        intervals = [(one.difference_interval, truth[one.name]) for one in arms[1:]]
        intervals = [(bounds, true) for bounds, true in intervals if bounds]
        found["intervals"] += len(intervals)
        found["covered"] += sum(covers(bounds, true) for bounds, true in intervals)
    return {
        "arms": len(truth),
        "pairs": pairs,
        "comparisons": len(draws),
        "power": found["right"] / len(draws),
        "wrong_winner_rate": found["wrong"] / len(draws),
        "coverage": share(found["covered"], found["intervals"]),
        "verdict_coverage": share(found["told covered"], found["told"]),
    }


def told_difference(
    verdict: Verdict, arms: Sequence[ArmSummary], truth: dict[str, float]
) -> float | None:
    """The true value of the difference that a verdict tells.

    Returns:
        The difference; None where the verdict gives no interval.
    """
    if verdict.interval is None:
        return None
    sign = -1 if verdict.winner == verdict.baseline else 1
    figures = sign * (verdict.difference or 0.0), verdict.p_value
    return sign * truth[next(a.name for a in arms if (a.difference, a.p_value) == figures)]


def covers(bounds: tuple[float, float] | None, true: float) -> bool:
    """Whether an interval holds a value, within rounding."""
    return bounds is not None and bounds[0] - 1e-9 <= true <= bounds[1] + 1e-9


def share(part: int, whole: int) -> float | None:
    """A quotient, None where there is nothing."""
    return part / whole if whole else None


# Real pairs


def real_pairs(
    rows: dict[str, tuple[Row, ...]], pairs: int, comparisons: int, random: Random, description: Arm
) -> Figures:
    """Verdicts over two real arms, each pair from one seed.

    Returns:
        Outcomes by share.
    """
    pool, found = Pool("pairs", ()), Counter[str]()
    for _ in range(comparisons):
        seeds = random.permutation(len(rows[ARMS[0]]))[:pairs]
        drawn = [rows[arm][seed] for arm in ARMS for seed in seeds]
        found[judge(pool, drawn, 2, description)[1][1].outcome or ""] += 1
    return {
        "pairs": pairs,
        "comparisons": comparisons,
        **{word: found[word] / comparisons for word in ("better", "worse", "cannot_tell")},
    }


def with_equal_means(rows: dict[str, tuple[Row, ...]]) -> dict[str, tuple[Row, ...]]:
    """Both arms, the second moved so that no rate has another mean than in the first.

    Returns:
        Rows by arm.
    """
    means = [np.mean([[one.score for one in row] for row in rows[arm]], axis=0) for arm in ARMS]
    gains = means[0] - means[1]
    moved = tuple(
        tuple(lifted((one,), gain)[0] for one, gain in zip(row, gains, strict=True))
        for row in rows[ARMS[1]]
    )
    return {**rows, ARMS[1]: moved}


def about(rows: dict[str, tuple[Row, ...]]) -> Figures:
    """What the pool holds.

    Returns:
        Mean scores by rate, the spread of a pair's difference, and what pairing takes off it.
    """
    scores = {arm: np.array([[r.score for r in row] for row in rows[arm]]) for arm in ARMS}
    none, normalized = (chosen_values(scores[arm]) for arm in ARMS)
    apart = np.sqrt(none.var(ddof=1) + normalized.var(ddof=1))
    return {
        "trials": sum(len(row) for arm in ARMS for row in rows[arm]),
        "seeds": len(none),
        "means": {
            arm: dict(zip(map(str, RATES), table.mean(axis=0).tolist(), strict=True))
            for arm, table in scores.items()
        },
        "spread_of_a_score": float(normalized.std(ddof=1)),
        "spread_of_a_paired_difference": float((normalized - none).std(ddof=1)),
        "spread_of_an_unpaired_difference": float(apart),
        "difference": float((normalized - none).mean()),
        "seconds_a_trial": fmean(one.seconds for arm in ARMS for row in rows[arm] for one in row),
    }


# The whole


def measure(arguments: argparse.Namespace) -> Figures:
    """Trains what is missing and measures.

    Returns:
        The figures.
    """
    study = planned(arguments.seeds)
    rows = trained(study, arguments.pool)
    random = np.random.default_rng(arguments.random)
    settings = {"random": random, "description": study.arms[1]}
    if arguments.budget:
        return measure_search(rows, arguments.comparisons, random)
    figures: Figures = {"about": about(rows), "families": []}
    for pool in pools(rows, random):
        for family, pairs in FAMILIES:
            found = false_winners(pool, family, pairs, arguments.comparisons, **settings)
            figures["families"].append(found)
            say(found)
    worst = max(figures["families"], key=lambda one: one["upper_bound"])
    figures |= {key: worst[key] for key in ("false_winner_rate", "upper_bound")}
    if arguments.power:
        figures |= measure_power(rows, arguments.power_comparisons, **settings)
    return figures


def measure_power(rows: dict[str, tuple[Row, ...]], comparisons: int, **settings: Any) -> Figures:
    """Power and coverage with planted gains, and verdicts over real pairs.

    Returns:
        The figures.
    """
    pool, found = Pool("accuracy", rows[ARMS[1]]), []
    for family in (2, 4):
        for pairs in PAIRS:
            found += power(pool, family, pairs, comparisons, **settings)
            say(found[-1])
    real = [real_pairs(rows, pairs, comparisons, **settings) for pairs in PAIRS]
    rows = with_equal_means(rows)
    equal = [real_pairs(rows, pairs, 4 * comparisons, **settings) for pairs in PAIRS[:-1]]
    return {"power": found, "real_pairs": real, "real_pairs_with_equal_means": equal}


def say(figures: Figures) -> None:
    """Progress on stderr."""
    print(figures, file=sys.stderr, flush=True)


def main() -> None:
    """Parses, measures, prints and writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pool", type=Path, default=Path("normcraft-runs/aa-pool.db"))
    parser.add_argument("--seeds", type=int, default=200, help="of the pool")
    parser.add_argument("--comparisons", type=int, default=1000, help="for each pool and family")
    parser.add_argument("--budget", action="store_true", help="search in place of the full grid")
    parser.add_argument("--power", action="store_true", help="also power, coverage, real pairs")
    parser.add_argument("--power-comparisons", type=int, default=250, help="for each point")
    parser.add_argument("--random", type=int, default=0, help="seed of the draws")
    parser.add_argument("--figure", type=Path, help="write the power curves here (.svg)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    if arguments.seeds < SEEDS_NEEDED:
        parser.error(f"--seeds {arguments.seeds}: a half of the pool needs {SEEDS_NEEDED // 2}")
    figures = measure(arguments)
    page = search_table if arguments.budget else tables
    print(json.dumps(figures) if arguments.json else page(figures))
    if arguments.figure and arguments.power:
        arguments.figure.write_text(figure(figures["power"]), encoding="utf-8")
    sys.exit(figures["upper_bound"] > GOAL)


if __name__ == "__main__":
    main()
