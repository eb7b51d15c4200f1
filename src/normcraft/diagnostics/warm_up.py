"""How much of their initial values is left in moving averages."""

from __future__ import annotations

import math
from typing import Any

import keras

__all__ = [
    "LITTLE",
    "initial_weight",
    "keeps_averages",
    "recorded_steps",
    "settled_step",
    "weighing",
]

LITTLE = 0.01


def keeps_averages(layer: Any) -> bool:
    """Whether a layer keeps moving averages.

    Returns:
        True for batch normalization of every kind.
    """
    return isinstance(layer, keras.layers.BatchNormalization)


def weighing(layer: Any) -> float:
    """The momentum by which a layer's averages leave their initial values behind.

    Args:
        layer: Batch normalization, Keras's or ours.

    Returns:
        Its momentum; 0 where the first batch takes the place of the initial values, with
        `debiased=True` and with `momentum=None`.

    Example:
        >>> weighing(keras.layers.BatchNormalization(momentum=0.9))
        0.9
    """
    corrected = layer.momentum is None or getattr(layer, "debiased", False)
    return 0.0 if corrected else float(layer.momentum)


def initial_weight(momentum: float, steps: int) -> float:
    """The weight of the initial values in a moving average after some steps.

    Every step does average = momentum·average + (1 − momentum)·batch, without a correction for the
    beginning, so momentumˢᵗᵉᵖˢ of the initial value is left.

    Args:
        momentum: As `weighing` gives it: the share that is kept.
        steps: Training steps so far.

    Returns:
        A share from 0 to 1.

    Example:
        >>> round(initial_weight(0.99, 100), 3)
        0.366
    """
    return float(momentum) ** steps


def settled_step(momentum: float) -> int | None:
    """The step after which the initial values weigh less than 1%.

    Args:
        momentum: As `weighing` gives it.

    Returns:
        A number of steps; None where they never do.

    Example:
        >>> settled_step(0.99), settled_step(0.9), settled_step(1.0)
        (459, 44, None)
    """
    if momentum >= 1:
        return None
    if momentum <= 0:
        return 1
    steps = max(1, math.ceil(math.log(LITTLE) / math.log(momentum)))
    return steps if initial_weight(momentum, steps) < LITTLE else steps + 1


def recorded_steps(model: keras.Model) -> tuple[int | None, str]:
    """The training steps that a compiled model's optimizer has counted.

    Args:
        model: Any model.

    Returns:
        The number and where it is from; None and the reason where nothing was counted.

    Example:
        >>> recorded_steps(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
        (None, 'the model is not compiled, so no steps are recorded; give them by --steps')
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return None, "the model is not compiled, so no steps are recorded; give them by --steps"
    return int(keras.ops.convert_to_numpy(optimizer.iterations)), "counted by the optimizer"
