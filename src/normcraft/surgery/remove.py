"""Take normalization out of a model."""

from __future__ import annotations

from typing import Any

import keras

from normcraft._core.errors import unknown_name
from normcraft.graph import Criteria, LayerGraph, Selection, is_normalization
from normcraft.surgery.carry_out import carry_out
from normcraft.surgery.planning import Plan, plan_biases, plan_removal
from normcraft.surgery.result import EditResult
from normcraft.surgery.verify import checked

__all__ = ["MODES", "remove_normalization"]

MODES = ("drop", "fold")


def remove_normalization(
    model: keras.Model,
    *,
    mode: str = "drop",
    only: Criteria = None,
    skip: Criteria = None,
    verify: Any = False,
) -> EditResult:
    """A copy of a model without its normalization.

    Batch, Layer, Group and RMS normalization go; preprocessing `Normalization` stays.

    Args:
        model: A built model; it is not changed.
        mode: `"drop"` just takes it out, which changes the function of a trained model; a layer
            without bias that loses the shift of the normalization right behind it gets a zero
            bias. `"fold"` keeps the function: it goes into the weights of other layers where that
            is exact, as `fold_batch_normalization` says; the rest is kept and listed with the
            reason.
        only: Which are meant, as `insert_normalization` says; None for all.
        skip: Which of these stay.
        verify: True to compare the copy with the model on inputs made up (see
            `verify_equivalence`), or inputs to compare on as well; False for no check.

    Returns:
        The copy with what was removed and kept.

    Raises:
        InputError: If the mode or a criterion is unknown.
        SurgeryError: If the model cannot be edited.
        EquivalenceError: If the copy was to be verified and does not compute the same.

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
    return checked(model, carry_out(model, graph, plan)[0], verify)
