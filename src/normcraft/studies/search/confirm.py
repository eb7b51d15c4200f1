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
from normcraft.studies.search.looks import Look
from normcraft.studies.search.pairs import Pairs
from normcraft.studies.search.standing import Confirmation

__all__ = ["confirm"]

BLOCK = 4  # seeds that are handed out at a time


def confirm(design: SearchDesign, rungs: Sequence[Rung], scores: Scores) -> Confirmation:
    """The confirming stage, from the scores that exist.

    Args:
        design: The design.
        rungs: All rungs, complete.
        scores: The scores.

    Returns:
        The stage as it stands; nothing is missing where it has ended.
    """
    stage, pairs = begin(design, rungs), Pairs(design, scores)
    for number, look in enumerate(stage.looks, start=1):
        stage = curtail(stage, pairs, look)
        if not stage.running:
            break
        stage = _supplied(design, stage, scores, look)
        if stage.missing:
            break
        stage = judge(stage, pairs, look)
        is_last = number == len(stage.looks)
        stage = leave_all(stage) if is_last else leave(stage, pairs)
        stage = replace(stage, looked=number)
    return stage


def _supplied(
    design: SearchDesign, stage: Confirmation, scores: Scores, look: Look
) -> Confirmation:
    # With the trials up to the look: those that exist, and the next block of those that do not.
    by_seed = _cells(design, stage, look)
    lacking = [cells for cells in by_seed if any(cell not in scores for cell in cells)]
    missing = [cell for cells in lacking[:BLOCK] for cell in cells if cell not in scores]
    used = [cell for cells in by_seed for cell in cells if cell in scores]
    cells = tuple(dict.fromkeys([*stage.cells, *used, *missing]))
    return replace(stage, cells=cells, missing=tuple(missing))


def _cells(design: SearchDesign, stage: Confirmation, look: Look) -> list[list[Cell]]:
    # Of each seed: the baseline, the arms that still get seeds, and both controls.
    running = [standing.candidate for standing in stage.running]
    candidates = dict.fromkeys([stage.baseline, *running, design.random])
    control = zip(design.seeds[: look.pairs], design.control_seeds, strict=False)
    return [
        [
            *(one.cell(seed, design.length) for one in candidates),
            stage.baseline.cell(other, design.length),
        ]
        for seed, other in control
    ]
