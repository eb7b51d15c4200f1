"""Take normalization out of a model."""

from __future__ import annotations

import keras

from normcraft._core.errors import unknown_name
from normcraft.graph import Criteria, LayerGraph, Selection, is_normalization
from normcraft.surgery.carry_out import carry_out
from normcraft.surgery.planning import Plan, plan_biases, plan_removal
from normcraft.surgery.result import EditResult

__all__ = ["MODES", "remove_normalization"]

MODES = ("drop", "fold")


def remove_normalization(
    model: keras.Model, *, mode: str = "drop", only: Criteria = None, skip: Criteria = None
) -> EditResult:
    """A copy of a model without its normalization.

    Batch, Layer, Group and RMS normalization go; preprocessing `Normalization` stays.

    Args:
        model: A built model; it is not changed.
        mode: `"drop"` just takes it out, which changes the function of a trained model; a layer
            without bias that loses the shift of the normalization right behind it gets a zero
            bias. `"fold"` keeps the function: what stands right behind a Dense or convolution goes
            into its weights where that is exact, W·γ/√(σ² + ε) and (b − μ)·γ/√(σ² + ε) + β; the
            rest is kept and listed with the reason.
        only: Which are meant, as `insert_normalization` says; None for all.
        skip: Which of these stay.

    Returns:
        The copy with what was removed and kept.

    Raises:
        InputError: If the mode or a criterion is unknown.
        SurgeryError: If the model cannot be edited.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((4,)), layers.Dense(2), layers.BatchNormalization(name="bn")])
        >>> remove_normalization(model).removed
        ('bn',)
    """  # noqa: DOC501, DOC502 - ruff does not see through unknown_name
    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    graph, plan = LayerGraph.read(model), Plan()
    selection = Selection(graph, only, skip)
    going = [c for c in graph.calls if is_normalization(c.layer) and c in selection]
    bare = plan_removal(plan, graph, going, fold=mode == "fold")
    plan_biases(plan, graph, bare)
    return carry_out(model, graph, plan)[0]
