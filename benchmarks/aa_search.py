"""False winners of the search: arms that differ in name only, searched within a budget.

`python -m benchmarks.aa_calibration --budget` draws with this. Every arm of a family gets rows of
its own for the seeds that explore and for the fresh ones, all from one arm of the pool, and so does
the no-change control. The score of a short trial is that of the row's trial of full length: the
most that a short trial could tell. The budget holds everything, so that all that can be confirmed
is. Families of 4 arms and 24 pairs are looked at twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from normcraft.records import TrialRecord, Verdict
from normcraft.studies.search.cell import Candidate, Cell
from normcraft.studies.search.conclude import verdict_of
from normcraft.studies.search.controls import controls
from normcraft.studies.search.design import MOST_EXPLORERS, SearchDesign
from normcraft.studies.search.follow import follow
from normcraft.studies.search.pairs import Pairs
from normcraft.studies.summarize import result_of
from normcraft.studies.verdict import Metric

FAMILIES = ((2, 8), (4, 8), (8, 12), (4, 24))
LENGTH = 3
Row = tuple[TrialRecord, ...]


def rows_needed(family: int, pairs: int) -> int:
    """Rows that one search of a family draws."""
    return family * (pairs + MOST_EXPLORERS) + pairs


def searched(
    rows: Sequence[Row], family: int, pairs: int, random: np.random.Generator, *, is_score: bool
) -> tuple[Verdict, str | None]:
    """One search over arms that differ in name only.

    Returns:
        The verdict, and what was found of the no-change control.
    """
    drawn = [rows[i] for i in random.permutation(len(rows))[: rows_needed(family, pairs)]]
    names = tuple(f"arm {number}" for number in range(1, family + 1))
    rates = tuple(record.spec.learning_rate for record in drawn[0])
    random_one = Candidate(names[random.integers(family)], rates[random.integers(len(rates))])
    design = SearchDesign(
        names, (), names[0], rates, tuple(range(pairs)), LENGTH, 10**9, MOST_EXPLORERS,
        random_one, 0.0, is_score,
    )  # fmt: skip
    table = _table(design, drawn, 1 if is_score else -1)
    scores: dict[Cell, float] = {}
    while wanted := follow(design, scores).wanted:
        scores |= {cell: table[cell.arm, cell.seed, cell.rate] for cell in wanted}
    state, found = follow(design, scores), Pairs(design, scores, pairs)
    verdict = verdict_of(state, found, "none", Metric("accuracy", is_score, is_score))
    no_change = controls(state.confirmation, found)[0] if state.confirmation else None
    return verdict, no_change and no_change.outcome


def _table(
    design: SearchDesign, drawn: Sequence[Row], sign: int
) -> dict[tuple[str, int, float], float]:
    seeds = (*design.seeds, *design.exploring_seeds)
    places = [(arm, seed) for arm in design.arms for seed in seeds]
    places += [(design.baseline, seed) for seed in design.control_seeds]
    return {
        (*place, record.spec.learning_rate): sign * result_of(record)
        for place, row in zip(places, drawn, strict=True)
        for record in row
    }


def false_winners(
    rows: Sequence[Row],
    family: int,
    pairs: int,
    comparisons: int,
    random: np.random.Generator,
    *,
    is_score: bool,
) -> dict[str, Any]:
    """How often a search finds a winner, or its no-change control different.

    Returns:
        Counts.
    """
    found: Counter[str] = Counter()
    for _ in range(comparisons):
        verdict, control = searched(rows, family, pairs, random, is_score=is_score)
        found["winners"] += verdict.winner is not None
        found["controls"] += control in {"better", "worse"}
    return dict(found)
