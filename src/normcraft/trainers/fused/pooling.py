"""Forms of pooling that are faster on a CPU than XLA's window reductions and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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
        *parts, _ = _shifted(inputs, sizes)
        first = jnp.full(result.shape, len(parts), np.min_scalar_type(len(parts)))
        for number, part in reversed([*enumerate(parts)]):
            first = jnp.where(part == result, number, first)
        numbers = jnp.arange(len(parts) + 1).reshape(1, *chain(*((1, n) for n in sizes)), 1)
        is_first = _spread(first, sizes) == numbers.astype(first.dtype)
        return (_unblocked(jnp.where(is_first, _spread(gradient, sizes), 0), inputs.shape),)

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


def _spread(array: Any, sizes: tuple[int, ...]) -> Any:
    # A value a window, to be compared with blocks.
    return jnp.expand_dims(array, tuple(range(2, 2 * len(sizes) + 1, 2)))


def _unblocked(blocks: Any, shape: tuple[int, ...]) -> Any:
    # The inverse of `_blocks`; what no window covers is zero.
    pairs = zip(blocks.shape[1:-1:2], blocks.shape[2:-1:2], strict=True)
    covered = [n * size for n, size in pairs]
    pads = [(0, n - whole) for n, whole in zip(shape[1:-1], covered, strict=True)]
    return jnp.pad(blocks.reshape(shape[0], *covered, shape[-1]), [(0, 0), *pads, (0, 0)])
