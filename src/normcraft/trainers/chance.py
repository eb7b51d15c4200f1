"""What a model that learned nothing would score: the best constant prediction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np

from normcraft._core.keras_private import pack_outputs
from normcraft.trainers.scoring import score_of
from normcraft.trainers.trial_data import TrialData

__all__ = ["Constant", "chance_score", "constant_prediction", "constant_predictions"]

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
        The score on the validation data; None where it is not finite, or where the labels do not
        tell what the outputs mean (a mean and a variance for one number, say).
    """
    found = constant_predictions(model, data)
    if not found.is_best:
        return None
    score = score or partial(score_of, model)
    value = score(found.labels, found.predictions, metric)
    return value if np.isfinite(value) else None


class Constant(NamedTuple):
    """A prediction that is the same for all samples.

    Attributes:
        labels: The labels.
        predictions: Predictions in the structure and the shapes of the model's outputs.
        is_best: Whether none suits the labels better; else it is zero in some output.
    """

    labels: Any
    predictions: Any
    is_best: bool


def constant_predictions(model: keras.Model, data: TrialData) -> Constant:
    """The validation labels, and a prediction for each that is the same for all.

    Class frequencies for labels that are classes, the mean for targets that are numbers.

    Args:
        model: A compiled model.
        data: Data of a trial.

    Returns:
        Labels and predictions.
    """
    size = len(keras.tree.flatten(data.y_validation)[0])
    shapes = [tuple(output.shape) for output in model.outputs]
    labels = _by_output(model, data.labels)
    best = [
        constant_prediction(y, shape, logits=logits)
        for y, shape, logits in zip(labels, shapes, _from_logits(model), strict=True)
    ]
    constants = [
        np.zeros([n or 1 for n in shape[1:]]) if constant is None else constant
        for constant, shape in zip(best, shapes, strict=True)
    ]
    predictions = [np.broadcast_to(c, (size, *c.shape)).astype("float32") for c in constants]
    is_best = all(constant is not None for constant in best)
    return Constant(data.y_validation, pack_outputs(model, predictions), is_best)


def _by_output(model: keras.Model, y: Any) -> list[Array]:
    # Labels by name come in the order of the names, outputs in that of the model.
    if isinstance(y, dict) and not isinstance(pack_outputs(model, list(model.outputs)), dict):
        y = [y[name] for name in model.output_names]
    return [np.asarray(labels) for labels in keras.tree.flatten(y)]


def constant_prediction(
    y: Array, output_shape: tuple[int | None, ...], *, logits: bool
) -> Array | None:
    """The constant that suits labels best.

    Args:
        y: Training labels: classes (samples, …) or (samples, …, 1) for an output (samples, …,
            classes), or numbers of the output's own shape.
        output_shape: Shape of the model's output, batch axis included.
        logits: Whether the output is logits.

    Returns:
        One prediction in the output's shape, without the batch axis; None where the labels are of
        neither sort.

    Example:
        >>> constant_prediction(np.array([0, 1, 1, 1]), (None, 2), logits=False)
        array([0.25, 0.75])
    """
    units = output_shape[-1] or 1
    if y.ndim == len(output_shape) - 1:
        y = y[..., None]
    if y.shape[-1] == 1 < units and _are_classes(y, units):
        mean = np.bincount(y.reshape(-1).astype("int64"), minlength=units) / y.size
        mean = np.broadcast_to(mean, (*y.shape[1:-1], units))
    else:
        mean = np.asarray(y, "float64").mean(axis=0)
    if mean.ndim != len(output_shape) - 1 or any(
        size not in {None, own} for size, own in zip(output_shape[1:], mean.shape, strict=True)
    ):
        return None
    if not logits:
        return mean
    clipped = np.clip(mean, 1e-7, 1 - 1e-7)
    return np.log(clipped) - (np.log1p(-clipped) if units == 1 else 0.0)


def _are_classes(y: Array, units: int) -> bool:
    return bool(y.min() >= 0 and y.max() < units and (y == np.floor(y)).all())


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
