"""Where a trial's data come from: the device that holds them, or a feed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np

from normcraft.records import TrialSpec
from normcraft.surgery.probe import BATCH_SIZE, even_batch_size, num_rows
from normcraft.trainers.fused.feed import Chunk, feed
from normcraft.trainers.fused.resident import is_held, put, resident
from normcraft.trainers.fused.rows import Rows
from normcraft.trainers.trial_data import TrialData

__all__ = ["Chunks", "Supply"]

Array = np.ndarray[Any, np.dtype[Any]]
Chunks = AbstractContextManager[Iterable[Chunk]]


class Supply:
    """What a trial trains on and is judged on, as contexts with chunks.

    Args:
        spec: The trial.
        data: Its data. A stream whose rows nobody has counted is passed over once.
    """

    def __init__(self, spec: TrialSpec, data: TrialData) -> None:
        self._spec = spec
        self._data = data
        self._held = is_held(data.dataset)
        self._stream = data.dataset.stream
        if self._stream is not None:
            self._steps = spec.steps_per_epoch or self._stream.num_batches(spec.batch_size)
            self._epochs = data.epochs(spec)
        elif data.sample_weights is None:
            self._weights: tuple[Any, ...] = ()
        else:
            self._weights = (put(data.sample_weights) if self._held else data.sample_weights,)

    def training(self, epoch: int) -> Chunks:
        """What an epoch trains on; those of a stream are asked for in their order.

        Args:
            epoch: Its number, from 0.

        Returns:
            Chunks of inputs, labels and perhaps weights of samples.
        """
        spec = self._spec
        if self._stream is not None:
            return feed(self._epoch_of_stream(), spec.batch_size, self._steps)
        return self._of("train", self._data.order(spec, epoch), spec.batch_size, *self._weights)

    def judging(self, part: str) -> Chunks:
        """What the trial is judged on.

        Args:
            part: `"validation"` or `"test"`.

        Returns:
            Chunks of inputs and labels.
        """
        order = self._data.validation if part == "validation" else None
        if order is not None:
            return self._of("train", order, even_batch_size(len(order)))
        size = num_rows(getattr(self._data.dataset, f"y_{part}"))
        return self._of(part, np.arange(size), even_batch_size(size))

    def inputs(self) -> Chunks:
        """All inputs that the trial trains on.

        Returns:
            Chunks with the inputs as the first of what they hold.
        """
        if self._stream is not None:
            batches = ((x,) for x in self._data.inputs(self._spec))
            return feed(batches, BATCH_SIZE, -(-self._data.num_samples // BATCH_SIZE))
        rows = self._data.rows
        return self._of("train", rows, even_batch_size(len(rows)))

    def _of(self, part: str, order: Array, batch_size: int, *weights: Any) -> Chunks:
        dataset = self._data.dataset
        if self._held:
            data = (*resident(dataset, part), *weights)
            return nullcontext([Chunk(data, Rows.of(order, batch_size))])
        arrays = getattr(dataset, f"x_{part}"), getattr(dataset, f"y_{part}"), *weights
        steps = -(-len(order) // batch_size)
        return feed(_batches(arrays, order, batch_size), batch_size, steps)

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
