"""What a model's own metric says of predictions that the model did not make."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

__all__ = ["as_tensors", "score_of", "scores_of"]


def score_of(model: keras.Model, y: Any, predictions: Any, metric: str) -> float:
    """What a model's metric says of predictions.

    Args:
        model: A compiled model.
        y: Labels.
        predictions: In the structure of the model's outputs.
        metric: Key of the metric, or `"loss"`.

    Returns:
        The score.
    """
    return float(scores_of(model, as_tensors(y), as_tensors(predictions))[metric])


def scores_of(model: keras.Model, y: Any, predictions: Any) -> dict[str, Any]:
    """What a model's loss and metrics say of predictions; they may be traced.

    Args:
        model: A compiled model.
        y: Labels, as tensors.
        predictions: Tensors in the structure of the model's outputs.

    Returns:
        Tensors by key of the metric, and `"loss"`.
    """
    model.reset_metrics()
    loss = model.compute_loss(x=None, y=y, y_pred=predictions, sample_weight=None)
    values = model.compute_metrics(x=None, y=y, y_pred=predictions, sample_weight=None)
    model.reset_metrics()
    return {**values, "loss": loss}


def as_tensors(arrays: Any) -> Any:
    """Arrays as tensors, floats in the type to which `fit` and `evaluate` cast them.

    Args:
        arrays: Arrays in any structure.

    Returns:
        The same structure.
    """
    return keras.tree.map_structure(_tensor, arrays)


def _tensor(array: Any) -> Any:
    kind = np.asarray(array).dtype.kind
    return keras.ops.convert_to_tensor(array, keras.config.floatx() if kind == "f" else None)
