"""Whether a model brings its raw inputs to scale by itself."""

from __future__ import annotations

from typing import Any

import keras

from normcraft._core.keras_private import sublayers
from normcraft.graph.layer_graph import LayerGraph
from normcraft.graph.reader import Call

__all__ = ["scaling_site"]

SCALING = (keras.layers.Rescaling, keras.layers.Normalization)
ARITHMETIC = frozenset(("Add", "Divide", "Multiply", "Subtract", "TrueDivide"))


def scaling_site(graph: LayerGraph) -> str | None:
    """The first call that scales or shifts what enters a model, before any layer with weights.

    That is a `Rescaling` or a preprocessing `Normalization`, also inside another layer, or
    arithmetic with a constant, as `x / 255` and `keras.applications`' `preprocess_input` leave it.
    What stands behind a layer with weights or joins the results of one scales no inputs.

    Args:
        graph: The model's graph.

    Returns:
        The site; None where inputs reach the first weights as they are.

    Example:
        >>> layers = [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255, name="to_unit")]
        >>> scaling_site(LayerGraph.read(keras.Sequential(layers)))
        'to_unit'
    """
    raw = set(graph.inputs)
    for call in graph.calls:
        if call.is_input or not raw.issuperset(call.inputs):
            continue
        if _scales(call):
            return call.site
        if not getattr(call.layer, "weights", ()):
            raw |= set(call.outputs)
    return None


def _scales(call: Call) -> bool:
    operation: Any = call.layer
    if isinstance(operation, keras.layers.Layer):
        return any(isinstance(inner, SCALING) for inner in sublayers(operation))
    # With one value going in, what it is divided by or added to is a constant.
    return type(operation).__name__ in ARITHMETIC and len(call.inputs) == 1
