"""Which samples a program takes, batch by batch: indices, so that data stay where they are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import keras
import numpy as np

__all__ = ["Rows", "take"]

Array = np.ndarray[Any, np.dtype[Any]]


class Rows(NamedTuple):
    """Which samples are taken, batch by batch.

    Attributes:
        batches: Indices, shape (steps, trials, batch size).
        rest: Those of a last batch that is smaller, shape (trials, samples), perhaps none.
    """

    batches: Any
    rest: Any

    @classmethod
    def of(cls, order: Array, batch_size: int) -> Rows:
        """Cuts the orders of samples into batches.

        Args:
            order: Indices, shape (trials, samples).
            batch_size: Samples a batch.

        Returns:
            The rows.
        """
        trials, samples = order.shape
        whole = samples // batch_size * batch_size
        order = order.astype("int32")
        batches = order[:, :whole].reshape(trials, -1, batch_size)
        return cls(batches.swapaxes(0, 1), order[:, whole:])

    def each(self) -> Iterator[Any]:
        """Batch by batch.

        Yields:
            Indices of one batch, shape (trials, samples).
        """
        yield from self.batches
        if self.rest.size:
            yield self.rest


def take(arrays: Any, rows: Any) -> Any:
    """Rows of arrays.

    Args:
        arrays: Arrays in any structure.
        rows: Indices, shape (samples,).

    Returns:
        The same structure, each array with `samples` rows.
    """
    return keras.tree.map_structure(partial(jnp.take, indices=rows, axis=0), arrays)
