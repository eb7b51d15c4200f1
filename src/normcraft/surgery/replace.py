"""Swap the kind of the normalization that a model has."""

from __future__ import annotations

from typing import Any

import keras

from normcraft.graph import (
    Call,
    Criteria,
    LayerGraph,
    Selection,
    float_policy,
    is_normalization,
    unwrapped,
)
from normcraft.kinds import kind_of, load_kind
from normcraft.surgery.carry_out import carry_out
from normcraft.surgery.planning import Insertion, Plan
from normcraft.surgery.result import EditResult
from normcraft.surgery.verify import checked

__all__ = ["replace_normalization"]


def replace_normalization(
    model: keras.Model,
    kind: str,
    *,
    only: Criteria = None,
    skip: Criteria = None,
    verify: Any = False,
) -> EditResult:
    """A copy of a model whose normalization is of another kind, at the same places.

    The learned scale and shift are carried over, as are ε, initializers, regularizers and
    constraints, where the new kind has them (`"rms"` has no shift). Layers keep their names. The
    function changes: the statistics are others. From another kind to `"batch"` the moving
    statistics begin fresh.

    Args:
        model: A built model; it is not changed.
        kind: The new kind.
        only: Which are meant, as `insert_normalization` says; None for all.
        skip: Which of these are left alone.
        verify: True to compare the copy with the model on inputs made up (see
            `verify_equivalence`), or inputs to compare on as well; False for no check.

    Returns:
        The copy with what was replaced and kept.

    Raises:
        InputError: If the kind or a criterion is unknown.
        SurgeryError: If the model cannot be edited.
        EquivalenceError: If the copy was to be verified and does not compute the same.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> bn = layers.BatchNormalization(name="bn")
        >>> model = Sequential([Input((8, 8, 4)), layers.Conv2D(16, 3), bn, layers.ReLU()])
        >>> result = replace_normalization(model, "group")
        >>> result.replaced, type(result.model.get_layer("bn")).__name__
        ((('bn', 'group'),), 'GroupNormalization')
    """  # noqa: DOC502 - raised further down
    load_kind(kind)
    graph, plan = LayerGraph.read(model), Plan()
    selection = Selection(graph, only, skip)
    calls: dict[int, list[Call]] = {}
    for call in graph.calls:
        if is_normalization(call.layer):
            calls.setdefault(id(call.layer), []).append(call)
    for own in calls.values():
        if any(call in selection for call in own):
            _plan(plan, own, kind)
    return checked(model, carry_out(model, graph, plan)[0], verify)


def _plan(plan: Plan, calls: list[Call], kind: str) -> None:
    reason = next(filter(None, (_refusal(call, kind) for call in calls)), None)
    if reason:
        plan.kept.append((calls[0].site, reason))
        return
    layer, shape = calls[0].layer, calls[0].inputs[0].shape
    (axis,) = keras.tree.flatten(layer.axis)
    dtype = float_policy(layer)
    plan.edit(layer).replacement = Insertion(kind, layer.name, axis, shape, dtype, origin=layer)
    plan.replaced.append((calls[0].site, kind))


def _refusal(call: Call, kind: str) -> str | None:
    if unwrapped(call.layer) is not call.layer:
        return "it stands inside TimeDistributed"
    shape, axis = call.inputs[0].shape, _channel_axis(call)
    if kind_of(call.layer) == kind:
        return f"it is {kind} normalization already"
    if axis is None:
        return "it normalizes over several axes, and has a scale for each of their positions"
    if shape[axis] is None:
        return "its number of channels is unknown"
    return load_kind(kind).refusal(shape, axis)


def _channel_axis(call: Call) -> int | None:
    # The one axis along which the learned scale runs.
    axes = keras.tree.flatten(call.layer.axis)
    return axes[0] % len(call.inputs[0].shape) if len(axes) == 1 else None
