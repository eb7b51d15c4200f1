"""Which layers can take an affine map into their weights: behind them, or on what they read.

Behind: scale·(W*x + b) + shift = (scale·W)*x + (scale·b + shift).
Before: W*(scale·x + shift) + b = (W·scale)*x + (b + W*shift), where W*shift is one value a channel:
not where zeros are padded, which the map never reached, unless the shift is zero (the border of a
folded convolution is the commonest mistake of such tools).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers

from normcraft.graph import Call, has_fused_activation, is_linear
from normcraft.kinds import kind_of, load_kind
from normcraft.surgery.planning.affine import Affine
from normcraft.surgery.planning.commuting import own_class

__all__ = [
    "TRANSPOSED",
    "absorbs",
    "einsum_labels",
    "normalization_map",
    "takes_before",
    "takes_behind",
]

Array = np.ndarray[Any, np.dtype[Any]]
Channels = tuple[Array, Array]
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)


def normalization_map(call: Call) -> Affine | str:
    """What a call of normalization computes at inference, as a map on its input.

    Args:
        call: A call of normalization.

    Returns:
        The map, or the reason why it is none.
    """
    kind = kind_of(call.layer)
    if kind is None:
        name = type(call.layer).__name__
        wrapped = isinstance(call.layer, layers.TimeDistributed)
        return "it stands inside TimeDistributed" if wrapped else f"{name} is no kind that folds"
    affine = load_kind(kind).inference_affine(call.layer)
    if affine is None:
        return f"{kind} normalization takes its statistics from each input"
    foreign = own_class(call.layer)
    if foreign:
        return f"it {foreign}"
    if call.training:
        return "training=True is baked into its call, so it works on the statistics of each batch"
    if not all(np.all(np.isfinite(value)) for value in affine):
        return "its weights or statistics are not finite"
    rank = len(call.inputs[0].shape)
    return Affine.of_channels(*affine, axis=call.layer.axis, rank=rank)


def absorbs(call: Call) -> bool:
    """Whether a call is of a layer that may take maps at all.

    Returns:
        True for Dense, EinsumDense, convolutions, Embedding, and normalization that is itself an
        affine map at inference.
    """
    layer = call.layer
    return is_linear(layer) or isinstance(layer, layers.Embedding) or _is_affine(call)


def takes_behind(call: Call, affine: Affine) -> Channels | str:
    """Factor and summand of each output channel by which a layer takes a map behind it.

    Args:
        call: A call of such a layer.
        affine: The map on its output.

    Returns:
        Two float64 arrays of shape (channels,), or the reason why it cannot.
    """
    layer, shape = call.layer, call.outputs[0].shape
    obstacle = _obstacle(call)
    if obstacle:
        return obstacle
    if has_fused_activation(layer):
        return f"{call.site!r} before it has an activation of its own"
    axis = _output_axis(call)
    channels = affine.channels(axis, int(shape[axis] or 1))
    if channels is None or not _has_own_channels(layer):
        return f"it does not work on the output channels of {call.site!r} before it"
    return channels


def takes_before(call: Call, affine: Affine) -> Channels | str:
    """Factor and summand of each input channel by which a layer takes a map on what it reads.

    Args:
        call: A call of such a layer.
        affine: The map on its input.

    Returns:
        Two float64 arrays of shape (channels,), or the reason why it cannot.
    """
    layer, shape = call.layer, call.inputs[0].shape
    obstacle = _obstacle(call)
    if obstacle or isinstance(layer, layers.Embedding):
        return obstacle or f"{call.site!r} behind it reads no channels"
    axis = _input_axis(call)
    channels = None if axis is None else affine.channels(axis, int(shape[axis] or 1))
    if channels is None:
        return f"it does not work on the input channels of {call.site!r} behind it"
    if affine.shifts and _meets_zeros(call):
        return f"{call.site!r} behind it pads with zeros, and the shift is not zero"
    return channels


def einsum_labels(layer: layers.EinsumDense) -> tuple[str, str, str]:
    """Labels of an EinsumDense layer's input, kernel and output.

    Returns:
        For example `("...a", "ab", "...b")`.
    """
    given, result = layer.equation.replace(" ", "").split("->")
    inputs, kernel = given.split(",")
    return inputs, kernel, result


def _is_affine(call: Call) -> bool:
    return kind_of(call.layer) is not None and isinstance(normalization_map(call), Affine)


def _obstacle(call: Call) -> str | None:
    foreign = own_class(call.layer)
    if foreign:
        return f"{call.site!r} {foreign}"
    if getattr(call.layer, "quantization_mode", None):
        return f"{call.site!r} is quantized, and its scales belong to its whole numbers"
    return None


def _output_axis(call: Call) -> int:
    rank = len(call.outputs[0].shape)
    if kind_of(call.layer):
        return int(call.layer.axis % rank)
    return 1 if getattr(call.layer, "data_format", None) == "channels_first" else rank - 1


def _has_own_channels(layer: Any) -> bool:
    # Whether the last output axis of an einsum is one of its kernel alone.
    if not isinstance(layer, layers.EinsumDense):
        return True
    inputs, kernel, outputs = einsum_labels(layer)
    biased = layer.bias_axes is None or outputs[-1] in layer.bias_axes
    return outputs[-1] in kernel and outputs[-1] not in inputs and biased


def _input_axis(call: Call) -> int | None:
    layer, rank = call.layer, len(call.inputs[0].shape)
    if kind_of(layer):
        return int(layer.axis % rank)
    if isinstance(layer, layers.EinsumDense) and not _sums_last(layer):
        return None
    return 1 if getattr(layer, "data_format", None) == "channels_first" else rank - 1


def _sums_last(layer: layers.EinsumDense) -> bool:
    # Whether the kernel sums over the last input axis, and the bias can hold what a shift adds.
    inputs, kernel, outputs = einsum_labels(layer)
    summed = {label for label in inputs if label.isalpha()} - set(outputs)
    held = set(layer.bias_axes or outputs[-1])
    added = set(kernel) & set(outputs)
    return inputs[-1] in summed and summed <= set(kernel) and added <= held


def _meets_zeros(call: Call) -> bool:
    """Whether a convolution also sums over zeros that nobody computed.

    Returns:
        True where some of its output positions see padding, or fewer inputs than others.
    """
    layer = call.layer
    if not hasattr(layer, "kernel_size") or all(size == 1 for size in layer.kernel_size):
        return isinstance(layer, TRANSPOSED) and any(step != 1 for step in layer.strides)
    if isinstance(layer, TRANSPOSED) or layer.padding == "causal":
        return True
    return layer.padding != "valid" and _pads(call)


def _pads(call: Call) -> bool:
    # "same" pads (⌈n/stride⌉ − 1)·stride + extent − n, where that is positive.
    layer, shape = call.layer, call.inputs[0].shape
    first = layer.data_format == "channels_first"
    sizes = [size for size in (shape[2:] if first else shape[1:-1]) if size is not None]
    extents = [
        (size - 1) * step + 1
        for size, step in zip(layer.kernel_size, layer.dilation_rate, strict=True)
    ]
    if len(sizes) < len(extents):
        return True
    needed = zip(sizes, layer.strides, extents, strict=True)
    return any((-(-n // step) - 1) * step + extent > n for n, step, extent in needed)
