"""Which normalization goes: dropped, or folded into the layer before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from normcraft.graph import Call, LayerGraph, is_normalization
from normcraft.surgery.planning.folding import find_folds
from normcraft.surgery.planning.plan import Plan

__all__ = ["plan_removal"]

SHARED = "its model is used several times, and another use of it stays"


def plan_removal(
    plan: Plan, graph: LayerGraph, calls: Sequence[Call], *, fold: bool = False
) -> LayerGraph:
    """Plans to take calls of normalization out.

    Args:
        plan: What is added to.
        graph: The model's graph.
        calls: The calls of normalization that are to go.
        fold: Whether they go into the weights of the layers around them; what cannot is kept.

    Returns:
        The graph without what goes.
    """
    going = _whole_definitions(plan, graph, calls)
    if fold:
        folding = find_folds(graph, going)
        plan.folds = folding.folds
        for layer in (one.layer for one in plan.folds.values()):
            _plan_settings(plan, layer)
        plan.kept += folding.kept
        going = folding.folded
        plan.folded |= {call.key for call in going}
    plan.dropped |= {call.key for call in going}
    return graph.without(going)


def _plan_settings(plan: Plan, layer: Any) -> None:
    # A layer that takes a fold needs the weights for it, and its LoRA factors merged.
    if getattr(layer, "lora_enabled", False):
        plan.edit(layer).settings["lora_rank"] = None
    if is_normalization(layer):
        plan.edit(layer).settings |= {"center": True, "scale": True}


def _whole_definitions(plan: Plan, graph: LayerGraph, calls: Collection[Call]) -> list[Call]:
    # A call inside a nested model that is used twice goes in both uses or in neither.
    uses = Counter(call.key for call in graph.calls)
    chosen = Counter(call.key for call in calls)
    going = [call for call in calls if chosen[call.key] == uses[call.key]]
    stays = [call for call in calls if chosen[call.key] < uses[call.key]]
    plan.kept += [(call.site, SHARED) for call in stays]
    return going
