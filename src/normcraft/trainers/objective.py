"""What a model is trained for: loss, optimizer, and the metric that judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError, did_you_mean, unknown_name
from normcraft._core.keras_private import compile_arguments
from normcraft.data import mapping_text
from normcraft.graph import LayerGraph, activation_name
from normcraft.trainers.direction import higher_is_better, reads_in_points

__all__ = ["Objective", "check_labels", "ensure_compiled", "find_objective", "loss_name"]

Array = np.ndarray[Any, np.dtype[Any]]
# Losses for which one number a sample does not fit several output units.
CLASSES_OR_ALL = {
    "mean_squared_error",
    "mean_absolute_error",
    "sparse_categorical_crossentropy",
}


@dataclass(frozen=True)
class Objective:
    """The metric that judges.

    Attributes:
        metric: Its key in what `Model.evaluate(return_dict=True)` returns.
        higher_is_better: Its direction.
        as_fraction: Whether it is a fraction that reads well in points (accuracy and its like).
    """

    metric: str
    higher_is_better: bool
    as_fraction: bool


def ensure_compiled(
    model: keras.Model,
    y: Any,
    *,
    loss: str | None = None,
    metric: str | None = None,
    optimizer: str | None = None,
) -> None:
    """Compiles a model in place where it is not, from its output and the labels.

    Args:
        model: A copy of the user's model.
        y: Training labels.
        loss: Name of a Keras loss; None for the compiled one, else the one that fits the labels.
        metric: Name of a Keras metric, or of a compiled one; None for the compiled ones, else the
            one that fits. With several outputs the compiled ones stay: `find_objective` picks.
        optimizer: Name of a Keras optimizer; None for the compiled one, else Adam.
    """
    settings = compile_arguments(model)
    if settings.get("loss") is None and loss is None:
        loss, inferred_metric = _infer(model, y)
        settings.setdefault("metrics", None)
        metric = metric or (None if settings["metrics"] else inferred_metric)
    settings["optimizer"] = _known("optimizer", optimizer) or settings.get("optimizer") or "adam"
    if loss is not None:
        settings["loss"] = _known("loss", loss)
    if metric is not None and not _is_compiled(settings, metric, model):
        settings["metrics"] = [_known("metric", metric)]
    model.compile(**settings)
    model.optimizer.build(model.trainable_variables)


def _is_compiled(settings: dict[str, Any], metric: str, model: keras.Model) -> bool:
    kinds = (settings.get("metrics"), settings.get("weighted_metrics"))
    own = [one for kind in kinds for one in keras.tree.flatten(kind)]
    names = {getattr(one, "name", getattr(one, "__name__", one)) for one in own}
    return metric == "loss" or metric in names or len(model.outputs) > 1


def _known(what: str, name: str | None) -> Any:
    module = {"optimizer": keras.optimizers, "loss": keras.losses, "metric": keras.metrics}[what]
    if name is None or name in {"accuracy", "acc"}:
        return name
    try:
        return module.get(name)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"unknown {what}",
            received=repr(name),
            expected=f"the name of a Keras {what}",
            hint=did_you_mean(name.lower(), dict.fromkeys(map(str.lower, vars(module))))
            or ("see keras.losses" if what == "loss" else f"see keras.{what}s"),
        ) from error


def _infer(model: keras.Model, y: Any) -> tuple[Any, str]:
    """Loss and metric from the shape of the output and the labels."""
    if not isinstance(y, np.ndarray) or len(model.outputs) > 1:
        raise InputError(
            "the loss of a model with several outputs cannot be guessed",
            received=f"{len(model.outputs)} outputs and no compiled loss",
            hint="call model.compile(...) before comparing",
        )
    shape = tuple(model.outputs[0].shape)
    logits = _final_activation(model) not in {"softmax", "sigmoid"}
    integers = y.dtype.kind in "iub"
    if integers and y.ndim == len(shape) - 1 and (shape[-1] or 0) > 1:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=logits), "accuracy"
    if len(np.unique(y[:10000])) <= 2 and set(np.unique(y[:10000])) <= {0, 1}:
        if shape[-1] == 1:
            return keras.losses.BinaryCrossentropy(from_logits=logits), "binary_accuracy"
        if y.ndim == len(shape) and (y.sum(axis=-1) == 1).all():
            return keras.losses.CategoricalCrossentropy(from_logits=logits), "accuracy"
        return keras.losses.BinaryCrossentropy(from_logits=logits), "binary_accuracy"
    return keras.losses.MeanSquaredError(), "mean_absolute_error"


def _final_activation(model: keras.Model) -> str | None:
    graph = LayerGraph.read(model)
    return activation_name(graph.producer(graph.outputs[0]).layer)


def loss_name(model: keras.Model) -> str | None:
    """Name of the loss of a model.

    Args:
        model: Compiled or not.

    Returns:
        A Keras loss's name in full; None where the model is not compiled, or with several losses.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> loss_name(model)
        'mean_squared_error'
    """
    loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    name = getattr(loss, "name", getattr(loss, "__name__", None))
    return name if isinstance(name, str) else None


def check_labels(model: keras.Model, y: Any) -> None:
    """Refuses targets that the output cannot predict: some backends would train on NaN.

    Args:
        model: A model; with several outputs nothing is checked.
        y: Targets.

    Raises:
        InputError: A class label is negative or not below the number of output units, labels of a
            binary output are not between 0 and 1, or there is one number for several units.
    """  # noqa: DOC502 - raised further down
    if not isinstance(y, np.ndarray) or len(model.outputs) > 1:
        return
    shape = tuple(model.outputs[0].shape)
    units = shape[-1]
    if units == 1 and loss_name(model) == "binary_crossentropy":
        _check_range(y, 1, "0 to 1, as the model's loss is binary cross-entropy")
    elif units == 1 and _final_activation(model) == "sigmoid":
        _check_range(y, 1, "0 to 1, as the model ends in a sigmoid")
    elif y.ndim == len(shape) - 1 and units is not None and units > 1:
        if y.dtype.kind not in "iub":
            if loss_name(model) in CLASSES_OR_ALL:
                _refuse_numbers(y, units)
            return  # what a loss of one's own makes of a number, it knows
        _check_range(y, units - 1, f"0 to {units - 1}, as the output has {units} units")


def _check_range(y: Array, highest: int, expected: str) -> None:
    if y.min() >= 0 and y.max() <= highest:
        return
    values = np.unique(y)
    advice = "number the classes from 0, or give the model an output unit for each"
    if len(values) <= highest + 1:
        advice = f"--labels map (labels='map') numbers them: {mapping_text(values.tolist())}"
    raise InputError(
        "labels do not fit the model's output",
        received=f"labels from {y.min()} to {y.max()}",
        expected=expected,
        hint=advice,
    )


def _refuse_numbers(y: Array, units: int) -> None:
    raise InputError(
        "the targets are numbers, and the model tells classes apart",
        received=f"one {y.dtype} a sample for {units} output units",
        expected=f"class labels from 0 to {units - 1}, or a model with one unit",
        hint="--labels map (labels='map') makes a class of every value",
    )


def find_objective(model: keras.Model, x: Any, y: Any, *, metric: str | None = None) -> Objective:
    """The metric that judges: the one named, else the first compiled one, else the loss.

    One small batch is evaluated, which also shows that model and data fit.

    Args:
        model: A compiled model.
        x: A few inputs.
        y: Their labels.
        metric: Key or name of the metric; with several outputs its key, `OUTPUT_METRIC`.

    Returns:
        The objective.

    Raises:
        InputError: If the model cannot evaluate the data, or has no such metric, or that metric is
            no single number.
    """
    check_labels(model, y)
    try:
        values = model.evaluate(x, y, verbose=0, return_dict=True)
    except Exception as error:
        raise InputError(
            f"model {model.name!r} cannot be evaluated on this data",
            received=_first_line(error),
            expected="inputs and labels that fit the model, its loss and its metrics",
        ) from error
    key = _judging(model, values, metric)
    return Objective(
        key,
        higher_is_better=higher_is_better(model, y, key),
        as_fraction=reads_in_points(model, key),
    )


def _judging(model: keras.Model, values: dict[str, Any], metric: str | None) -> str:
    if metric is not None and metric not in values and len(model.outputs) > 1:
        raise unknown_name("metric", metric, list(values))
    keys = [key for key in values if key != "loss" and not key.endswith("_loss")]
    key = str(metric if metric in values else next(iter(keys), "loss"))
    if np.ndim(values[key]):
        raise InputError(
            f"metric {key!r} cannot judge",
            received=f"{np.size(values[key])} numbers",
            expected="one number",
            hint='average them, as average="macro" does in keras.metrics.F1Score',
        )
    return key


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
