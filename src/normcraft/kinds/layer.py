"""Layer normalization: each position is normalized over its channels."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["ABSORBS_BIAS", "build", "inference_affine", "matches", "refusal"]

ABSORBS_BIAS = False


def build(axis: int, name: str, *, channels: int, **config: Any) -> keras.layers.Layer:
    """A plain `keras.layers.LayerNormalization` over the channel axis.

    Args:
        axis: Axis of the channels.
        name: Name of the layer.
        channels: Number of channels.
        **config: Further arguments of the layer.

    Returns:
        The layer, not yet built.
    """
    return keras.layers.LayerNormalization(axis=axis, name=name, **config)


def refusal(shape: tuple[int | None, ...]) -> str | None:
    """It takes every shape.

    Returns:
        None.
    """
    return None


def matches(layer: Any) -> bool:
    """Whether a layer is of this kind.

    Returns:
        True for `LayerNormalization`.
    """
    return isinstance(layer, keras.layers.LayerNormalization)


def inference_affine(layer: Any) -> None:
    """Its statistics come from each input, so at inference it is no affine function.

    Returns:
        None.
    """
