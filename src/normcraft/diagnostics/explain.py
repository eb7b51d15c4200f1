"""The steps of normalization on real activations, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from normcraft.diagnostics.copying import copy_to_run
from normcraft.diagnostics.counts import check_count
from normcraft.diagnostics.explanation import Explanation, LayerExplanation, OutputGap
from normcraft.diagnostics.findings import model_findings
from normcraft.diagnostics.inputs import first_rows
from normcraft.diagnostics.looking import look, mean_gap
from normcraft.diagnostics.places import Place, hidden_normalization, places_of
from normcraft.diagnostics.walk import Walk
from normcraft.diagnostics.warm_up import recorded_steps
from normcraft.graph import LayerGraph
from normcraft.surgery.differences import moved_by

__all__ = ["ROWS", "explain_model", "layers_on"]

Array = np.ndarray[Any, np.dtype[Any]]
ROWS = 32


def explain_model(
    model: keras.Model,
    x: Any,
    *,
    layer: str | None = None,
    steps: int | None = None,
    rows: int = ROWS,
) -> Explanation:
    """What each normalization layer, or each site where one could be, does with the first rows.

    The model is run call by call on one batch, in training mode and at inference. It is not
    changed: what is run is a copy.

    Args:
        model: A built model.
        x: Inputs as `Model.predict` takes arrays.
        layer: Name of one normalization or site; None for all normalization, or where there is none
            for all sites.
        steps: Training steps that the moving averages have seen; None for those that the model's
            optimizer has counted.
        rows: How many of the first rows.

    Returns:
        The explanation, with the names of model and data empty but for the model's own.

    Raises:
        InputError: If the data do not fit the model, or there is no such layer.

    Example:
        >>> layer = keras.layers.BatchNormalization(name="bn")
        >>> model = keras.Sequential([keras.Input((1,)), layer])
        >>> found = explain_model(model, np.array([[1.0], [3.0]]), steps=100).layers[0]
        >>> found.mean, found.variance, found.effective_samples, round(found.initial_weight, 3)
        ((2.0,), (1.0,), 2, 0.366)
    """  # noqa: DOC502 - raised further down
    if steps is not None:
        check_count(steps, "steps")
    check_count(rows, "rows", least=1)
    first = first_rows(model, x, rows)
    places = places_of(LayerGraph.read(model), layer)
    counted, source = recorded_steps(model) if steps is None else (steps, "as given")
    copy = copy_to_run(model).model
    layers, outputs = layers_on(copy, places, first, counted)
    graph = LayerGraph.read(copy)
    return Explanation(
        model=model.name,
        data="",
        rows=len(first[0]),
        steps=counted,
        steps_from=source,
        layers=layers,
        outputs=_output_gaps(graph, outputs),
        findings=model_findings(layers),
        notes=_notes(graph),
    )


def layers_on(
    model: keras.Model, places: Sequence[Place], x: Any, steps: int | None
) -> tuple[tuple[LayerExplanation, ...], list[tuple[Any, ...]]]:
    """Looks at places of a model while it runs on one batch.

    Args:
        model: A model that belongs to the caller.
        places: Where.
        x: One batch of inputs.
        steps: Training steps so far, or None.

    Returns:
        An explanation of each place, and the outputs in training mode and at inference.
    """
    by_key = {place.key: place for place in places}
    found: dict[tuple[str, bool], LayerExplanation] = {}

    def visit(passing: Any) -> None:
        found[passing.place] = look(by_key[passing.place], passing, steps)

    outputs = Walk(model, by_key).run(x, visit)
    return tuple(found[place.key] for place in places), outputs


def _output_gaps(graph: LayerGraph, outputs: list[tuple[Any, ...]]) -> tuple[OutputGap, ...]:
    return tuple(
        _output_gap(graph.producer(value).site, *map(keras.ops.convert_to_numpy, pair))
        for value, pair in zip(graph.outputs, outputs, strict=True)
    )


def _output_gap(name: str, training: Array, inference: Array) -> OutputGap:
    a, b = np.asarray(training, "float64"), np.asarray(inference, "float64")
    flips = int(np.sum(a.argmax(1) != b.argmax(1))) if a.ndim == 2 and a.shape[1] > 1 else None
    return OutputGap(name, moved_by(a, b)[1], mean_gap(a, b), flips)


def _notes(graph: LayerGraph) -> tuple[str, ...]:
    hidden = hidden_normalization(graph)
    if not hidden:
        return ()
    names = ", ".join(hidden)
    return (f"not looked into: {names} computes with normalization inside, at inference here",)
