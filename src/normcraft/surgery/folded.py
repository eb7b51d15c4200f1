"""Writes a fold into the weights of a layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from normcraft.surgery.planning import Fold
from normcraft.surgery.planning.folding import einsum_labels

__all__ = ["folded_bias", "scale_kernel"]

Array = np.ndarray[Any, np.dtype[Any]]
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)


def scale_kernel(fold: Fold, layer: keras.layers.Layer) -> None:
    """Multiplies the kernel of a layer by a fold's scale, computed in float64.

    Kernels have their output channels last; transposed convolutions before the inputs, depthwise
    ones as (inputs, multiplier), and an einsum where its equation says.

    Args:
        fold: The fold.
        layer: The copy of the fold's layer, built, with the original's weights.
    """
    kernel = layer.pointwise_kernel if isinstance(layer, SEPARABLE) else layer.kernel
    value = np.asarray(keras.ops.convert_to_numpy(kernel), "float64")
    kernel.assign(value * _factors(fold.scale, layer, value.shape))


def _factors(scale: Array, layer: Any, shape: tuple[int, ...]) -> Array:
    if isinstance(layer, DEPTHWISE):
        return scale.reshape(shape[-2:])
    if isinstance(layer, TRANSPOSED):
        return scale[:, None]
    if isinstance(layer, layers.EinsumDense):
        _, labels, outputs = einsum_labels(layer)
        position = labels.index(outputs[-1])
        return scale.reshape([-1 if axis == position else 1 for axis in range(len(shape))])
    return scale


def folded_bias(fold: Fold, layer: keras.layers.Layer) -> Array:
    """The bias that a layer has with a fold in it: scale·bias + shift.

    Args:
        fold: The fold.
        layer: The original layer, with or without bias.

    Returns:
        Float64, shape of the bias, (channels,) where there was none.
    """
    bias = getattr(layer, "bias", None)
    if bias is None:
        return fold.shift
    return np.asarray(keras.ops.convert_to_numpy(bias), "float64") * fold.scale + fold.shift
