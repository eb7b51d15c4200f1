"""What a search says in words: where it stands, where arms left, and what a verdict lacks."""

from __future__ import annotations

from normcraft.studies.search.design import SearchDesign
from normcraft.studies.search.explore import Rung
from normcraft.studies.search.finalists import epochs_needed
from normcraft.studies.search.follow import SearchState
from normcraft.studies.search.standing import Standing
from normcraft.studies.signflip import pairs_needed

__all__ = ["left_at", "not_confirmed", "stage_of"]


def plural(number: int, noun: str) -> str:
    """A number with its noun.

    Args:
        number: How many.
        noun: What, in the singular.

    Returns:
        For example `"1 epoch"`.

    Example:
        >>> plural(1, "epoch"), plural(3, "seed")
        ('1 epoch', '3 seeds')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def stage_of(design: SearchDesign, state: SearchState) -> str:
    """Where a search stands.

    Args:
        design: The design.
        state: The state.

    Returns:
        For example `"rung 2 of 3: trials of 3 epochs"`.
    """
    stage = state.confirmation
    if stage is not None and not state.ended:
        done = set(stage.cells) - set(stage.missing)
        seeds = sum(stage.baseline.cell(seed, design.length) in done for seed in design.seeds)
        return f"confirming: {seeds} of at most {plural(stage.seeds, 'seed')}"
    if state.ended:
        complete = stage is not None and stage.standings and not stage.running
        return "the search has ended" if complete else "the budget has ended"
    number = len(state.rungs)
    while number > 1 and not state.rungs[number - 2].complete:
        number -= 1
    rung = state.rungs[number - 1]
    return f"rung {number} of {len(design.rungs)}: trials of {plural(rung.epochs, 'epoch')}"


def left_at(rung: Rung | None, standing: Standing | None, *, ended: bool, baseline: bool) -> str:
    """Where an arm left, and why.

    Args:
        rung: The longest rung that it reached; None for none.
        standing: How it stands in the confirming stage; None where it is not part of it.
        ended: Whether the search has.
        baseline: Whether it is the baseline.

    Returns:
        For example `"rung of 3 epochs: others were better"`.
    """
    if baseline:
        return "the baseline stays in"
    if standing is not None:
        return f"confirming: {standing.left}" if standing.left else "confirming"
    if rung is None:
        return "its parent was not among the best"
    if not rung.complete:
        return "the budget ended" if ended else f"in the rung of {plural(rung.epochs, 'epoch')}"
    return f"rung of {plural(rung.epochs, 'epoch')}: others were better"


def not_confirmed(
    design: SearchDesign, state: SearchState, budget: str, *, stopped: bool = False
) -> str:
    """Why nothing was tested, and what would be needed.

    Args:
        design: The design.
        state: The state.
        budget: The budget as it was given.
        stopped: Whether the time is over.

    Returns:
        The verdict's sentence.
    """
    if not state.ended and stopped:
        where = stage_of(design, state)
        return f"cannot tell: the {budget} ended ({where}); run the same command again to go on"
    if not state.ended:
        return f"cannot tell yet ({stage_of(design, state)})"
    fewest = pairs_needed(0.05)
    if len(design.seeds) < fewest:
        return (
            f"cannot tell: {plural(len(design.seeds), 'paired seed')} cannot reach significance "
            f"at 0.05, at least {fewest} are needed: add --seeds 8"
        )
    needed = epochs_needed(design)
    trials = -(-needed // design.length)
    return (
        f"cannot tell: the budget of {budget} ended before any arm could be confirmed on "
        f"{fewest} fresh seeds: give it about {trials} trials ({needed} epochs) or more"
    )
