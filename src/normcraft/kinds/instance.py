"""Instance normalization: each channel of each sample is normalized over its positions."""

from __future__ import annotations

from typing import Any

import keras

from normcraft.kinds._kind import Shape, num_positions

__all__ = ["ABSORBS_BIAS", "build", "inference_affine", "learned", "matches", "refusal"]

ABSORBS_BIAS = True


def build(axis: int, name: str, *, shape: Shape, **config: Any) -> keras.layers.Layer:
    """A `keras.layers.GroupNormalization` with one group a channel.

    Args:
        axis: Axis of the channels.
        name: Name of the layer.
        shape: Shape of what it normalizes, the batch axis first.
        **config: Further arguments of the layer.

    Returns:
        The layer, not yet built.

    Example:
        >>> type(build(-1, "n", shape=(None, 8))).__name__
        'GroupNormalization'
    """
    return keras.layers.GroupNormalization(-1, axis=axis, name=name, **config)


def refusal(shape: Shape, axis: int) -> str | None:
    """Without positions, every value would be its own mean.

    Returns:
        The reason for tensors of rank 2 and of a single position, else None.

    Example:
        >>> refusal((None, 8), -1)
        'instance normalization of rank-2 activations would return beta alone'
    """
    if num_positions(shape, axis) > 1:
        return None
    if len(shape) == 2:
        return "instance normalization of rank-2 activations would return beta alone"
    return "instance normalization of a single position would return beta alone"


def matches(layer: Any) -> bool:
    """Whether a layer is of this kind.

    Returns:
        True for `GroupNormalization` with one group a channel.
    """
    if not isinstance(layer, keras.layers.GroupNormalization):
        return False
    channels = layer.input_spec.axes[layer.axis] if layer.built else None
    return layer.groups in {-1, channels}


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
