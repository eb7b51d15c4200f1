"""One pass that removes, inserts and swaps activations: how every arm of a comparison is made."""

from __future__ import annotations

import keras

from normcraft.graph import LayerGraph
from normcraft.placements import Placement
from normcraft.surgery.plan import make_plan, replaced_activations
from normcraft.surgery.rebuild import Rebuild
from normcraft.surgery.result import EditResult
from normcraft.surgery.transfer import copy_compile_settings, copy_flags, copy_weights

__all__ = ["place"]


def place(
    model: keras.Model,
    placement: str | Placement,
    *,
    kind: str = "batch",
    activation: str | None = None,
) -> EditResult:
    """Puts normalization where a placement says: what is there goes first, unless it is `as_given`.

    Args:
        model: A built Sequential or Functional model; it is not changed.
        placement: For example `"before_activation"` or `"input+after_activation"`.
        kind: Kind of normalization to insert.
        activation: Replaces all hidden activations, for example `"sigmoid"`; None leaves them.

    Returns:
        An edited copy with its evidence. Weights of all other layers, names, flags, policies and
        compile settings are kept.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((4,)), layers.Dense(8, "relu", name="a"), layers.Dense(2)])
        >>> [layer.name for layer in place(model, "before_activation").model.layers][:3]
        ['a', 'a_batch_normalization', 'a_activation']
    """
    parsed = Placement.parse(placement)
    graph = LayerGraph.read(model)
    plan = make_plan(graph, parsed, kind=kind, activation=activation)
    rebuild = Rebuild(graph, plan)
    copy = rebuild.model(model)
    outermost_first = sorted(rebuild.pairs, key=lambda pair: pair[0].count("/"))
    copy_flags(model, copy, deep=False)
    for _, original, new in outermost_first:
        opened = id(original) in graph.prefixes
        copy_flags(original, new, deep=not opened)
        if not opened:
            copy_weights(original, new)
    copy_compile_settings(model, copy)
    biases = [edit.bias for edit in plan.layers.values()]
    removed = dict.fromkeys(call.key for call in graph.calls if call.key in plan.dropped)
    return EditResult(
        copy,
        inserted=tuple((key, kind) for places in (plan.inside, plan.behind) for key in places),
        removed=tuple(removed),
        skipped=tuple(plan.skipped),
        biases_dropped=biases.count(False),
        biases_restored=biases.count(True),
        activations_replaced=replaced_activations(plan, graph),
    )
