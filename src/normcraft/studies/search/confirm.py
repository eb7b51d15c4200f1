"""Stage two, confirming: the arms that are left, at full length, on seeds that chose nothing.

Every arm keeps the learning rate that stage one gave it. Arms are tested against the baseline at
looks that are fixed beforehand; an arm leaves where its seeds decide nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from normcraft.studies.search.cell import Cell, Scores
from normcraft.studies.search.design import SearchDesign
from normcraft.studies.search.explore import Rung
from normcraft.studies.search.finalists import begin
from normcraft.studies.search.judge import judge
from normcraft.studies.search.leave import curtail, leave, leave_all
from normcraft.studies.search.pairs import Pairs
from normcraft.studies.search.standing import Confirmation

__all__ = ["confirm"]

BLOCK = 4  # seeds; the next block is handed out when the one before has ended


def confirm(design: SearchDesign, rungs: Sequence[Rung], scores: Scores) -> Confirmation:
    """The confirming stage, from the scores that exist.

    Args:
        design: The design.
        rungs: All rungs, complete.
        scores: The scores.

    Returns:
        The stage as it stands; nothing is missing where it has ended.
    """
    stage, before = begin(design, rungs), 0
    for number, look in enumerate(stage.looks, start=1):
        for seeds in (*range(before + BLOCK, look.pairs, BLOCK), look.pairs):
            if stage.running:
                stage = _supplied(design, stage, scores, seeds)
            if stage.missing or not stage.running:
                return stage
            pairs = Pairs(design, scores, seeds)
            if seeds < look.pairs:
                stage = curtail(stage, pairs, look)
        stage, before = judge(stage, pairs, look), look.pairs
        stage = leave_all(stage) if look is stage.looks[-1] else leave(stage, pairs)
        stage = replace(stage, looked=number)
    return stage


def _supplied(
    design: SearchDesign, stage: Confirmation, scores: Scores, seeds: int
) -> Confirmation:
    # With the trials of so many fresh seeds: those that exist, and those that do not.
    cells = _cells(design, stage, seeds)
    missing = tuple(cell for cell in cells if cell not in scores)
    return replace(stage, cells=tuple(dict.fromkeys([*stage.cells, *cells])), missing=missing)


def _cells(design: SearchDesign, stage: Confirmation, seeds: int) -> list[Cell]:
    # Of each seed: the baseline, the arms that still get seeds, and both controls.
    running = [standing.candidate for standing in stage.running]
    candidates = dict.fromkeys([stage.baseline, *running, design.random])
    found: list[Cell] = []
    for seed, other in zip(design.seeds[:seeds], design.control_seeds, strict=False):
        found += (one.cell(seed, design.length) for one in candidates)
        found.append(stage.baseline.cell(other, design.length))
    return found
