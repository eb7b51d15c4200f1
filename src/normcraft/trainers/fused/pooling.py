"""Forms of pooling that are faster on a CPU than XLA's window reductions and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["by_comparison", "by_mean"]


def by_comparison(layer: Any, shape: tuple[int, ...]) -> Callable[..., Any] | None:
    """Max pooling as a maximum over shifted inputs; its gradient goes to the first that equals it.

    That is where XLA's gradient goes: to the first largest value of a window, row by row.

    Args:
        layer: A max pooling layer.
        shape: Shape of its input, the batch first, channels last.

    Returns:
        What takes the place of `layer.call`; None where windows overlap or are padded.
    """
    if not _are_blocks(layer, shape):
        return None
    sizes = tuple(layer.pool_size)

    def forward(inputs: Any) -> tuple[Any, Any]:
        result = None
        for part in _shifted(inputs, sizes):
            result = part if result is None else jnp.maximum(result, part)
        return result, (inputs, result)

    def backward(kept: tuple[Any, Any], gradient: Any) -> tuple[Any]:
        inputs, result = kept
        free, parts = jnp.ones(result.shape, bool), []
        for part in _shifted(inputs, sizes):
            first = free & (part == result)
            parts.append(jnp.where(first, gradient, 0))
            free = free & ~first
        return (_unshifted(parts, sizes, inputs.shape),)

    pool: Any = jax.custom_vjp(lambda inputs: forward(inputs)[0])
    pool.defvjp(forward, backward)

    def call(inputs: Any) -> Any:
        return pool(jnp.asarray(inputs))

    return call


def by_mean(layer: Any, shape: tuple[int, ...]) -> Callable[..., Any] | None:
    """Average pooling as a mean over the axes of blocks.

    Args:
        layer: An average pooling layer.
        shape: Shape of its input, the batch first, channels last.

    Returns:
        What takes the place of `layer.call`; None where windows overlap or are padded.
    """
    if not _are_blocks(layer, shape):
        return None
    sizes = tuple(layer.pool_size)

    def call(inputs: Any) -> Any:
        blocks = _blocks(inputs, sizes)
        return blocks.mean(axis=tuple(range(2, 2 * len(sizes) + 1, 2)))

    return call


def _are_blocks(layer: Any, shape: tuple[int, ...]) -> bool:
    sizes = tuple(layer.pool_size)
    whole = all(n % size == 0 for n, size in zip(shape[1:-1], sizes, strict=True))
    enough = all(n >= size for n, size in zip(shape[1:-1], sizes, strict=True))
    return (
        layer.data_format == "channels_last"
        and tuple(layer.strides) == sizes
        and (whole or layer.padding == "valid")
        and enough
    )


def _cropped(inputs: Any, sizes: tuple[int, ...]) -> Any:
    cut = (slice(0, n // size * size) for n, size in zip(inputs.shape[1:-1], sizes, strict=True))
    return inputs[(slice(None), *cut)]


def _blocks(inputs: Any, sizes: tuple[int, ...]) -> Any:
    # (batch, rows, size, columns, size, channels), and so for any number of axes.
    inputs = _cropped(jnp.asarray(inputs), sizes)
    pairs = ((n // size, size) for n, size in zip(inputs.shape[1:-1], sizes, strict=True))
    return inputs.reshape(len(inputs), *(n for pair in pairs for n in pair), inputs.shape[-1])


def _shifted(inputs: Any, sizes: tuple[int, ...]) -> list[Any]:
    blocks = _blocks(inputs, sizes)
    parts = []
    for offsets in product(*map(range, sizes)):
        index: list[Any] = [slice(None)]
        for offset in offsets:
            index += [slice(None), offset]
        parts.append(blocks[tuple(index)])
    return parts


def _unshifted(parts: list[Any], sizes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    # The inverse of `_shifted`; what no window covers is zero.
    whole = [n // size * size for n, size in zip(shape[1:-1], sizes, strict=True)]
    for axis in reversed(range(len(sizes))):
        size = sizes[axis]
        joined = []
        for start in range(0, len(parts), size):
            stacked = jnp.stack(parts[start : start + size], axis=axis + 2)
            lengths = (*stacked.shape[: axis + 1], -1, *stacked.shape[axis + 3 :])
            joined.append(stacked.reshape(lengths))
        parts = joined
    pads = [(0, n - covered) for n, covered in zip(shape[1:-1], whole, strict=True)]
    return jnp.pad(parts[0], [(0, 0), *pads, (0, 0)])
