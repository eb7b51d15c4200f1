"""The first rows of a user's data as flat inputs of a model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from normcraft._core.keras_private import graph_inputs
from normcraft.graph import functional_graph
from normcraft.surgery.calibrate import check_inputs

__all__ = ["first_rows"]

Array = np.ndarray[Any, np.dtype[Any]]


def first_rows(model: keras.Model, x: Any, rows: int) -> list[Array]:
    """The first rows of inputs, in their order.

    Args:
        model: A built model.
        x: Inputs as `Model.predict` takes arrays; by name also where the model lists them.
        rows: How many.

    Returns:
        Flat inputs in the model's order.
    """
    names = [tensor.name for tensor in graph_inputs(functional_graph(model))]
    if isinstance(x, dict) and set(names) <= set(x):
        x = [x[name] for name in names]
    check_inputs(model, x, purpose="explanation")
    return [np.asarray(array[:rows]) for array in keras.tree.flatten(x)]
