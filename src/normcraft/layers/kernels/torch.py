"""PyTorch: its native batch normalization on a matrix of values by channels.

`keras.layers.BatchNormalization` takes seven passes there and the difference of two large squares
for the variance.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["moved", "normalize"]

Tensor = Any
# The native operation adds values up in a row. Of more than so many, far from zero, its mean loses
# digits, and with them the variance: the mean is taken once more, in slots.
LONGEST_SUM = 2**13
# Of so many the squares lose digits as well.
LONGEST_SQUARES = 2**16
SLOTS = 64


def normalize(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalizes by the batch along the last axis.

    Returns:
        `(y, mean, variance)`.
    """
    matrix = x.reshape(-1, x.shape[-1])
    form = _Long.apply if len(matrix) > LONGEST_SQUARES else _native
    y, mean, variance = form(matrix, gamma, beta, epsilon)
    if LONGEST_SUM < len(matrix) <= LONGEST_SQUARES:
        exact = _mean(matrix.detach())
        mean, variance = exact, variance - torch.square(mean - exact)
    return y.view(x.shape), mean, variance


def moved(before: Tensor, value: Tensor, momentum: Any) -> Tensor:
    """before·momentum + value·(1 − momentum) where that is finite, else `before`.

    Returns:
        The average.
    """
    after = torch.lerp(value.detach(), before, momentum)
    return torch.where(torch.isfinite(after), after, before)


def _native(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    mean, variance = x.new_zeros(x.shape[1]), x.new_ones(x.shape[1])
    # Averages that forget all at once are the statistics of the batch, by Bessel's correction.
    y, _, _ = torch.native_batch_norm(x, gamma, beta, mean, variance, True, 1.0, epsilon)
    if len(x) == 1:
        return y, mean, torch.zeros_like(variance)
    return y, mean, variance * ((len(x) - 1) / len(x))


class _Long(torch.autograd.Function):  # type: ignore[misc]
    """The same with statistics summed in many slots, for very many values."""

    @staticmethod
    def forward(
        context: Any, x: Tensor, gamma: Tensor | None, beta: Tensor | None, epsilon: float
    ) -> Any:
        mean = _mean(x)
        variance = _mean((x - mean).square_())
        y, _, _ = torch.native_batch_norm(x, gamma, beta, mean, variance, False, 0.0, epsilon)
        context.save_for_backward(x, gamma, mean, torch.rsqrt(variance + epsilon))
        context.epsilon = epsilon
        context.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Any) -> Any:
        x, gamma, mean, inverse = context.saved_tensors
        needed = list(context.needs_input_grad[:3])
        found = torch.ops.aten.native_batch_norm_backward(
            gradient, x, gamma, None, None, mean, inverse, True, context.epsilon, needed
        )
        return (*(g if need else None for g, need in zip(found, needed, strict=True)), None)


def _mean(x: Tensor) -> Tensor:
    even = len(x) // SLOTS * SLOTS
    slots = x[:even].reshape(even // SLOTS, -1).sum(0).reshape(SLOTS, -1)
    return (slots.sum(0) + x[even:].sum(0)) / len(x)
