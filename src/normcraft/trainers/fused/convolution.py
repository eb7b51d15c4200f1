"""Forms of a convolution that are faster on a CPU than XLA's own.

XLA computes a convolution well, but its gradients as convolutions of odd shapes, on one thread. The
value and both gradients each have several forms: the library's, and products of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import keras
from jax import lax

from normcraft.trainers.fused.device import on_cpu

__all__ = ["LARGEST", "Convolution", "sum_of_shifts", "whole_call"]

LARGEST = 1 << 28  # bytes of the patches of a batch
TURNED = 16  # parts of a batch, so that its turned patches stay in the cache
PUT_BACK = 4  # the same for what is put back in place
Part = Callable[[Any, Any], Any]


class Convolution:
    """A convolution whose value and two gradients are each computed in a form of their own.

    With patches P (positions × window·channels) of inputs x, kernel matrix W and gradient D of the
    result, these are P W, D Wᵀ put back in place, and Pᵀ D.

    Args:
        layer: A convolution with a kernel of shape (*window, channels, filters), channels last, in
            one group.
        shape: Shape of its input, the batch first.

    Attributes:
        parts: The forms of `"forward"` (x, W), `"inputs"` (W, D) and `"kernel"` (x, D) by name.
        shapes: Shapes of the two arrays that each takes.
        patches: Bytes that the patches of a batch take; on a CPU the value of a convolution with
            more than 256 MiB is left to the library.
    """

    def __init__(self, layer: Any, shape: tuple[int, ...]) -> None:
        self._windows = _Windows(layer, shape)
        self._shape = shape
        self.patches = self._windows.bytes_of_patches(shape)
        x, kernel = shape, (*layer.kernel_size, shape[-1], layer.filters)
        result = (*shape[:1], *self._windows.lengths, layer.filters)
        self.shapes = {"forward": (x, kernel), "inputs": (kernel, result), "kernel": (x, result)}
        self.parts: dict[str, dict[str, Part]] = {
            "forward": {"product": self._product},
            "inputs": {"product": self._put_back},
            "kernel": {"product": self._patches_by_gradient},
        }
        if self._windows.size > 1:
            self.parts["forward"] |= {"library": self._library, "padded library": self._padded}
            if set(layer.strides) == {1}:
                self.parts["inputs"]["library"] = self._turned_around
            if self.patches > LARGEST and on_cpu():
                del self.parts["forward"]["product"]
            if layer.compute_dtype == "float32":  # what adds up parts needs the digits
                self.parts["kernel"]["turned products"] = self._turned_products

    @staticmethod
    def can_be(layer: Any, shape: tuple[int, ...]) -> bool:
        """Whether a layer has such forms, with patches of at most 256 MiB.

        Returns:
            False for groups or channels first.
        """
        if layer.groups != 1 or layer.data_format != "channels_last":
            return False
        return _Windows(layer, shape).bytes_of_patches(shape) <= LARGEST

    def form(self, names: Mapping[str, str]) -> Callable[..., Any]:
        """What takes the place of `layer.convolution_op`.

        Args:
            names: A form for each part.

        Returns:
            A function of inputs and kernel.
        """
        forward, inputs, kernel = (self.parts[part][names[part]] for part in self.parts)
        convolve: Any = jax.custom_vjp(forward)
        convolve.defvjp(
            lambda x, w: (forward(x, w), (x, w)),
            lambda held, d: (inputs(held[1], d), kernel(held[0], d)),
        )

        def call(x: Any, w: Any) -> Any:
            w = jnp.asarray(keras.ops.convert_to_tensor(w))
            return convolve(jnp.asarray(x, w.dtype), w)

        return call

    def _patches(self, x: Any) -> Any:
        parts = list(self._windows.of(self._windows.padded(x)))
        patches = parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=-1)
        return patches.reshape(-1, len(parts) * x.shape[-1])

    def _product(self, x: Any, w: Any) -> Any:
        rows = self._patches(x) @ w.reshape(-1, w.shape[-1])
        return rows.reshape(len(x), *self._windows.lengths, -1)

    def _library(self, x: Any, w: Any) -> Any:
        return self._convolved(x, w, self._windows.pads, self._windows.strides)

    def _padded(self, x: Any, w: Any) -> Any:
        # With more padding XLA may take another routine, often the faster; the rest is cut off.
        *pads, (before, after) = self._windows.pads
        more = (before, after + self._windows.strides[-1])
        return self._convolved(x, w, [*pads, more], self._windows.strides)[..., :-1, :]

    def _turned_around(self, w: Any, d: Any) -> Any:
        # The gradient of a convolution without strides is one with the kernel the other way round.
        windows = self._windows
        reaches = [(n - 1) * step for n, step in zip(windows.sizes, windows.dilations, strict=True)]
        pads = [
            (reach - before, reach - after)
            for reach, (before, after) in zip(reaches, windows.pads, strict=True)
        ]
        turned = jnp.flip(w, tuple(range(w.ndim - 2))).swapaxes(-1, -2)
        return self._convolved(d, turned, pads, windows.strides)

    def _convolved(self, x: Any, w: Any, pads: Any, strides: Any) -> Any:
        axes = tuple(range(1, x.ndim - 1))
        places = (0, x.ndim - 1, *axes)
        return lax.conv_general_dilated(
            x,
            w,
            strides,
            pads,
            rhs_dilation=self._windows.dilations,
            dimension_numbers=lax.ConvDimensionNumbers(
                places, (x.ndim - 1, x.ndim - 2, *range(x.ndim - 2)), places
            ),
        )

    def _put_back(self, w: Any, d: Any) -> Any:
        # On a CPU in a loop over parts, which writes its result: a pooling in front of the layer
        # would have the sum of all places computed anew for each input of a window.
        def put(some: Any) -> Any:
            x = jax.ShapeDtypeStruct((len(some), *self._shape[1:]), d.dtype)
            return jax.linear_transpose(lambda x: self._product(x, w), x)(some)[0]

        parts = _in_parts(d, PUT_BACK if self._windows.size > 1 and on_cpu() else 1)
        return lax.map(put, parts).reshape(-1, *self._shape[1:])

    def _patches_by_gradient(self, x: Any, d: Any) -> Any:
        rows = self._patches(x).T @ d.reshape(-1, d.shape[-1])
        return rows.reshape(*self._windows.sizes, x.shape[-1], -1)

    def _turned_products(self, x: Any, d: Any) -> Any:
        # The patches are written as the product takes them, of few samples at a time so that they
        # stay in the cache, from inputs with channels in front. Those are written with a column
        # more: XLA would turn them anew for each place in the kernel.
        def add(total: Any, pair: Any) -> Any:
            some, gradient = pair
            turned = jnp.moveaxis(some, -1, 0)
            turned = jnp.pad(turned, [*[(0, 0)] * (turned.ndim - 1), (0, 1)])
            rows = jnp.stack(list(self._windows.of(lax.optimization_barrier(turned), before=2)))
            rows = rows.reshape(total.shape[0], -1)
            return total + rows @ gradient.reshape(-1, total.shape[1]), None

        shape = (self._windows.size * x.shape[-1], d.shape[-1])
        pairs = _in_parts(self._windows.padded(x), TURNED), _in_parts(d, TURNED)
        total, _ = lax.scan(add, jnp.zeros(shape, d.dtype), pairs)
        return total.reshape(*self._windows.sizes, x.shape[-1], -1)


def _in_parts(array: Any, most: int) -> Any:
    parts = next(n for n in range(most, 0, -1) if len(array) % n == 0)
    return array.reshape(parts, -1, *array.shape[1:])


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

    def convolve(inputs: Any, kernel: Any) -> Any:
        kernel = jnp.asarray(keras.ops.convert_to_tensor(kernel))
        weights = kernel.reshape(-1, *kernel.shape[-2:])
        parts = windows.of(windows.padded(jnp.asarray(inputs, kernel.dtype)))
        if layer.depth_multiplier == 1:
            return sum(part * weight[:, 0] for part, weight in zip(parts, weights, strict=True))
        pairs = zip(parts, weights, strict=True)
        result = sum(part[..., None] * weight for part, weight in pairs)
        return result.reshape(*result.shape[:-2], -1)

    return whole_call(layer, convolve)


def whole_call(layer: Any, convolve: Part) -> Callable[[Any], Any]:
    """What a convolution does to its inputs, its bias and activation included.

    Args:
        layer: The layer, channels last.
        convolve: From inputs and kernel to the result without both.

    Returns:
        What takes the place of `layer.call`.
    """

    def call(inputs: Any) -> Any:
        result = convolve(inputs, layer.kernel)
        result = result if layer.bias is None else result + jnp.asarray(layer.bias)
        return result if layer.activation is None else layer.activation(result)

    return call


class _Windows:
    """The windows of a convolution: for each place in the kernel the inputs that meet it."""

    def __init__(self, layer: Any, shape: tuple[int, ...]) -> None:
        self.sizes, self.strides = layer.kernel_size, layer.strides
        self.dilations = layer.dilation_rate
        self.pads = [
            _padding(layer.padding, *numbers)
            for numbers in zip(shape[1:-1], self.sizes, self.strides, self.dilations, strict=True)
        ]
        self.lengths = [
            (length + sum(pads) - (size - 1) * dilation - 1) // stride + 1
            for length, pads, size, stride, dilation in zip(
                shape[1:-1], self.pads, self.sizes, self.strides, self.dilations, strict=True
            )
        ]
        self.size = math.prod(self.sizes)
        self.positions = math.prod(self.lengths)

    def bytes_of_patches(self, shape: tuple[int, ...]) -> int:
        return int(4 * shape[0] * self.positions * self.size * shape[-1])

    def padded(self, inputs: Any) -> Any:
        if not any(map(any, self.pads)):
            return inputs
        return jnp.pad(inputs, [(0, 0), *self.pads, (0, 0)])

    def of(self, padded: Any, before: int = 1) -> Iterator[Any]:
        for offsets in product(*map(range, self.sizes)):
            begins = [o * d for o, d in zip(offsets, self.dilations, strict=True)]
            cut = tuple(
                slice(begin, begin + (length - 1) * stride + 1, stride)
                for begin, length, stride in zip(begins, self.lengths, self.strides, strict=True)
            )
            yield padded[(slice(None),) * before + cut]


def _padding(padding: str, length: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    reach = (size - 1) * dilation
    if padding == "causal":
        return reach, 0
    if padding == "valid":
        return 0, 0
    total = max(0, (-(-length // stride) - 1) * stride + reach + 1 - length)
    return total // 2, total - total // 2
