"""Move the normalization that a model has to another place."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import keras

from normcraft.graph import (
    Call,
    Criteria,
    LayerGraph,
    Selection,
    Site,
    is_normalization,
    layer_of,
    unwrapped,
)
from normcraft.kinds import kind_of
from normcraft.placements import Placement
from normcraft.surgery.carry_out import carry_out
from normcraft.surgery.planning import Insertion, Plan, plan_biases, plan_removal
from normcraft.surgery.planning.insertion import place_at, refusal
from normcraft.surgery.planning.names import Names
from normcraft.surgery.result import EditResult
from normcraft.surgery.verify import checked

__all__ = ["move_normalization"]


def move_normalization(
    model: keras.Model,
    placement: str | Placement,
    *,
    only: Criteria = None,
    skip: Criteria = None,
    verify: Any = False,
) -> EditResult:
    """A copy of a model whose normalization stands elsewhere, with its settings and weights.

    Each normalization goes to the place that the placement has for the Dense or convolution it
    belongs to, the one before it. It keeps its name, its settings, what it learned and its
    statistics. The function changes, and moving statistics may no longer fit what it receives:
    train on, or re-estimate them.

    Args:
        model: A built model; it is not changed.
        placement: Where, for example `"after_activation"`.
        only: Which are meant, as `insert_normalization` says; None for all.
        skip: Which of these are left alone.
        verify: True to compare the copy with the model on inputs made up (see
            `verify_equivalence`), or inputs to compare on as well; False for no check.

    Returns:
        The copy with what was moved and kept.

    Raises:
        InputError: If the placement or a criterion is unknown.
        SurgeryError: If the model cannot be edited.
        EquivalenceError: If the copy was to be verified and does not compute the same.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((4,)), layers.Dense(8, name="a"), layers.BatchNormalization(name="bn")]
        >>> model = Sequential([*chain, layers.ReLU(name="relu"), layers.Dense(2)])
        >>> result = move_normalization(model, "after_activation")
        >>> result.moved, [layer.name for layer in result.model.layers][:3]
        ((('bn', 'relu'),), ['a', 'relu', 'bn'])
    """  # noqa: DOC502 - raised further down
    parsed, graph, plan = Placement.parse(placement), LayerGraph.read(model), Plan()
    selection = Selection(graph, only, skip)
    movable = [c for c in graph.calls if is_normalization(c.layer) and c in selection]
    targets = _Targets(graph, parsed, movable)
    by_layer: dict[int, list[Call]] = defaultdict(list)
    for call in graph.calls:
        if is_normalization(call.layer):
            by_layer[id(call.layer)].append(call)
    going: list[Call] = []
    for calls in by_layer.values():
        asked = [call for call in calls if call in selection]
        reason = next(filter(None, (targets.refusal(call) for call in calls)), None)
        if reason is None:
            going += calls
        else:
            plan.kept += [(call.site, reason) for call in asked]
    bare = plan_removal(plan, graph, going)
    _insert(plan, bare, targets, going)
    plan_biases(plan, graph, bare)
    return checked(model, carry_out(model, graph, plan)[0], verify)


class _Targets:
    """The place that a placement has for each call of normalization."""

    def __init__(self, graph: LayerGraph, placement: Placement, movable: list[Call]) -> None:
        self._graph = graph
        bare = graph.without(movable)
        sites: dict[str, list[Site]] = defaultdict(list)
        for site in placement.select(bare):
            owner = layer_of(bare, site.call)
            if owner and not (site.refused or refusal(bare, site.call)):
                sites[owner.site].append(site)
        self.sites: dict[str, Site] = {}
        for call in movable:
            owner = layer_of(graph, call)
            if owner and sites[owner.site]:
                self.sites[call.site] = sites[owner.site].pop(0)

    def refusal(self, call: Call) -> str | None:
        """Why a call cannot be moved.

        Returns:
            The reason, or None.
        """
        site, axes = self.sites.get(call.site), keras.tree.flatten(unwrapped(call.layer).axis)
        if unwrapped(call.layer) is not call.layer:
            return "it stands inside TimeDistributed"
        if len(axes) > 1:
            return "it normalizes over several axes"
        if site is None:
            return "the placement has no place for the layer that it belongs to"
        if not site.inside and self._graph.producer(call.inputs[0]).site == site.name:
            return "it stands there already"
        before, after = call.inputs[0].shape, site.call.outputs[0].shape
        if before[axes[0]] != after[self._graph.channel_axis(site.call)]:
            return f"{site.name!r} has another number of channels"
        return None


def _insert(plan: Plan, bare: LayerGraph, targets: _Targets, going: list[Call]) -> None:
    names, built = Names(bare), dict[int, Insertion]()
    for call in going:
        if call.key not in plan.dropped:
            continue
        site, layer = targets.sites[call.site], call.layer
        axis, shape = bare.channel_axis(site.call), site.call.outputs[0].shape
        insertion = built.setdefault(
            id(layer), Insertion(kind_of(layer), layer.name, axis, shape, None, origin=layer)
        )
        if site.call.key not in (plan.inside if site.inside else plan.behind):
            place_at(plan, site, insertion, names)
            plan.moved.append((call.key, site.call.key))
