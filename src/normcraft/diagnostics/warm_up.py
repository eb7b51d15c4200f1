"""How much of their initial values is left in moving averages."""

from __future__ import annotations

import math

import keras

__all__ = ["LITTLE", "initial_weight", "recorded_steps", "settled_step"]

LITTLE = 0.01


def initial_weight(momentum: float, steps: int) -> float:
    """The weight of the initial values in a moving average after some steps.

    Every step does average = momentum·average + (1 − momentum)·batch, without a correction for the
    beginning, so momentumˢᵗᵉᵖˢ of the initial value is left.

    Args:
        momentum: The layer's momentum, as Keras means it: the share that is kept.
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
        momentum: The layer's momentum.

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
