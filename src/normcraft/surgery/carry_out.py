"""Carries a plan out: the edited copy, and into it everything that the original has."""

from __future__ import annotations

from typing import Any

import keras

from normcraft.graph import LayerGraph
from normcraft.surgery.folded import folded_bias, write_fold
from normcraft.surgery.normalization import absorb, carry_over
from normcraft.surgery.optimizer_state import copy_optimizer_state
from normcraft.surgery.planning import Fold, LayerEdit, Plan, replaced_activations
from normcraft.surgery.rebuild import Rebuild
from normcraft.surgery.result import EditResult
from normcraft.surgery.transfer import copy_compile_settings, copy_flags, copy_weights

__all__ = ["carry_out"]


def carry_out(
    model: keras.Model, graph: LayerGraph, plan: Plan
) -> tuple[EditResult, list[keras.layers.Layer]]:
    """The edited copy of a model, with weights, flags, compile settings and optimizer state.

    Args:
        model: The original; it is not changed.
        graph: Its graph.
        plan: What to do.

    Returns:
        The copy with the evidence, and the normalization layers of the copy that are new.
    """
    rebuild = Rebuild(graph, plan)
    copy = rebuild.model(model)
    survivors = _copy_layers(model, copy, rebuild) + _copy_normalization(rebuild)
    _fold(rebuild)
    _absorb(rebuild)
    copy_compile_settings(model, copy)
    rewritten = {id(v) for fold in plan.folds.values() for v in fold.layer.variables}
    copy_optimizer_state(model, copy, [p for p in survivors if id(p[0]) not in rewritten])
    return _evidence(copy, graph, plan), list(rebuild.built.values())


def _copy_layers(model: keras.Model, copy: keras.Model, rebuild: Rebuild) -> list[Any]:
    survivors: list[Any] = []
    copy_flags(model, copy, deep=False)
    for _, original, new in sorted(rebuild.pairs, key=lambda pair: pair[0].count("/")):
        opened = id(original) in rebuild.graph.prefixes
        copy_flags(original, new, deep=not opened)
        if not opened:
            survivors += copy_weights(original, new)
    return survivors


def _copy_normalization(rebuild: Rebuild) -> list[Any]:
    survivors: list[Any] = []
    for insertion, layer in rebuild.built.items():
        if insertion.origin is not None:
            survivors += carry_over(insertion.origin, layer)
            layer.trainable = insertion.origin.trainable
    return survivors


def _fold(rebuild: Rebuild) -> None:
    for key, fold in rebuild.plan.folds.items():
        absorbed = rebuild.plan.layers.get(key, LayerEdit()).absorbers
        write_fold(fold, rebuild.copy_of(fold.layer), behind=not absorbed)


def _absorb(rebuild: Rebuild) -> None:
    layers = {id(call.layer): call.layer for call in rebuild.graph.calls}
    for key, edit in rebuild.plan.layers.items():
        fold = rebuild.plan.folds.get(key) or Fold(layers[key])
        for insertion in edit.absorbers:
            scale = fold.behind.scale if fold.behind else None
            absorb(rebuild.built[insertion], scale, folded_bias(fold))


def _evidence(copy: keras.Model, graph: LayerGraph, plan: Plan) -> EditResult:
    biases = [edit.bias for edit in plan.layers.values()]
    keys = dict.fromkeys(call.key for call in graph.calls)
    places = [(key, p[key]) for key in keys for p in (plan.inside, plan.behind) if key in p]
    gone = plan.dropped - {site for site, _ in plan.moved}
    removed = [key for key in keys if key in gone]
    return EditResult(
        copy,
        inserted=tuple((key, str(one.kind)) for key, one in places if one.origin is None),
        removed=tuple(removed),
        moved=tuple(plan.moved),
        replaced=tuple(plan.replaced),
        kept=tuple(plan.kept),
        skipped=tuple(plan.skipped),
        folded=len(plan.folded.intersection(removed)),
        biases_dropped=biases.count(False),
        biases_restored=biases.count(True),
        activations_replaced=replaced_activations(plan, graph),
    )
