"""Which normalization goes: dropped, or folded into the layer before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from normcraft.graph import Call, LayerGraph
from normcraft.surgery.planning.folding import fold_backward
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
        fold: Whether they go into the weights of the layers before them; what cannot is kept.

    Returns:
        The graph without what goes.
    """
    going = _whole_definitions(plan, graph, calls)
    if fold:
        folding = fold_backward(graph, going)
        plan.folds = folding.folds
        plan.kept += folding.kept
        going = folding.folded
    plan.dropped |= {call.key for call in going}
    return graph.without(going)


def _whole_definitions(plan: Plan, graph: LayerGraph, calls: Collection[Call]) -> list[Call]:
    # A call inside a nested model that is used twice goes in both uses or in neither.
    uses = Counter(call.key for call in graph.calls)
    chosen = Counter(call.key for call in calls)
    going = [call for call in calls if chosen[call.key] == uses[call.key]]
    stays = [call for call in calls if chosen[call.key] < uses[call.key]]
    plan.kept += [(call.site, SHARED) for call in stays]
    return going
