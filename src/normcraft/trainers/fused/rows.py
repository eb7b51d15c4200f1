"""Which samples a program takes, batch by batch: indices, so that data stay where they are."""

from __future__ import annotations

import math
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
        steps: How many of the batches are taken; the others fill up a shape.
    """

    batches: Any
    rest: Any
    steps: int

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
        steps = samples // batch_size
        order = order.astype("int32")
        batches = order[:, : steps * batch_size].reshape(trials, steps, batch_size)
        return cls(batches.swapaxes(0, 1), order[:, steps * batch_size :], steps)

    @classmethod
    def first(cls, samples: int, batch_size: int, capacity: int) -> Rows:
        """The first samples of a chunk of one trial that has room for more.

        Args:
            samples: How many.
            batch_size: Samples in a batch.
            capacity: Batches in a chunk.

        Returns:
            Rows of one shape for all chunks, but for a batch that is smaller.
        """
        order = np.arange(capacity * batch_size, dtype="int32")
        steps = samples // batch_size
        rest = order[steps * batch_size : samples]
        return cls(order.reshape(capacity, 1, batch_size), rest[None], steps)

    def parts(self, number: int) -> list[Array]:
        """The batches cut into parts of one shape, the last filled up with its last batch.

        Args:
            number: The most parts.

        Returns:
            Indices, each of shape (batches, trials, batch size).

        Example:
            >>> rows = Rows.of(np.arange(3)[None], 1)
            >>> [part.ravel().tolist() for part in rows.parts(2)]
            [[0, 1], [2, 2]]
        """
        each = math.ceil(len(self.batches) / number)
        cuts = range(0, len(self.batches), each)
        parts = [self.batches[start : start + each] for start in cuts]
        missing = each - len(parts[-1])
        parts[-1] = np.concatenate([parts[-1], np.repeat(parts[-1][-1:], missing, axis=0)])
        return parts

    def each(self) -> Iterator[Any]:
        """Batch by batch.

        Yields:
            Indices of one batch, shape (trials, samples).
        """
        yield from self.batches[: self.steps]
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
