"""Layer normalization: each position is normalized over its channels."""

from __future__ import annotations

from typing import Any

import keras

from normcraft.kinds._kind import Shape

__all__ = ["ABSORBS_BIAS", "build", "inference_affine", "learned", "matches", "refusal"]

ABSORBS_BIAS = False


def build(axis: int, name: str, *, shape: Shape, **config: Any) -> keras.layers.Layer:
    """A plain `keras.layers.LayerNormalization` over the channel axis.

    Args:
        axis: Axis of the channels.
        name: Name of the layer.
        shape: Shape of what it normalizes, the batch axis first.
        **config: Further arguments of the layer.

    Returns:
        The layer, not yet built.

    Example:
        >>> type(build(-1, "n", shape=(None, 8))).__name__
        'LayerNormalization'
    """
    return keras.layers.LayerNormalization(axis=axis, name=name, **config)


def refusal(shape: Shape, axis: int) -> str | None:
    """Of one channel it keeps nothing, and of two only which is larger.

    On PyTorch, Keras (3.15) computes it along the last axis whatever its axis is: that fails.

    Returns:
        The reason for tensors of fewer than three channels, and on PyTorch of channels before the
        last axis, else None.

    Example:
        >>> refusal((None, 2), -1)
        'layer normalization of 2 channels would keep their order alone'
    """
    last = axis % len(shape) == len(shape) - 1
    if not last and keras.backend.backend() == "torch":
        return f"Keras's layer normalization fails on PyTorch for channels in axis {axis}"
    channels = shape[axis] or 0
    if channels > 2:
        return None
    return f"layer normalization of {channels} channels would keep their order alone"


def matches(layer: Any) -> bool:
    """Whether a layer is of this kind.

    Returns:
        True for `LayerNormalization`.
    """
    return isinstance(layer, keras.layers.LayerNormalization)


def learned(layer: Any) -> tuple[Any, Any]:
    """The scale and the shift that a layer of this kind learns.

    Returns:
        Two variables of shape (channels,); None for what it was built without.
    """
    return layer.gamma, layer.beta


def inference_affine(layer: Any) -> None:
    """Its statistics come from each input, so at inference it is no affine function.

    Returns:
        None.
    """
