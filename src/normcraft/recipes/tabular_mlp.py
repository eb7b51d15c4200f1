"""A perceptron on a table whose columns differ in scale, as age and salary do (seed 003)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from normcraft._core.errors import InputError, unknown_name
from normcraft.placements import Placement
from normcraft.recipes._build import AS_SEED, finish, seed_kind, seeded
from normcraft.recipes._sizes import check_classes, check_size, check_sizes

__all__ = ["build"]

INPUTS = ("raw", "normalization", "batch")


def build(
    placement: str | Placement = AS_SEED,
    *,
    inputs: str = "raw",
    features: int = 2,
    classes: int = 2,
    targets: int | None = None,
    units: tuple[int, ...] = (32, 32),
    adapt_to: Any = None,
    kind: str = "batch",
) -> keras.Model:
    """Dense layers with ReLU over raw, standardized or batch-normalized columns.

    `inputs` says what happens to the columns first:
    1. `"raw"`: nothing; large columns drown small ones.
    2. `"normalization"`: `keras.layers.Normalization` with the mean and the (biased) variance of
    `adapt_to`, fixed from then on: scaled beforehand, and the scaling travels with the model. It is
    preprocessing: no placement removes it.
    3. `"batch"`: batch normalization, the placement `"input"`.

    A softmax tells classes apart (integer labels), or, with `targets`, linear outputs predict
    numbers (mean squared error, judged by the mean absolute error). Adam.

    Args:
        placement: `"as_seed"`, or where normalization goes instead; it also replaces that of
            `inputs="batch"`.
        inputs: `"raw"`, `"normalization"` or `"batch"`.
        features: Number of columns.
        classes: Number of classes.
        targets: Number of targets a sample to predict, in place of classes.
        units: Widths of the hidden layers.
        adapt_to: Training inputs of shape (samples, features) for `inputs="normalization"`, and
            required there: a layer that was never adapted does nothing, silently.
        kind: Kind of normalization that placements insert.

    Returns:
        The compiled model.

    Raises:
        InputError: `adapt_to` is missing, is given in vain, or is no such array.

    Example:
        >>> people = np.array([[25.0, 30_000.0], [35.0, 70_000.0]])
        >>> model = build(inputs="normalization", adapt_to=people)
        >>> keras.ops.convert_to_numpy(model.layers[0](people)).tolist()
        [[-1.0, -1.0], [1.0, 1.0]]
    """  # noqa: DOC501 - ruff does not see through unknown_name
    if inputs not in INPUTS:
        raise unknown_name("inputs", inputs, INPUTS)
    check_size("features", features)
    outputs = check_classes(classes) if targets is None else check_size("targets", targets)
    widths = check_sizes("units", units)
    if inputs != "normalization" and adapt_to is not None:
        raise InputError(
            "adapt_to is given but not used",
            received=f"inputs={inputs!r}",
            expected="inputs='normalization'",
        )
    hidden = [
        layers.Dense(width, activation="relu", name=f"dense{number}")
        for number, width in enumerate(widths, 1)
    ]
    model = keras.Sequential(
        [
            keras.Input((features,), name="columns"),
            *([_fixed_normalization(adapt_to, features)] if inputs == "normalization" else []),
            *hidden,
            layers.Dense(
                outputs,
                activation="softmax" if targets is None else None,
                name=f"dense{len(widths) + 1}",
            ),
        ],
        name="tabular_mlp",
    )
    if targets is None:
        loss, metric = "sparse_categorical_crossentropy", "accuracy"
    else:
        loss, metric = "mean_squared_error", "mean_absolute_error"
    model.compile(optimizer="adam", loss=loss, metrics=[metric])
    if inputs == "batch":
        model = seeded(model, "input", seed_kind(placement, kind))
    return finish(model, placement, kind)


def _fixed_normalization(adapt_to: Any, features: int) -> keras.layers.Layer:
    # Mean and variance are given rather than adapted, so that they stand in the configuration and
    # whatever copies the layer keeps them.
    if adapt_to is None:
        raise InputError(
            "inputs='normalization' needs the data whose mean and variance it uses",
            received="adapt_to=None",
            expected=f"training inputs of shape (samples, {features})",
            hint="give adapt_to=x_train",
        )
    try:
        data = np.asarray(adapt_to, "float64")
    except (TypeError, ValueError) as error:
        raise InputError(
            "adapt_to cannot be read as numbers",
            received=type(adapt_to).__name__,
            expected=f"an array of shape (samples, {features})",
        ) from error
    if data.ndim != 2 or data.shape[1] != features or not len(data):
        raise InputError(
            "adapt_to does not fit the model",
            received=f"shape {data.shape}",
            expected=f"(samples, {features})",
            hint="set features= to the number of columns",
        )
    if not np.isfinite(data).all():
        raise InputError(
            "adapt_to holds values that are not finite",
            received=f"{np.count_nonzero(~np.isfinite(data))} of them",
            expected="finite numbers",
        )
    mean, variance = data.mean(axis=0), data.var(axis=0)
    return layers.Normalization(
        mean=mean.tolist(), variance=variance.tolist(), name="normalization"
    )
