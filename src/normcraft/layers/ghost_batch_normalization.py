"""Batch normalization by parts of the batch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from normcraft._core.errors import InputError
from normcraft._core.keras_private import time_distributed_call
from normcraft.layers.batch_normalization import BatchNormalization, Found
from normcraft.layers.kernels import plain

__all__ = ["GhostBatchNormalization"]

Tensor = Any


@keras.saving.register_keras_serializable(package="normcraft")
class GhostBatchNormalization(BatchNormalization):
    """Batch normalization in which each `virtual_batch_size` samples are normalized by themselves.

    A large batch then keeps the noise of small ones. The samples are taken in their order; where
    the virtual batch does not divide the batch, the last part is smaller. The moving averages
    follow the mean over the parts of their means and (biased) variances, each part weighing as many
    values as it has. With a batch that is no larger than the virtual one it is
    `BatchNormalization`.

    Args:
        virtual_batch_size: Samples a part, 1 or more.
        *args: Arguments of `BatchNormalization`.
        **settings: Arguments of `BatchNormalization`.

    Raises:
        InputError: For a virtual batch size below 1.

    Example:
        >>> layer = GhostBatchNormalization(2, epsilon=0.0)
        >>> y = layer(ops.array([[1.0], [3.0], [10.0], [30.0]]), training=True)
        >>> ops.convert_to_numpy(y).ravel().tolist()
        [-1.0, 1.0, -1.0, 1.0]

    Source: Hoffer, Hubara and Soudry (2017), "Train longer, generalize better", algorithm 1.
    """

    def __init__(self, virtual_batch_size: int, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        if not hasattr(virtual_batch_size, "__index__") or virtual_batch_size < 1:
            raise InputError(
                "`virtual_batch_size` must be a number of samples",
                received=repr(virtual_batch_size),
                expected="an integer of 1 or more",
            )
        self.virtual_batch_size = int(virtual_batch_size)

    def _normalized(
        self, x: Tensor, mask: Tensor | None, gamma: Tensor | None, beta: Tensor | None
    ) -> Found:
        self._check_place()
        if x.shape[0] is not None and x.shape[0] <= self.virtual_batch_size:
            return super()._normalized(x, mask, gamma, beta)
        counts = ops.ones_like(x) if mask is None else ops.broadcast_to(mask, ops.shape(x))
        parts, counted = self._parts(x), self._parts(ops.cast(counts, x.dtype))
        kept = (0, self.axis % len(x.shape) + 1)
        count, mean, variance = plain.moments(parts, counted, kept=kept)
        y = (parts - mean) * ops.rsqrt(variance + self.epsilon)
        y = ops.reshape(y, (-1, *ops.shape(x)[1:]))[: ops.shape(x)[0]]
        y = plain.affine(y, gamma, beta, axis=self.axis)
        return y, *_together(count, mean, variance)

    def _parts(self, x: Tensor) -> Tensor:
        """The batch as virtual batches: a new first axis, zeros where the last one is not full."""
        rows, size = ops.shape(x)[0], self.virtual_batch_size
        missing = -rows % size
        x = ops.pad(x, [(0, missing), *[(0, 0)] * (len(x.shape) - 1)])
        return ops.reshape(x, (-1, size, *ops.shape(x)[1:]))

    def _check_place(self) -> None:
        wrapped = time_distributed_call(self) is not None
        if wrapped or self.synchronized:
            raise InputError(
                f"layer {self.name!r} takes parts of one batch on one device",
                received="a call by TimeDistributed" if wrapped else "synchronized=True",
                expected="the layer by itself",
                hint="without TimeDistributed it normalizes every step alike",
            )

    def get_config(self) -> dict[str, Any]:
        """The configuration of `BatchNormalization` and the size of the virtual batch.

        Returns:
            Arguments of the constructor.
        """
        return super().get_config() | {"virtual_batch_size": self.virtual_batch_size}


def _together(count: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, ...]:
    """Of all parts, each weighing as many values as it has."""
    total = ops.sum(count, 0)
    weight = count / ops.maximum(total, 1)
    return plain.rows((total, ops.sum(weight * mean, 0), ops.sum(weight * variance, 0)))
