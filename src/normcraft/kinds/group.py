"""Group normalization: each sample over groups of channels and all positions (Wu and He, 2018)."""

from __future__ import annotations

from math import gcd
from typing import Any

import keras

from normcraft.kinds import instance
from normcraft.kinds._kind import num_positions

__all__ = ["ABSORBS_BIAS", "build", "inference_affine", "matches", "num_groups", "refusal"]

ABSORBS_BIAS = False


def build(axis: int, name: str, *, channels: int, **config: Any) -> keras.layers.Layer:
    """A plain `keras.layers.GroupNormalization` with 32 groups, as in the paper, where they fit.

    Args:
        axis: Axis of the channels.
        name: Name of the layer.
        channels: Number of channels.
        **config: Further arguments of the layer.

    Returns:
        The layer, not yet built.

    Example:
        >>> type(build(-1, "n", channels=8)).__name__
        'GroupNormalization'
    """
    return keras.layers.GroupNormalization(num_groups(channels), axis=axis, name=name, **config)


def num_groups(channels: int) -> int:
    """The most groups, 32 or a part of it, of equal size and at least two channels each.

    Groups of a single channel would be instance normalization.

    Args:
        channels: Number of channels.

    Returns:
        1, 2, 4, 8, 16 or 32.

    Example:
        >>> [num_groups(channels) for channels in (64, 48, 32, 8, 3)]
        [32, 16, 16, 4, 1]
    """
    groups = gcd(32, channels)
    return groups // 2 if 1 < groups == channels else groups


def refusal(shape: tuple[int | None, ...], axis: int) -> str | None:
    """Of one value its group keeps nothing, and of two only which is larger.

    Returns:
        The reason where groups have fewer than three values, else None.

    Example:
        >>> refusal((None, 64), -1), refusal((None, 28, 28, 64), -1)
        ('groups of 2 values would keep their order alone', None)
    """
    channels = shape[axis] or 0
    values = num_positions(shape, axis) * (channels // num_groups(channels))
    if values > 2:
        return None
    return f"groups of {values} values would keep their order alone"


def matches(layer: Any) -> bool:
    """Whether a layer is of this kind.

    Returns:
        True for `GroupNormalization` with fewer groups than channels.
    """
    return isinstance(layer, keras.layers.GroupNormalization) and not instance.matches(layer)


def inference_affine(layer: Any) -> None:
    """Its statistics come from each input, so at inference it is no affine function.

    Returns:
        None.
    """
