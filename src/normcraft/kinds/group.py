"""Group normalization: each sample over groups of channels and all positions (Wu and He, 2018)."""

from __future__ import annotations

from math import gcd
from typing import Any

import keras

from normcraft.kinds import instance
from normcraft.kinds._kind import Shape, num_positions

__all__ = [
    "ABSORBS_BIAS",
    "build",
    "inference_affine",
    "learned",
    "matches",
    "num_groups",
    "refusal",
]

ABSORBS_BIAS = False
SMALLEST_GROUP = 16


def build(axis: int, name: str, *, shape: Shape, **config: Any) -> keras.layers.Layer:
    """A plain `keras.layers.GroupNormalization` with 32 groups, as in the paper, where they fit.

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
    groups = num_groups(shape, axis)
    return keras.layers.GroupNormalization(groups, axis=axis, name=name, **config)


def num_groups(shape: Shape, axis: int) -> int:
    """The most groups, 32 as in the paper or a part of it, that leave each enough to normalize.

    A group has at least two channels (of one it would be instance normalization) and, where that
    can be had, 16 values: positions times its channels.

    Args:
        shape: Shape of what is normalized, the batch axis first.
        axis: Axis of its channels.

    Returns:
        1, 2, 4, 8, 16 or 32.

    Example:
        >>> [num_groups((None, 8, 8, channels), -1) for channels in (64, 48, 32, 8, 3)]
        [32, 16, 16, 4, 1]
        >>> num_groups((None, 64), -1)
        4
    """
    channels, groups = shape[axis] or 1, gcd(32, shape[axis] or 1)
    positions = num_positions(shape, axis)
    while groups > 1 and (groups == channels or positions * channels / groups < SMALLEST_GROUP):
        groups //= 2
    return groups


def refusal(shape: Shape, axis: int) -> str | None:
    """Of one value its group keeps nothing, and of two only which is larger.

    Returns:
        The reason where groups have fewer than three values, else None.
    """
    values = num_positions(shape, axis) * (shape[axis] or 0) / num_groups(shape, axis)
    if values > 2:
        return None
    return f"groups of {values:.0f} values would keep their order alone"


def matches(layer: Any) -> bool:
    """Whether a layer is of this kind.

    Returns:
        True for `GroupNormalization` with fewer groups than channels.
    """
    return isinstance(layer, keras.layers.GroupNormalization) and not instance.matches(layer)


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
