"""Fold batch normalization into the weights of other layers."""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np

from normcraft._core.errors import unknown_name
from normcraft.graph import Call, Criteria, LayerGraph, Selection, is_normalization, unwrapped
from normcraft.surgery.carry_out import carry_out
from normcraft.surgery.planning import Plan, plan_biases, plan_removal, plan_rescaling
from normcraft.surgery.planning.absorbing import normalization_map
from normcraft.surgery.planning.affine import Affine
from normcraft.surgery.planning.folding import find_folds
from normcraft.surgery.result import EditResult
from normcraft.surgery.verify import checked

__all__ = ["RESTS", "fold_batch_normalization", "foldable"]

RESTS = ("keep", "affine")


def fold_batch_normalization(
    model: keras.Model,
    *,
    rest: str = "keep",
    only: Criteria = None,
    skip: Criteria = None,
    verify: Any = True,
) -> EditResult:
    """A copy of a model that computes the same at inference with less normalization.

    Batch normalization at inference is y = scale*x + shift with scale = gamma/sqrt(variance +
    epsilon). Where it is exact, that goes into the weights of the Dense, EinsumDense, convolution,
    Embedding or other batch normalization that made x, or else of all those that read y; on the way
    it passes dropout, reshaping, padding-free resizing, average pooling, max pooling if no gamma is
    negative, and (backward) additions and concatenations whose branches can all take their part.
    Zeros that a convolution pads are no activations: there, normalization goes forward only if its
    shift is zero. Names stay; LoRA factors are merged into the kernels that change.

    Args:
        model: A built, trained model; it is not changed.
        rest: What becomes of batch normalization that does not fold: `"keep"`, or `"affine"` for
            the plain `keras.layers.Rescaling(scale, shift)` that it amounts to.
        only: Which are meant, as `insert_normalization` says; None for all.
        skip: Which of these stay.
        verify: True to compare both models on inputs made up (see `verify_equivalence`), inputs to
            compare on as well, False for neither.

    Returns:
        The copy, with what folded and, for each that did not, why.

    Raises:
        InputError: If an argument is unknown.
        SurgeryError: If the model cannot be edited.
        EquivalenceError: If the copy does not compute the same within the tolerance.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()]
        >>> result = fold_batch_normalization(Sequential([*chain, layers.ReLU()]))
        >>> result.folded, result.equivalence.equivalent, len(result.model.layers)
        (1, True, 2)
    """  # noqa: DOC501, DOC502 - raised further down
    if rest not in RESTS:
        raise unknown_name("rest", rest, RESTS)
    graph, plan = LayerGraph.read(model), Plan()
    selection = Selection(graph, only, skip)
    going = [call for call in graph.calls if _is_batch(call) and call in selection]
    bare = plan_removal(plan, graph, going, fold=True)
    plan_biases(plan, graph, bare)
    if rest == "affine":
        plan_rescaling(plan, bare)
    return checked(model, carry_out(model, graph, plan)[0], verify)


def foldable(model: keras.Model) -> Literal["all", "part", "none"] | None:
    """Whether the normalization of a model can be folded away once it is trained.

    As its weights do not say yet: with a shift that is not zero, and no gamma negative.

    Args:
        model: A built model.

    Returns:
        `"all"`, `"part"` or `"none"`; None where it has no normalization.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> foldable(Sequential([Input((4,)), layers.Dense(8), layers.BatchNormalization()]))
        'all'
    """
    graph = LayerGraph.read(model)
    calls = [call for call in graph.calls if is_normalization(call.layer)]
    if not calls:
        return None
    kept = find_folds(graph, calls, _once_trained).kept
    return "all" if not kept else "part" if len(kept) < len(calls) else "none"


def _once_trained(call: Call) -> Affine | str:
    own = normalization_map(call)
    if isinstance(own, str):
        return own
    ones = np.ones(own.scale.shape)
    return Affine(ones, ones)


def _is_batch(call: Call) -> bool:
    return isinstance(unwrapped(call.layer), keras.layers.BatchNormalization)
