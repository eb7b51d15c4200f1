"""The plan of an edit: what becomes of each call and each layer, before anything is built."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from normcraft.graph import (
    Call,
    LayerGraph,
    Site,
    activation_name,
    float_policy,
    has_fused_activation,
    is_activation,
    is_linear,
    is_multiplication,
    is_normalization,
)
from normcraft.kinds import load_kind
from normcraft.placements import Placement

__all__ = ["Insertion", "LayerEdit", "Plan", "make_plan", "replaced_activations"]


@dataclass(frozen=True)
class Insertion:
    """One normalization to insert.

    Attributes:
        kind: Kind of normalization.
        name: Name of the new layer.
        axis: Axis of the channels.
        shape: Shape of what is normalized, the batch axis first.
        dtype: Name of its dtype policy; None for Keras's default.
    """

    kind: str
    name: str
    axis: int
    shape: tuple[int | None, ...]
    dtype: str | None


@dataclass
class LayerEdit:
    """What changes in a layer itself, and so in all its calls.

    Attributes:
        split: Name of the layer of its own that its fused activation becomes; None if it stays.
        activation: Activation that replaces its own, or None.
        bias: True to give it a bias, False to take its bias, None to leave it.
        dtype: Name of the dtype policy of an activation layer that is made for it.
    """

    split: str | None = None
    activation: str | None = None
    bias: bool | None = None
    dtype: str | None = None


@dataclass
class Plan:
    """All edits of one pass, by the keys of `LayerGraph`.

    Attributes:
        dropped: Keys of calls that are taken out.
        inside: Insertions between the linear part of a call and its fused activation.
        behind: Insertions behind a call.
        layers: Edits of layers, by `id`.
        skipped: `(site, reason)` of refused places.
    """

    dropped: set[str] = field(default_factory=set)
    inside: dict[str, Insertion] = field(default_factory=dict)
    behind: dict[str, Insertion] = field(default_factory=dict)
    layers: dict[int, LayerEdit] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def edit(self, layer: Any) -> LayerEdit:
        """The edit of a layer, made on first use.

        Returns:
            A mutable `LayerEdit`.
        """
        return self.layers.setdefault(id(layer), LayerEdit())


def make_plan(
    graph: LayerGraph, placement: Placement, *, kind: str, activation: str | None = None
) -> Plan:
    """Plans to remove what a placement asks to go, insert what it asks for, and swap activations.

    Args:
        graph: The model's graph.
        placement: Where normalization goes.
        kind: Which kind is inserted.
        activation: What replaces the hidden activations; None leaves them.

    Returns:
        The plan; nothing is built yet.
    """
    plan = Plan()
    existing = [call for call in graph.calls if is_normalization(call.layer)]
    bare = graph
    if not placement.keeps_existing:
        plan.dropped = {call.key for call in existing}
        bare = graph.without(existing)
    _plan_insertions(plan, bare, placement.select(bare), kind)
    _plan_biases(plan, graph, bare)
    if activation is not None:
        _plan_activations(plan, bare, activation)
    return plan


def _plan_insertions(plan: Plan, graph: LayerGraph, sites: tuple[Site, ...], kind: str) -> None:
    names = _Names(graph)
    expansions = Counter(call.key for call in graph.calls)
    chosen = Counter((site.call.key, site.inside) for site in sites if not site.refused)
    for site in sites:
        call, places = site.call, plan.inside if site.inside else plan.behind
        reason = site.refused or _refusal(call, graph.channel_axis(call), kind)
        if not reason and chosen[call.key, site.inside] < expansions[call.key]:
            reason = "its model is used several times, and another use refuses normalization here"
        if reason:
            plan.skipped.append((site.name, reason))
        elif call.key not in places:
            places[call.key] = _insertion(graph, call, names.normalization(site, kind), kind)
            if site.inside and not plan.edit(call.layer).split:
                edit = plan.edit(call.layer)
                edit.split, edit.dtype = names.activation(call), float_policy(call.layer)


def _insertion(graph: LayerGraph, call: Call, name: str, kind: str) -> Insertion:
    axis, shape = graph.channel_axis(call), call.outputs[0].shape
    return Insertion(kind, name, axis, shape, graph.dtype_policy(call))


def _refusal(call: Call, axis: int, kind: str) -> str | None:
    value = call.outputs[0]
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
    return load_kind(kind).refusal(value.shape, axis)


class _Names:
    """Names for new layers, derived from the site and taken by no other layer of the same model."""

    def __init__(self, graph: LayerGraph) -> None:
        self.taken = {call.key for call in graph.calls}

    def normalization(self, site: Site, kind: str) -> str:
        """Name of normalization at a site.

        Returns:
            For example `conv_batch_normalization`.
        """
        behind_fused = has_fused_activation(site.call.layer) and not site.inside
        return self._new(site.call, f"{'_activation' * behind_fused}_{kind}_normalization")

    def activation(self, call: Call) -> str:
        """Name of the activation that is split off a layer.

        Returns:
            For example `conv_activation`.
        """
        return self._new(call, "_activation")

    def _new(self, call: Call, ending: str) -> str:
        prefix, slash, own = call.key.rpartition("/")
        base = own.replace("@", "_") + ending
        numbered = (f"{base}_{number}" for number in count(2))
        name = next(n for n in chain([base], numbered) if prefix + slash + n not in self.taken)
        self.taken.add(prefix + slash + name)
        return name


def _plan_biases(plan: Plan, graph: LayerGraph, bare: LayerGraph) -> None:
    """A bias goes where every call's linear result is normalized by a kind that subtracts it again.

    A layer without bias gets one where normalization with a shift stood right behind it and goes.
    """
    calls: dict[int, list[Call]] = {}
    for call in bare.calls:
        if is_linear(call.layer):
            calls.setdefault(id(call.layer), []).append(call)
    for own in calls.values():
        layer = own[0].layer
        absorbed = all(_absorbs(plan, call) for call in own)
        if absorbed and _has_bias(layer):
            plan.edit(layer).bias = False
        elif not absorbed and not _has_bias(layer) and _lost_shift(plan, graph, own):
            plan.edit(layer).bias = True


def _absorbs(plan: Plan, call: Call) -> bool:
    fused = has_fused_activation(call.layer)
    insertion = (plan.inside if fused else plan.behind).get(call.key)
    return insertion is not None and load_kind(insertion.kind).ABSORBS_BIAS


def _has_bias(layer: Any) -> bool:
    if hasattr(layer, "bias_axes"):
        return layer.bias_axes is not None
    return bool(layer.use_bias)


def _lost_shift(plan: Plan, graph: LayerGraph, calls: list[Call]) -> bool:
    layer = calls[0].layer
    if has_fused_activation(layer) or not hasattr(layer, "use_bias"):
        return False
    keys = {call.key for call in calls}
    followers = [f for call in graph.calls if call.key in keys for f in graph.consumers(call)]
    return any(
        follower.key in plan.dropped and getattr(follower.layer, "beta", None) is not None
        for follower in followers
    )


def _plan_activations(plan: Plan, graph: LayerGraph, activation: str) -> None:
    """Every hidden activation is replaced; outputs, softmax and gates keep theirs."""
    active = [call for call in graph.calls if activation_name(call.layer) is not None]
    kept = {id(call.layer) for call in active if not _is_replaceable(graph, call)}
    for call in active:
        if id(call.layer) not in kept:
            edit = plan.edit(call.layer)
            edit.activation, edit.dtype = activation, graph.dtype_policy(call)


def _is_replaceable(graph: LayerGraph, call: Call) -> bool:
    gate = any(is_multiplication(consumer.layer) for consumer in graph.consumers(call))
    softmax = activation_name(call.layer) in {"softmax", "log_softmax"}
    return graph.is_hidden(call) and not gate and not softmax


def replaced_activations(plan: Plan, graph: LayerGraph) -> int:
    """Number of layers whose activation the plan swaps for a different one.

    Returns:
        A count of layers, not of calls.
    """
    layers = {id(call.layer): call.layer for call in graph.calls}
    return sum(
        edit.activation is not None
        and (is_activation(layers[key]) or is_linear(layers[key]))
        and activation_name(layers[key]) != edit.activation
        for key, edit in plan.layers.items()
    )
