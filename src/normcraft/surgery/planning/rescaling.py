"""What becomes of batch normalization that does not fold, if it is to be no normalization."""

from __future__ import annotations

from collections import defaultdict

import keras

from normcraft.graph import Call, LayerGraph
from normcraft.surgery.planning.absorbing import normalization_map
from normcraft.surgery.planning.affine import Affine
from normcraft.surgery.planning.plan import Fold, Plan

__all__ = ["plan_rescaling"]


def plan_rescaling(plan: Plan, graph: LayerGraph) -> None:
    """Replaces normalization that was to fold and is kept by the map that it computes.

    It is left alone where a call of its layer computes something else.

    Args:
        plan: What is added to; its folds are complete.
        graph: The graph without what folds.
    """
    reasons = dict(plan.kept)
    calls: dict[int, list[Call]] = defaultdict(list)
    for call in graph.calls:
        calls[id(call.layer)].append(call)
    for own in calls.values():
        asked = all(call.site in reasons for call in own)
        maps = [normalization_map(call) for call in own] if asked else ["it is not asked for"]
        first, rank = maps[0], len(own[0].inputs[0].shape) if own[0].inputs else 0
        if any(isinstance(one, str) for one in maps) or isinstance(first, str) or not _fits(rank):
            continue
        plan.edit(own[0].layer).rescaling = _with_fold(plan, own[0], first)
        plan.replaced += [(call.site, "affine") for call in own]
        plan.kept = [(site, why) for site, why in plan.kept if site not in {c.site for c in own}]


def _fits(rank: int) -> bool:
    # Where images have their channels first by default, Rescaling reads shorter scales otherwise.
    return rank > 3 or keras.config.image_data_format() == "channels_last"


def _with_fold(plan: Plan, call: Call, own: Affine) -> Affine:
    fold = plan.folds.pop(id(call.layer), None) or Fold(call.layer)
    axis, rank = call.layer.axis, len(call.inputs[0].shape)
    if fold.before:
        own = fold.before.on_axis(axis, rank).then(own)
    return own.then(fold.behind.on_axis(axis, rank)) if fold.behind else own
