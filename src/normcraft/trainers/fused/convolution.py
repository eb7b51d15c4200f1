"""Forms of a convolution that are faster on a CPU than XLA's own.

XLA computes a convolution by a library call which runs on one thread inside of a loop, and its
gradients as convolutions of odd shapes. A product of matrices is fast everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import jax.numpy as jnp
import keras

__all__ = ["matrix_product", "sum_of_shifts"]

LARGEST = 1 << 28  # bytes of the patches of a batch


def matrix_product(layer: Any, shape: tuple[int, ...]) -> Callable[..., Any] | None:
    """A convolution as the product of a matrix of patches and the kernel.

    Args:
        layer: A convolution with a kernel of shape (*window, channels, filters).
        shape: Shape of its input, the batch first, channels last.

    Returns:
        What takes the place of `layer.convolution_op`; None where it has no such form: groups,
        channels first, or patches above 256 MiB.
    """
    if layer.groups != 1 or layer.data_format != "channels_last":
        return None
    windows = _Windows(layer, shape)
    channels, window = shape[-1], windows.size
    if 4 * shape[0] * windows.positions * window * channels > LARGEST:
        return None

    def convolve(inputs: Any, kernel: Any) -> Any:
        kernel = jnp.asarray(keras.ops.convert_to_tensor(kernel))
        parts = list(windows.of(jnp.asarray(inputs, kernel.dtype)))
        patches = parts[0] if window == 1 else jnp.concatenate(parts, axis=-1)
        rows = patches.reshape(-1, window * channels)
        return (rows @ kernel.reshape(window * channels, -1)).reshape(*patches.shape[:-1], -1)

    return convolve


def sum_of_shifts(layer: Any, shape: tuple[int, ...]) -> Callable[..., Any] | None:
    """A depthwise convolution as a sum of shifted inputs, each times its weights.

    Args:
        layer: A depthwise convolution, kernel of shape (*window, channels, multiplier).
        shape: Shape of its input, the batch first, channels last.

    Returns:
        What takes the place of `layer.call`; None where its channels come first.
    """
    if layer.data_format != "channels_last":
        return None
    windows = _Windows(layer, shape)

    def call(inputs: Any) -> Any:
        kernel = jnp.asarray(keras.ops.convert_to_tensor(layer.kernel))
        weights = kernel.reshape(-1, *kernel.shape[-2:])
        parts = windows.of(jnp.asarray(inputs, kernel.dtype))
        if layer.depth_multiplier == 1:
            result = sum(part * weight[:, 0] for part, weight in zip(parts, weights, strict=True))
        else:
            pairs = zip(parts, weights, strict=True)
            result = sum(part[..., None] * weight for part, weight in pairs)
            result = result.reshape(*result.shape[:-2], -1)
        result = result if layer.bias is None else result + jnp.asarray(layer.bias)
        return result if layer.activation is None else layer.activation(result)

    return call


class _Windows:
    """The windows of a convolution: for each place in the kernel the inputs that meet it."""

    def __init__(self, layer: Any, shape: tuple[int, ...]) -> None:
        self._sizes, self._strides = layer.kernel_size, layer.strides
        self._dilations = layer.dilation_rate
        self._pads = [
            _padding(layer.padding, *numbers)
            for numbers in zip(
                shape[1:-1], self._sizes, self._strides, self._dilations, strict=True
            )
        ]
        self._lengths = [
            (length + sum(pads) - (size - 1) * dilation - 1) // stride + 1
            for length, pads, size, stride, dilation in zip(
                shape[1:-1], self._pads, self._sizes, self._strides, self._dilations, strict=True
            )
        ]
        self.size = _product(self._sizes)
        self.positions = _product(self._lengths)

    def of(self, inputs: Any) -> Iterator[Any]:
        if any(map(any, self._pads)):
            inputs = jnp.pad(inputs, [(0, 0), *self._pads, (0, 0)])
        for offsets in product(*map(range, self._sizes)):
            begins = [o * d for o, d in zip(offsets, self._dilations, strict=True)]
            cut = tuple(
                slice(begin, begin + (length - 1) * stride + 1, stride)
                for begin, length, stride in zip(begins, self._lengths, self._strides, strict=True)
            )
            yield inputs[(slice(None), *cut)]


def _padding(padding: str, length: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    reach = (size - 1) * dilation
    if padding == "causal":
        return reach, 0
    if padding == "valid":
        return 0, 0
    total = max(0, (-(-length // stride) - 1) * stride + reach + 1 - length)
    return total // 2, total - total // 2


def _product(numbers: Any) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result
