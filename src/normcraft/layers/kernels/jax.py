"""JAX: one sweep for both statistics on a CPU.

XLA's CPU compiler makes a loop of its own of every sum over rows. A loop over blocks of rows adds
both sums up in vectors while the block is in the cache. Accelerators take XLA's own sums, and so
does the gradient: blocks were no faster there, and slower in the step of a network.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["normalize"]

Tensor = Any
BLOCK = 2048  # values that are added up at once
SAMPLE = 16  # rows whose mean is near enough to all rows' for nothing to cancel


def normalize(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalizes by the batch along the last axis.

    Returns:
        `(y, mean, variance)`.
    """
    matrix = x.reshape(-1, x.shape[-1])
    gamma = jnp.ones(x.shape[-1], x.dtype) if gamma is None else gamma
    beta = jnp.zeros(x.shape[-1], x.dtype) if beta is None else beta
    y, mean, variance = _normalized(matrix, gamma, beta, epsilon)
    return y.reshape(x.shape), mean, variance


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _normalized(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Any:
    return _forward(x, gamma, beta, epsilon)[0]


def _forward(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Any:
    # The mean of a few rows all over: sums of what differs from it lose no digits.
    near = jnp.mean(x[:: max(1, len(x) // SAMPLE)], 0)
    first, second = _moment_sums(x, near)
    offset = first / len(x)
    mean = near + offset
    variance = jnp.maximum(second / len(x) - jnp.square(offset), 0)
    inverse = jax.lax.rsqrt(variance + epsilon)
    scale = inverse * gamma
    # Subtracted first: far from zero x·scale − mean·scale would lose digits.
    y = (x - mean) * scale + beta
    return (y, mean, variance), (x, gamma, mean, inverse)


def _backward(epsilon: float, kept: Any, gradients: Any) -> Any:
    del epsilon
    x, gamma, mean, inverse = kept
    gradient = gradients[0]
    of_beta, product = jnp.sum(gradient, 0), jnp.sum(gradient * (x - mean), 0)
    of_gamma = product * inverse
    scale = gamma * inverse
    slope = scale * inverse * of_gamma / len(x)
    of_x = scale * gradient - slope * (x - mean) - scale * of_beta / len(x)
    return of_x, of_gamma, of_beta


_normalized.defvjp(_forward, _backward)


def _moment_sums(x: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over the rows of x − near and of its square."""
    rows, channels = x.shape
    height = _height(rows, channels)

    def of_all(x: Tensor) -> tuple[Tensor, Tensor]:
        centred = x - near
        return jnp.sum(centred, 0), jnp.sum(jnp.square(centred), 0)

    def in_blocks(x: Tensor) -> tuple[Tensor, Tensor]:
        blocks, wide = x.reshape(-1, height * channels), jnp.tile(near, height)

        def add(index: Any, sums: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            centred = blocks[index] - wide
            return sums[0] + centred, sums[1] + jnp.square(centred)

        nothing = jnp.zeros_like(wide)
        found = jax.lax.fori_loop(0, rows // height, add, (nothing, nothing))
        first, second = (jnp.sum(each.reshape(height, channels), 0) for each in found)
        return first, second

    if height * channels < BLOCK // 4:
        return of_all(x)
    found: tuple[Tensor, Tensor] = jax.lax.platform_dependent(x, cpu=in_blocks, default=of_all)
    return found


def _height(rows: int, channels: int) -> int:
    """Rows a block: the most that divide all and make no more values than `BLOCK`."""
    return max(h for h in range(1, max(1, BLOCK // channels) + 1) if rows % h == 0)
