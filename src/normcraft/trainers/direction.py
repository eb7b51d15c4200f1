"""Which way a metric is better, and whether it reads in points."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from normcraft._core.keras_private import metric_direction, pack_outputs
from normcraft.trainers.scoring import score_of

__all__ = ["higher_is_better", "reads_in_points"]

Array = np.ndarray[Any, np.dtype[Any]]
BETTER_DOWN = (
    "loss", "error", "entropy", "divergence", "deviance", "distance", "perplexity", "mse", "mae",
    "mape", "msle", "rmse", "hinge", "poisson",
)  # fmt: skip
# Better up, yet no share of anything: they fall below zero.
NO_SHARES = (
    keras.metrics.R2Score,
    keras.metrics.CosineSimilarity,
    keras.metrics.PearsonCorrelation,
    keras.metrics.ConcordanceCorrelation,
)


def higher_is_better(model: keras.Model, y: Any, key: str) -> bool:
    """The direction of a metric.

    Losses are better down. Keras says it of its own metrics. Of any other it is measured: the
    labels themselves, taken as predictions, are better than their mirror image. Where those tie,
    the name decides.

    Args:
        model: A compiled model that has evaluated data.
        y: A few labels.
        key: The metric's key in what `Model.evaluate(return_dict=True)` returns.

    Returns:
        True where more is better.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> def miss(y, prediction):
        ...     return keras.ops.abs(y - prediction)
        >>> model.compile(loss="mse", metrics=[miss])
        >>> x, y = np.zeros((3, 2)), np.array([[1.0], [2.0], [3.0]])
        >>> _ = model.evaluate(x, y, verbose=0)
        >>> higher_is_better(model, y, "miss")
        False
    """
    metric = _metric(model, key)
    known = metric_direction(metric) if metric is not None else None
    if key == "loss" or known is not None:
        return known == "up"
    right = [
        _as_prediction(np.asarray(labels), tuple(output.shape))
        for labels, output in zip(keras.tree.flatten(y), model.outputs, strict=True)
    ]
    best, worst = (
        score_of(model, y, pack_outputs(model, predictions), key)
        for predictions in (right, [_mirrored(one) for one in right])
    )
    if best != worst and np.isfinite([best, worst]).all():
        return best > worst
    return not any(part in key.lower() for part in BETTER_DOWN)


def reads_in_points(model: keras.Model, key: str) -> bool:
    """Whether a metric is a share, as accuracy is, that is told in points.

    Returns:
        True for accuracies and Keras's other shares, False for losses, errors and R².
    """
    metric = _metric(model, key)
    known = metric_direction(metric) if metric is not None else None
    if known is not None:
        return known == "up" and not isinstance(metric, NO_SHARES)
    return "acc" in key.lower()


def _metric(model: keras.Model, key: str) -> keras.metrics.Metric | None:
    # With several outputs a key is OUTPUT_NAME; the longest name that fits is the metric's.
    nested = [getattr(metric, "metrics", [metric]) for metric in model.metrics]
    fitting = [one for group in nested for one in group if f"_{key}".endswith(f"_{one.name}")]
    return max(fitting, key=lambda one: len(one.name), default=None)


def _as_prediction(labels: Array, shape: tuple[int | None, ...]) -> Array:
    units = shape[-1] or 1
    if labels.ndim == len(shape) - 1:
        if units > 1 and labels.dtype.kind in "iub":
            table = np.eye(units, dtype="float32")
            return np.asarray(table[labels.astype(int).clip(0, units - 1)])
        labels = labels[..., None]
    return labels.astype("float32")


def _mirrored(values: Array) -> Array:
    low, high = values.min(), values.max()
    mirrored: Array = low + high - values + (low == high)
    return mirrored.astype("float32")
