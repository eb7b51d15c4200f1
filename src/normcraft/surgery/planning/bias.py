"""Which biases go, and where their value goes; which layers get one."""

from __future__ import annotations

from typing import Any

from normcraft.graph import Call, LayerGraph, has_fused_activation, is_linear
from normcraft.kinds import load_kind
from normcraft.surgery.planning.plan import Insertion, Plan

__all__ = ["plan_biases"]


def plan_biases(plan: Plan, graph: LayerGraph, bare: LayerGraph) -> None:
    """A bias goes where every call's linear result is normalized by a kind that subtracts it again.

    Where that kind keeps statistics, the bias moves into its shift, which leaves the output at
    inference as it was. A layer without bias gets one where normalization with a shift stood right
    behind it and goes.

    Args:
        plan: What is added to; its insertions, removals and folds are complete.
        graph: The model's graph.
        bare: The same without the normalization that goes.
    """
    calls: dict[int, list[Call]] = {}
    for call in bare.calls:
        if is_linear(call.layer):
            calls.setdefault(id(call.layer), []).append(call)
    for own in calls.values():
        _plan_bias(plan, graph, own)


def _plan_bias(plan: Plan, graph: LayerGraph, calls: list[Call]) -> None:
    layer = calls[0].layer
    absorbers = [_absorber(plan, call) for call in calls]
    fold = plan.folds.get(id(layer))
    folded = fold is not None and fold.shifts
    if all(absorbers):
        if _has_bias(layer):
            plan.edit(layer).bias = False
        if _has_bias(layer) or fold:
            plan.edit(layer).absorbers = _with_statistics(absorbers)
    elif not _has_bias(layer) and (folded or _lost_shift(plan, graph, calls)):
        plan.edit(layer).bias = True


def _absorber(plan: Plan, call: Call) -> Insertion | None:
    fused = has_fused_activation(call.layer)
    insertion = (plan.inside if fused else plan.behind).get(call.key)
    subtracts = insertion and insertion.kind and load_kind(insertion.kind).ABSORBS_BIAS
    return insertion if subtracts else None


def _with_statistics(absorbers: list[Insertion | None]) -> tuple[Insertion, ...]:
    kept = [one for one in absorbers if one and one.kind]
    return tuple(
        dict.fromkeys(one for one in kept if hasattr(load_kind(str(one.kind)), "set_statistics"))
    )


def _has_bias(layer: Any) -> bool:
    if hasattr(layer, "bias_axes"):
        return layer.bias_axes is not None
    return bool(layer.use_bias)


def _lost_shift(plan: Plan, graph: LayerGraph, calls: list[Call]) -> bool:
    layer = calls[0].layer
    if has_fused_activation(layer) or not hasattr(layer, "use_bias"):
        return False
    return any(
        follower.key in plan.dropped and getattr(follower.layer, "beta", None) is not None
        for call in calls
        for follower in graph.consumers(call)
    )
