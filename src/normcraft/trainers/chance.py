"""What a model that learned nothing would score: the best constant prediction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from normcraft._core.keras_private import pack_outputs
from normcraft.trainers.scoring import score_of
from normcraft.trainers.trial_data import TrialData

__all__ = ["chance_score", "constant_prediction", "constant_predictions"]

Array = np.ndarray[Any, np.dtype[Any]]
Score = Callable[[Any, Any, str], float]


def chance_score(
    model: keras.Model, data: TrialData, metric: str, *, score: Score | None = None
) -> float | None:
    """Score of the constant prediction that the training labels suggest.

    A diverged trial counts as this score.

    Args:
        model: A compiled model; its own loss and metrics are used.
        data: Data of the trial.
        metric: Key of the metric, or `"loss"`.
        score: What says it of labels, predictions and metric; None for `score_of` of the model.

    Returns:
        The score on the validation data, or None where it is not finite.
    """
    score = score or partial(score_of, model)
    value = score(*constant_predictions(model, data), metric)
    return value if np.isfinite(value) else None


def constant_predictions(model: keras.Model, data: TrialData) -> tuple[Any, Any]:
    """The validation labels, and a prediction for each that is the same for all.

    Class frequencies for labels that are classes, the mean for targets that are numbers.

    Args:
        model: A compiled model.
        data: Data of a trial.

    Returns:
        Labels, and predictions in the structure of the model's outputs.
    """
    labels = keras.tree.flatten(data.labels)
    size = len(keras.tree.flatten(data.y_validation)[0])
    constants = [
        constant_prediction(np.asarray(y), tuple(output.shape), logits=logits)
        for y, output, logits in zip(labels, model.outputs, _from_logits(model), strict=True)
    ]
    predictions = [np.broadcast_to(c, (size, *c.shape)).astype("float32") for c in constants]
    return data.y_validation, pack_outputs(model, predictions)


def constant_prediction(y: Array, output_shape: tuple[int | None, ...], *, logits: bool) -> Array:
    """The constant that suits labels best.

    Args:
        y: Training labels: integers (samples, …) for an output (samples, …, classes), or of the
            output's own shape.
        output_shape: Shape of the model's output, batch axis included.
        logits: Whether the output is logits.

    Returns:
        One prediction, without the batch axis.

    Example:
        >>> constant_prediction(np.array([0, 1, 1, 1]), (None, 2), logits=False)
        array([0.25, 0.75])
    """
    units = output_shape[-1] or 1
    if y.dtype.kind in "iu" and y.ndim == len(output_shape) - 1 and units > 1:
        mean = np.bincount(y.reshape(-1).astype("int64"), minlength=units)[:units] / y.size
        mean = np.broadcast_to(mean, (*y.shape[1:], units))
    else:
        mean = np.asarray(y, "float64").reshape(len(y), -1).mean(axis=0)
        mean = (
            mean.reshape(*y.shape[1:], 1)
            if y.ndim == len(output_shape) - 1
            else mean.reshape(y.shape[1:])
        )
    if not logits:
        return mean
    clipped = np.clip(mean, 1e-7, 1 - 1e-7)
    return np.log(clipped) - (np.log1p(-clipped) if units == 1 else 0.0)


def _from_logits(model: keras.Model) -> list[bool]:
    # For each output, whether its loss takes logits.
    losses = model.loss
    if isinstance(losses, dict):
        packed = pack_outputs(model, list(model.outputs))
        named = isinstance(packed, dict) and set(losses) <= set(packed)
        losses = [losses.get(name) for name in (sorted(packed) if named else model.output_names)]
    if not isinstance(losses, list | tuple):
        losses = [losses] * len(model.outputs)
    return [bool(getattr(loss, "from_logits", False)) for loss in losses]
