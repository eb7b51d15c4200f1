"""Group normalization: each sample is normalized over groups of channels and all positions (Wu and He, 2018)."""

from __future__ import annotations

from math import gcd
from typing import Any

import keras

from normcraft.kinds import instance

__all__ = ["ABSORBS_BIAS", "build", "inference_affine", "matches", "refusal"]

ABSORBS_BIAS = False


def build(axis: int, name: str, *, channels: int, **config: Any) -> keras.layers.Layer:
    """A plain `keras.layers.GroupNormalization` with 32 groups, or the largest number below that divides 32 and the channels.

    Args:
        axis: Axis of the channels.
        name: Name of the layer.
        channels: Number of channels.
        **config: Further arguments of the layer.

    Returns:
        The layer, not yet built.
    """
    return keras.layers.GroupNormalization(gcd(32, channels), axis=axis, name=name, **config)


def refusal(shape: tuple[int | None, ...]) -> str | None:
    """It takes every shape.

    Returns:
        None.
    """
    return None


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
