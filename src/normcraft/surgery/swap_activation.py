"""Swap the hidden activations of a model for another."""

from __future__ import annotations

from typing import Any

import keras

from normcraft._core.errors import InputError
from normcraft.graph import Criteria, LayerGraph, Selection
from normcraft.surgery.carry_out import carry_out
from normcraft.surgery.planning import Plan, plan_activations
from normcraft.surgery.result import EditResult
from normcraft.surgery.verify import checked

__all__ = ["swap_activation"]


def swap_activation(
    model: keras.Model,
    activation: str,
    *,
    only: Criteria = None,
    skip: Criteria = None,
    verify: Any = False,
) -> EditResult:
    """A copy of a model with another activation in its hidden layers.

    Fused activations and activations of their own are swapped alike. Those of output layers,
    softmax (it is attention there), gates (what is multiplied) and the ones inside recurrent layers
    stay.

    Args:
        model: A built model; it is not changed.
        activation: Name of a Keras activation, for example `"gelu"`.
        only: Which calls are meant, as `insert_normalization` says; None for all.
        skip: Which of these are left alone.
        verify: True to compare the copy with the model on inputs made up (see
            `verify_equivalence`), or inputs to compare on as well; False for no check.

    Returns:
        The copy; `activations_replaced` counts layers.

    Raises:
        InputError: If Keras knows no such activation, or a criterion is unknown.
        EquivalenceError: If the copy was to be verified and does not compute the same.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((4,)), layers.Dense(8, "relu"), layers.Dense(2, "softmax")])
        >>> swap_activation(model, "gelu").activations_replaced
        1
    """  # noqa: DOC502 - raised further down
    try:
        keras.activations.get(activation)
    except ValueError as error:
        raise InputError(
            "unknown activation",
            received=repr(activation),
            expected="the name of a Keras activation, for example 'relu', 'gelu' or 'silu'",
        ) from error
    graph, plan = LayerGraph.read(model), Plan()
    plan_activations(plan, graph, activation, Selection(graph, only, skip))
    return checked(model, carry_out(model, graph, plan)[0], verify)
