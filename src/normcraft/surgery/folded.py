"""Writes a fold into the weights of a layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from normcraft.kinds import kind_of, load_kind
from normcraft.surgery.planning import Fold
from normcraft.surgery.planning.absorbing import TRANSPOSED, einsum_labels
from normcraft.surgery.planning.affine import Affine

__all__ = ["folded_bias", "write_fold"]

Array = np.ndarray[Any, np.dtype[Any]]
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)


def write_fold(fold: Fold, layer: Any, *, behind: bool = True) -> None:
    """Sets the weights of a layer to those with a fold in them, computed in float64.

    Args:
        fold: The fold.
        layer: The copy of the fold's layer, built.
        behind: False where something else takes the map behind the layer, and its bias.
    """
    own = fold.layer
    if kind_of(own):
        _write_normalization(fold, layer)
    elif isinstance(own, layers.Embedding):
        assert fold.behind is not None
        layer.embeddings.assign(_value(own.embeddings) * fold.behind.scale + fold.behind.shift)
    else:
        _write_kernels(fold, layer, behind=behind)
        bias = getattr(layer, "bias", None)
        if bias is not None:
            bias.assign(np.broadcast_to(folded_bias(fold), bias.shape))


def folded_bias(fold: Fold) -> Array:
    """The bias that a layer has with a fold in it: scale·(b + W*shift before) + shift behind.

    Args:
        fold: The fold.

    Returns:
        Float64, of a shape that broadcasts to that of the bias.
    """
    bias = getattr(fold.layer, "bias", None)
    value = _value(bias) if bias is not None else np.zeros(1)
    if fold.before and fold.before.shifts:
        value = value + _carried(fold.layer, fold.before.shift)
    return value * fold.behind.scale + fold.behind.shift if fold.behind else value


def _value(weight: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(weight), "float64")


def _write_kernels(fold: Fold, layer: Any, *, behind: bool) -> None:
    own = fold.layer
    separable = isinstance(own, SEPARABLE)
    first, last = ("depthwise_kernel", "pointwise_kernel") if separable else ("kernel", "kernel")
    values = {name: _value(getattr(own, name)) for name in (first, last)}
    if fold.before:
        values[first] = values[first] * _input_factors(own, fold.before.scale, values[first].shape)
    if fold.behind and behind:
        values[last] = values[last] * _output_factors(own, fold.behind.scale, values[last].shape)
    for name, value in values.items():
        getattr(layer, name).assign(value)


def _input_factors(layer: Any, scale: Array, shape: tuple[int, ...]) -> Array:
    # Kernels are (…, inputs, outputs); depthwise ones (…, inputs, multiplier); transposed ones
    # (…, outputs, inputs); grouped ones (…, inputs of a group, outputs).
    if isinstance(layer, TRANSPOSED):
        return scale
    if isinstance(layer, layers.EinsumDense):
        inputs, kernel, _ = einsum_labels(layer)
        return _along(inputs[-1], kernel, scale)
    groups = getattr(layer, "groups", 1)
    if isinstance(layer, DEPTHWISE + SEPARABLE) or groups == 1:
        return scale[:, None]
    return np.repeat(scale.reshape(groups, -1).T, shape[-1] // groups, axis=1)


def _output_factors(layer: Any, scale: Array, shape: tuple[int, ...]) -> Array:
    if isinstance(layer, DEPTHWISE):
        return scale.reshape(shape[-2:])
    if isinstance(layer, TRANSPOSED):
        return scale[:, None]
    if isinstance(layer, layers.EinsumDense):
        _, kernel, outputs = einsum_labels(layer)
        return _along(outputs[-1], kernel, scale)
    return scale


def _along(label: str, kernel: str, vector: Array) -> Array:
    return vector.reshape([-1 if one == label else 1 for one in kernel])


def _carried(layer: Any, shift: Array) -> Any:
    # What a constant of each input channel adds to each output channel.
    if isinstance(layer, layers.EinsumDense):
        return _carried_by_einsum(layer, shift)
    separable = isinstance(layer, SEPARABLE)
    kernel = _value(layer.depthwise_kernel if separable else layer.kernel)
    parts = kernel * _input_factors(layer, shift, kernel.shape)
    if isinstance(layer, TRANSPOSED):
        return parts.sum((*range(parts.ndim - 2), parts.ndim - 1))
    if not isinstance(layer, DEPTHWISE + SEPARABLE):
        return parts.sum(tuple(range(parts.ndim - 1)))
    depthwise = parts.sum(tuple(range(parts.ndim - 2))).reshape(-1)
    pointwise = _value(layer.pointwise_kernel) if separable else None
    return depthwise if pointwise is None else depthwise @ pointwise.reshape(len(depthwise), -1)


def _carried_by_einsum(layer: layers.EinsumDense, shift: Array) -> Any:
    inputs, kernel, outputs = einsum_labels(layer)
    own = "".join(label for label in outputs if label in kernel)
    parts = _value(layer.kernel) * _along(inputs[-1], kernel, shift)
    total = np.einsum(f"{kernel}->{own}", parts)
    sizes = dict(zip(own, total.shape, strict=True))
    start = min(map(outputs.index, layer.bias_axes or outputs[-1]))
    return total.reshape([sizes.get(label, 1) for label in outputs[start:]])


def _write_normalization(fold: Fold, layer: Any) -> None:
    kind: Any = load_kind(str(kind_of(fold.layer)))
    scale, shift = kind.inference_affine(fold.layer) or (np.ones(1), np.zeros(1))
    whole = fold.around(Affine(scale, shift))
    mean, variance = kind.statistics(fold.layer)
    layer.gamma.assign(whole.scale * np.sqrt(variance + layer.epsilon))
    layer.beta.assign(whole.shift + whole.scale * mean)
