"""What is inserted at the sites of a placement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from normcraft.graph import Call, LayerGraph, Site, float_policy, layer_of
from normcraft.kinds import load_kind
from normcraft.surgery.planning.names import Names
from normcraft.surgery.planning.plan import Insertion, Plan

__all__ = ["place_at", "plan_insertions", "refusal"]

SHARED = "its model is used several times, and another use refuses normalization here"
UNLIKE = "its layer is shared, and the result of another call has other channels"


def plan_insertions(
    plan: Plan, graph: LayerGraph, sites: Sequence[Site], kind: str, *, shared: bool = False
) -> None:
    """Plans one normalization layer a site.

    Args:
        plan: What is added to.
        graph: The graph without the normalization that goes.
        sites: The sites; refused ones are noted.
        kind: Which kind is inserted.
        shared: Whether all calls of a shared layer get one normalization layer.
    """
    names = Names(graph)
    uses = Counter(call.key for call in graph.calls)
    chosen = Counter((site.call.key, site.inside) for site in sites if not site.refused)
    groups: dict[object, Insertion] = {}
    for site in sites:
        call = site.call
        reason = site.refused or refusal(graph, call) or _of_kind(graph, call, kind)
        if not reason and chosen[call.key, site.inside] < uses[call.key]:
            reason = SHARED
        group = groups.get(_group(graph, site)) if shared else None
        if group and not reason and not _alike(graph, call, group):
            reason = UNLIKE
        if reason:
            plan.skipped.append((site.name, reason))
        elif call.key not in (plan.inside if site.inside else plan.behind):
            insertion = group or _insertion(graph, call, names.normalization(site, kind), kind)
            groups[_group(graph, site)] = insertion
            place_at(plan, site, insertion, names)


def place_at(plan: Plan, site: Site, insertion: Insertion, names: Names) -> None:
    """Puts an insertion at a site, and splits a fused activation off where it stands before it.

    Args:
        plan: What is added to.
        site: Where.
        insertion: What.
        names: Names for new layers.
    """
    call, edit = site.call, plan.edit(site.call.layer)
    (plan.inside if site.inside else plan.behind)[call.key] = insertion
    if site.inside and not edit.split:
        edit.split, edit.dtype = names.activation(call), float_policy(call.layer)


def refusal(graph: LayerGraph, call: Call) -> str | None:
    """Why no normalization can stand behind a call.

    Returns:
        The reason, or None.
    """
    value, axis = call.outputs[0], graph.channel_axis(call)
    if len(call.outputs) > 1:
        return "it has several outputs"
    if value.sparse:
        return "its values are sparse"
    if "float" not in value.dtype:
        return f"its values are {value.dtype}, not floating point"
    if len(value.shape) < 2:
        return "it has no channel axis"
    if value.shape[axis] is None:
        return "its number of channels is unknown"
    return None


def _of_kind(graph: LayerGraph, call: Call, kind: str) -> str | None:
    return load_kind(kind).refusal(call.outputs[0].shape, graph.channel_axis(call))


def _insertion(graph: LayerGraph, call: Call, name: str, kind: str) -> Insertion:
    axis, shape = graph.channel_axis(call), call.outputs[0].shape
    return Insertion(kind, name, axis, shape, graph.dtype_policy(call))


def _group(graph: LayerGraph, site: Site) -> object:
    # Places that share one normalization layer: the calls of one layer in one model.
    owner = layer_of(graph, site.call)
    within = site.call.key.rpartition("/")[0]
    return (within, site.inside, id(owner.layer)) if owner else (within, site.call.key)


def _alike(graph: LayerGraph, call: Call, other: Insertion) -> bool:
    axis, shape = graph.channel_axis(call), call.outputs[0].shape
    same_rank = len(shape) == len(other.shape)
    return same_rank and axis == other.axis and shape[axis] == other.shape[axis]
