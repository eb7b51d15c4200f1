"""What becomes of batch normalization that does not fold, if it is to be no normalization."""

from __future__ import annotations

from collections import defaultdict

import keras

from normcraft.graph import Call, LayerGraph
from normcraft.surgery.planning.absorbing import normalization_map
from normcraft.surgery.planning.plan import Plan

__all__ = ["plan_rescaling"]


def plan_rescaling(plan: Plan, graph: LayerGraph) -> None:
    """Replaces normalization that was to fold and is kept by the map that it computes.

    It is left alone where a call of its layer computes something else.

    Args:
        plan: What is added to; its folds are complete.
        graph: The graph without what folds.
    """
    kept = {site for site, _ in plan.kept}
    calls: dict[int, list[Call]] = defaultdict(list)
    for call in graph.calls:
        calls[id(call.layer)].append(call)
    for own in calls.values():
        if kept.issuperset(call.site for call in own):
            _plan(plan, own)


def _plan(plan: Plan, calls: list[Call]) -> None:
    maps = [normalization_map(call) for call in calls]
    layer, rank, first = calls[0].layer, len(calls[0].inputs[0].shape), maps[0]
    if isinstance(first, str) or any(isinstance(one, str) for one in maps) or not _fits(rank):
        return
    fold = plan.folds.pop(id(layer), None)
    plan.edit(layer).rescaling = fold.around(first, axis=layer.axis, rank=rank) if fold else first
    sites = {call.site for call in calls}
    plan.replaced += [(site, "affine") for site, _ in plan.kept if site in sites]
    plan.kept = [(site, reason) for site, reason in plan.kept if site not in sites]


def _fits(rank: int) -> bool:
    # Where images have their channels first by default, Rescaling reads shorter scales otherwise.
    return rank > 3 or keras.config.image_data_format() == "channels_last"
