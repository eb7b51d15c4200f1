"""RMS normalization: each position is divided by the root mean square of its channels."""

from __future__ import annotations

from typing import Any

import keras

from normcraft.kinds._kind import Shape

__all__ = ["ABSORBS_BIAS", "build", "inference_affine", "learned", "matches", "refusal"]

ABSORBS_BIAS = False


def build(axis: int, name: str, *, shape: Shape, **config: Any) -> keras.layers.Layer:
    """A plain `keras.layers.RMSNormalization` over the channel axis.

    Args:
        axis: Axis of the channels.
        name: Name of the layer.
        shape: Shape of what it normalizes, the batch axis first.
        **config: Further arguments of the layer.

    Returns:
        The layer, not yet built.

    Example:
        >>> type(build(-1, "n", shape=(None, 8))).__name__
        'RMSNormalization'
    """
    return keras.layers.RMSNormalization(axis=axis, name=name, **config)


def refusal(shape: Shape, axis: int) -> str | None:
    """A single channel would be its own root mean square, and Keras scales the last axis alone.

    Keras (3.15) does not broadcast the learned scale to another axis: `_rms_normalization` in its
    `ops/nn.py` fails, or where the sizes happen to fit scales the wrong one.

    Returns:
        The reason for tensors of one channel or of channels before the last axis, else None.

    Example:
        >>> refusal((None, 4, 8, 8), 1)
        "Keras's RMS normalization scales the last axis alone, and the channels are axis 1"
    """
    if axis % len(shape) != len(shape) - 1:
        keras = "Keras's RMS normalization scales the last axis alone"
        return f"{keras}, and the channels are axis {axis}"
    if shape[axis] == 1:
        return "RMS normalization of a single channel would keep its sign alone"
    return None


def matches(layer: Any) -> bool:
    """Whether a layer is of this kind.

    Returns:
        True for `RMSNormalization`.
    """
    return isinstance(layer, keras.layers.RMSNormalization)


def learned(layer: Any) -> tuple[Any, Any]:
    """The scale and the shift that a layer of this kind learns.

    Returns:
        Two variables of shape (channels,); None for the shift: it has none.
    """
    return layer.scale, None


def inference_affine(layer: Any) -> None:
    """Its statistics come from each input, so at inference it is no affine function.

    Returns:
        None.
    """
