"""The order in which an epoch visits the samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from normcraft._core.errors import InputError
from normcraft.data._random import generator

__all__ = ["batch_order"]


def batch_order(
    num_samples: int,
    *,
    batch_size: int,
    steps: int | None,
    seed: int,
    epoch: int,
    shuffle: bool = True,
) -> npt.NDArray[np.int64]:
    """The samples of one epoch in the order of training; arms of one seed share it.

    It depends on the arguments only: any worker can draw it, and a resumed trial goes on as before.

    Args:
        num_samples: Samples to order.
        batch_size: Samples a step; without `steps` it makes no difference.
        steps: Steps in the epoch. None visits every sample once, the last partial batch included.
            Where `steps * batch_size` is more than one permutation holds, further ones follow.
        seed: Trial seed.
        epoch: Number of the epoch, 0 for the first.
        shuffle: False visits the samples in their own order, from where the last epoch stopped.

    Returns:
        Indices of shape (samples,), or (steps * batch_size,).

    Raises:
        InputError: A count is below one, or the seed or epoch below zero.

    Example:
        >>> batch_order(5, batch_size=2, steps=None, seed=0, epoch=0, shuffle=False)
        array([0, 1, 2, 3, 4])
        >>> batch_order(5, batch_size=2, steps=2, seed=0, epoch=1, shuffle=False)
        array([4, 0, 1, 2])
    """
    counts = {"num_samples": num_samples, "batch_size": batch_size, "steps": steps}
    for name, count in counts.items():
        if count is not None and count < 1:
            raise InputError(f"{name} is too small", received=str(count), expected="1 or more")
    if epoch < 0:
        raise InputError("the epoch is below zero", received=str(epoch), expected="0 or more")
    length = num_samples if steps is None else steps * batch_size
    if not shuffle:
        start = epoch * length % num_samples
        return np.arange(start, start + length, dtype=np.int64) % num_samples
    random = generator("order", seed, epoch)
    rounds = -(-length // num_samples)
    orders = [random.permutation(num_samples) for _ in range(rounds)]
    return np.concatenate(orders).astype(np.int64, copy=False)[:length]
