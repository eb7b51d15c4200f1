"""Batch normalization: each channel is normalized over the batch and all positions."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from normcraft.kinds._kind import Shape
from normcraft.layers import GhostBatchNormalization

__all__ = [
    "ABSORBS_BIAS",
    "build",
    "inference_affine",
    "learned",
    "matches",
    "moving_statistics",
    "refusal",
    "set_statistics",
    "statistics",
]

ABSORBS_BIAS = True
Array = np.ndarray[Any, np.dtype[Any]]


def build(axis: int, name: str, *, shape: Shape, **config: Any) -> keras.layers.Layer:
    """A plain `keras.layers.BatchNormalization`.

    Args:
        axis: Axis of the channels.
        name: Name of the layer.
        shape: Shape of what it normalizes, the batch axis first.
        **config: Further arguments of the layer (`momentum`, `epsilon`, `dtype`, …).

    Returns:
        The layer, not yet built.

    Example:
        >>> type(build(-1, "n", shape=(None, 8))).__name__
        'BatchNormalization'
    """
    return keras.layers.BatchNormalization(axis=axis, name=name, **config)


def refusal(shape: Shape, axis: int) -> str | None:
    """Batch normalization takes every shape.

    Returns:
        None.
    """
    return None


def matches(layer: Any) -> bool:
    """Whether a layer is plain batch normalization.

    Returns:
        True for `BatchNormalization`, Keras's and ours, without `renorm` and virtual batches.
    """
    if not isinstance(layer, keras.layers.BatchNormalization):
        return False
    return not getattr(layer, "renorm", False) and not isinstance(layer, GhostBatchNormalization)


def statistics(layer: Any) -> tuple[Array, Array]:
    """Moving mean and (biased) moving variance.

    Returns:
        Two float64 arrays of shape (channels,).
    """
    mean, variance = layer.moving_mean, layer.moving_variance
    return tuple(keras.ops.convert_to_numpy(value).astype("float64") for value in (mean, variance))


def set_statistics(layer: Any, mean: Array, variance: Array) -> None:
    """Sets moving mean and (biased) moving variance.

    Args:
        layer: A built layer of this kind, or one with `renorm`.
        mean: Shape (channels,).
        variance: Shape (channels,).
    """
    for variable, value in moving_statistics(layer, mean, variance):
        variable.assign(value)


def moving_statistics(layer: Any, mean: Array, variance: Array) -> list[tuple[Any, Array]]:
    """The variables that hold statistics, with what they are to be.

    With `renorm` also the moving standard deviation √(variance + ε), which training goes on from;
    the averages that correct batches in training stay.

    Args:
        layer: A built layer of this kind, or one with `renorm`.
        mean: Shape (…, channels).
        variance: Shape (…, channels).

    Returns:
        Variables and values.
    """
    found = [(layer.moving_mean, mean), (layer.moving_variance, variance)]
    stddev = getattr(layer, "moving_stddev", None)
    return found if stddev is None else [*found, (stddev, np.sqrt(variance + layer.epsilon))]


def learned(layer: Any) -> tuple[Any, Any]:
    """The scale and the shift that a layer of this kind learns.

    Returns:
        Two variables of shape (channels,); None for what it was built without.
    """
    return layer.gamma, layer.beta


def inference_affine(layer: Any) -> tuple[Array, Array]:
    """The layer at inference as y = scale·x + shift.

    scale = gamma / √(variance + ε), shift = beta - mean·scale.

    Returns:
        Two float64 arrays of shape (channels,).

    Example:
        >>> layer = build(-1, "n", shape=(None, 2), epsilon=0.0)
        >>> layer.build((None, 2))
        >>> set_statistics(layer, np.array([1.0, 2.0]), np.array([4.0, 0.25]))
        >>> scale, shift = inference_affine(layer)
        >>> scale.tolist(), shift.tolist()
        ([0.5, 2.0], [-0.5, -4.0])
    """
    mean, variance = statistics(layer)
    gamma = 1.0 if layer.gamma is None else keras.ops.convert_to_numpy(layer.gamma)
    beta = 0.0 if layer.beta is None else keras.ops.convert_to_numpy(layer.beta)
    scale = np.asarray(gamma, "float64") / np.sqrt(variance + layer.epsilon)
    return scale, np.asarray(beta, "float64") - mean * scale
