"""Which hidden activations are swapped for another."""

from __future__ import annotations

from normcraft.graph import (
    Call,
    LayerGraph,
    Selection,
    activation_name,
    is_activation,
    is_linear,
    is_multiplication,
)
from normcraft.surgery.planning.plan import Plan

__all__ = ["plan_activations", "replaced_activations"]


def plan_activations(
    plan: Plan, graph: LayerGraph, activation: str, selection: Selection | None = None
) -> None:
    """Every hidden activation is replaced; outputs, softmax and gates keep theirs.

    Args:
        plan: What is added to.
        graph: The graph.
        activation: What replaces them.
        selection: The calls that are meant; None for all.
    """
    active = [call for call in graph.calls if activation_name(call.layer) is not None]
    kept = {id(call.layer) for call in active if not _is_replaceable(graph, call)}
    for call in active:
        chosen = selection is None or call in selection
        if chosen and id(call.layer) not in kept:
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
