"""Where a trial's data come from: the device that holds them, or a feed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np

from normcraft.surgery.probe import BATCH_SIZE, even_batch_size, num_rows
from normcraft.trainers.fused.feed import Chunk, feed
from normcraft.trainers.fused.resident import is_held, put, resident
from normcraft.trainers.fused.rows import Rows
from normcraft.trainers.trainer import Trials

__all__ = ["Chunks", "Supply"]

Array = np.ndarray[Any, np.dtype[Any]]
Chunks = AbstractContextManager[Iterable[Chunk]]


class Supply:
    """What trials train on and are judged on, as contexts with chunks.

    Args:
        trials: As many as a program trains: several of data that the device holds, else one. A
            stream whose rows nobody has counted is passed over once.
    """

    def __init__(self, trials: Trials) -> None:
        self._trials = trials
        spec, data = trials[0]
        self._spec = spec
        self._dataset = data.dataset
        self._held = is_held(data.dataset)
        self._stream = data.dataset.stream
        if self._stream is not None:
            self._steps = spec.steps_per_epoch or self._stream.num_batches(spec.batch_size)
            self._epochs = data.epochs(spec)
        elif data.sample_weights is None:
            self._weights: tuple[Any, ...] = ()
        else:
            self._weights = (put(data.sample_weights) if self._held else data.sample_weights,)

    @property
    def is_held(self) -> bool:
        """Whether the device holds all of it: each context has one chunk then."""
        return self._held and self._stream is None

    def training(self, epoch: int) -> Chunks:
        """What an epoch trains on; those of a stream are asked for in their order.

        Args:
            epoch: Its number, from 0.

        Returns:
            Chunks of inputs, labels and perhaps weights of samples.
        """
        size = self._spec.batch_size
        if self._stream is not None:
            return feed(self._epoch_of_stream(), size, self._steps)
        orders = [data.order(spec, epoch) for spec, data in self._trials]
        return self._of("train", orders, size, *self._weights)

    def judging(self, part: str) -> Chunks:
        """What the trials are judged on.

        Args:
            part: `"validation"` or `"test"`.

        Returns:
            Chunks of inputs and labels.
        """
        orders = [data.validation for _, data in self._trials]
        if part == "validation" and orders[0] is not None:
            return self._of("train", orders)
        size = num_rows(getattr(self._dataset, f"y_{part}"))
        return self._of(part, [np.arange(size)] * len(self._trials))

    def inputs(self) -> Chunks:
        """The inputs over which statistics are re-estimated.

        Returns:
            Chunks with the inputs as the first of what they hold.
        """
        if self._stream is not None:
            data = self._trials[0].data
            batches = ((x,) for x in data.inputs(self._spec))
            return feed(batches, BATCH_SIZE, -(-data.num_samples // BATCH_SIZE))
        return self._of("train", [data.input_rows(spec) for spec, data in self._trials])

    def _of(self, part: str, orders: list[Any], size: int | None = None, *weights: Any) -> Chunks:
        size = size or even_batch_size(len(orders[0]))
        if self._held:
            data = (*resident(self._dataset, part), *weights)
            return nullcontext([Chunk(data, Rows.of(np.stack(orders), size))])
        arrays = *(getattr(self._dataset, f"{xy}_{part}") for xy in "xy"), *weights
        (order,) = orders
        return feed(_batches(arrays, order, size), size, -(-len(order) // size))

    def _epoch_of_stream(self) -> Iterator[Any]:
        arguments = next(self._epochs)
        # Asked once more than is trained on, as `fit` asks: a pass comes to its end.
        for number, batch in enumerate(arguments["x"]):
            if number == arguments["steps_per_epoch"]:
                return
            yield batch


def _batches(arrays: Any, order: Array, batch_size: int) -> Iterator[Any]:
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield keras.tree.map_structure(lambda array, rows=rows: array[rows], arrays)
