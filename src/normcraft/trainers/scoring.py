"""What a model's own metric says of predictions that the model did not make."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

__all__ = ["score_of"]


def score_of(model: keras.Model, y: Any, predictions: Any, metric: str) -> float:
    """What a model's metric says of predictions.

    Args:
        model: A compiled model that has evaluated data.
        y: Labels.
        predictions: In the structure of the model's outputs.
        metric: Key of the metric, or `"loss"`.

    Returns:
        The score.
    """
    y, predictions = (keras.tree.map_structure(_tensor, part) for part in (y, predictions))
    model.reset_metrics()
    loss = model.compute_loss(x=None, y=y, y_pred=predictions, sample_weight=None)
    values = model.compute_metrics(x=None, y=y, y_pred=predictions, sample_weight=None)
    model.reset_metrics()
    return float(loss if metric == "loss" else values[metric])


def _tensor(array: Any) -> Any:
    # Floats in the type to which `fit` and `evaluate` cast them.
    kind = np.asarray(array).dtype.kind
    return keras.ops.convert_to_tensor(array, keras.config.floatx() if kind == "f" else None)
