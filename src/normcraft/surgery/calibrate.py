"""Makes inserted batch normalization an identity at inference, on the statistics of real data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft._core.keras_private import graph_inputs
from normcraft.graph import functional_graph
from normcraft.kinds import batch
from normcraft.surgery.differences import moved_by
from normcraft.surgery.probe import BATCH_SIZE, Probe
from normcraft.surgery.result import EditResult
from normcraft.surgery.statistics import keeps_statistics

__all__ = ["calibrate_identity", "check_inputs"]

Array = np.ndarray[Any, np.dtype[Any]]


def check_inputs(model: keras.Model, x: Any, *, purpose: str = "calibration") -> None:
    """Makes sure that data are arrays of the shapes that a model takes.

    Args:
        model: A built model.
        x: What is given as its inputs.
        purpose: What the data are for, as an error says it.

    Raises:
        InputError: If they are not, or if there are none.
    """
    arrays, entries = keras.tree.flatten(x), graph_inputs(functional_graph(model))
    if not arrays or any(hasattr(array, "shape") and len(array) == 0 for array in arrays):
        raise InputError(
            f"the {purpose} needs data", received="no rows", expected="some hundred rows of inputs"
        )
    shapes = [tuple(getattr(array, "shape", ())) for array in arrays]
    wanted = [tuple(entry.shape) for entry in entries]
    if len(shapes) != len(wanted) or not all(map(_fits, shapes, wanted)):
        typed = all(hasattr(array, "shape") for array in arrays)
        given = f"arrays of shape {', '.join(map(str, shapes))}" if typed else type(x).__name__
        raise InputError(
            f"the data of the {purpose} do not fit the model",
            received=given,
            expected=f"arrays of shape {', '.join(map(str, wanted))}",
        )


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    alike = (have == want or want is None for have, want in zip(shape, wanted, strict=False))
    return len(shape) == len(wanted) and all(alike)


def calibrate_identity(
    model: keras.Model, result: EditResult, inserted: list[Any], x: Any
) -> EditResult:
    """Sets what inserted layers have learned and kept so that they change nothing at inference.

    Each gets the mean μ and the variance σ² of its input over the data, γ = a·√(σ² + ε) and
    β = b + a·μ, where a·x + b is what it took over: 1 and 0, the bias of the layer before it, or
    that and the normalization whose place it takes.

    Args:
        model: The original.
        result: The edit; the inserted layers of its copy are changed in place.
        inserted: These layers, of a kind of the batch family.
        x: Inputs as `Model.predict` takes arrays.

    Returns:
        The result with how far outputs moved, at inference and in training mode.

    Raises:
        InputError: If the model gives infinite or undefined values on the data.
    """  # noqa: DOC502 - raised further down
    affines = [_become_affine(layer) for layer in inserted]
    chosen = {id(layer) for layer in inserted}
    probe = Probe(result.model, lambda layer: id(layer) in chosen, by_batch=False)
    before, _ = Probe(model, lambda layer: False, by_batch=False).run(x, compiled=False)
    _, moments = probe.run(x, compiled=False)
    found = {id(layer): m for layer, m in zip(probe.layers, moments, strict=True)}
    for layer, affine in zip(inserted, affines, strict=True):
        if id(layer) in found:  # frozen ones are not measured
            _set_affine(layer, *found[id(layer)], *affine)
    after, _ = probe.run(x, compiled=False)
    few = keras.tree.map_structure(lambda array: array[:BATCH_SIZE], x)
    trained = [
        Probe(one, keeps_statistics, by_batch=True).run(few, compiled=False)[0]
        for one in (model, result.model)
    ]
    return replace(
        result,
        inference_difference=_largest(before, after),
        training_difference=_largest(*trained),
    )


def _become_affine(layer: Any) -> tuple[Array, Array]:
    # It is fresh but for a·x + b, which it absorbed, and computes that over √(1 + ε).
    scale, shift = (value * np.sqrt(1 + layer.epsilon) for value in batch.inference_affine(layer))
    _set_affine(layer, np.zeros_like(scale), np.ones_like(scale), scale, shift)
    return scale, shift


def _set_affine(layer: Any, mean: Array, variance: Array, scale: Array, shift: Array) -> None:
    if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(variance))):
        raise InputError(
            f"the data give no statistics for the normalization {layer.name!r}",
            received="values that are infinite, undefined or too large to square",
            expected="finite activations at every site",
            hint="calibrate on data that the model computes finite values for",
        )
    batch.set_statistics(layer, mean, variance)
    kept_mean, kept_variance = batch.statistics(layer)  # as the layer's dtype holds them
    layer.gamma.assign(scale * np.sqrt(kept_variance + layer.epsilon))
    layer.beta.assign(shift + scale * kept_mean)


def _largest(before: list[Array], after: list[Array]) -> float:
    return max(moved_by(a, b)[1] for a, b in zip(before, after, strict=True))
