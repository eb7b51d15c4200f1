"""Population statistics and activations of a model, by compiled programs of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import lax

from normcraft._core.cores import num_cores
from normcraft.surgery import keeps_statistics
from normcraft.surgery.probe import Probe
from normcraft.trainers.fused.device import on_cpu
from normcraft.trainers.fused.feed import Chunk
from normcraft.trainers.fused.forms import Chosen, in_forms
from normcraft.trainers.fused.lanes import apart, in_lanes
from normcraft.trainers.fused.rows import Rows, take
from normcraft.trainers.fused.shared import Needed, Shared
from normcraft.trainers.fused.strands import Stopped, side_by_side
from normcraft.trainers.fused.through import loops
from normcraft.trainers.trainer import Summaries, activation_tensors

__all__ = ["Measures"]

Array = np.ndarray[Any, np.dtype[Any]]
Values = Mapping[int, Any]  # by `id` of the variable, the trials in front


class Measures:
    """What is measured on a trained model, for several trials at once.

    Args:
        model: A built model.
        chosen: The forms that its layers are computed in.
        convolves: Whether convolutions are left to the library.
        lanes: How many trials.
    """

    def __init__(
        self, model: keras.Model, chosen: Chosen, *, convolves: bool, lanes: int = 1
    ) -> None:
        self._model = model
        self._looped, self._lanes = loops(convolves=convolves), lanes
        self._parts = num_cores() if on_cpu() else 1  # of a chunk
        self._probe = Probe(model, keeps_statistics, by_batch=True)
        self._links = self._probe.links()
        copies = self._probe.copies
        self._chosen = chosen + [(copies[id(x)], *rest) for x, *rest in chosen if id(x) in copies]
        tensors = activation_tensors(model)
        self._names = list(tensors)
        self._reader: Any = keras.Model(model.inputs, list(tensors.values())) if tensors else None
        self._moments = in_lanes(self._moments_of_batch, lanes, (0, None, 0))
        compiled = partial(Shared, alike=1, seldom=True, convolves=convolves)
        self._of_batch = compiled(self._moments)
        self._of_all = compiled(self._moments_of_all)
        self._read = compiled(in_lanes(self._all_activations, lanes, (0, 0)))

    @property
    def layers(self) -> list[Any]:
        """The layers of the model that have statistics."""
        return self._probe.layers

    def statistics(
        self, values: Values, chunks: Iterable[Chunk], *, at_once: int = 1
    ) -> Iterator[list[Any]]:
        """The statistics of each of `layers` over given data.

        Args:
            values: Of the model's variables.
            chunks: Data of which the first are inputs.
            at_once: How many parts of a chunk are gone through at a time.

        Yields:
            Of each trial the mean and variance for each layer.
        """
        held = self._of_probe(values)
        running = [self._probe.running() for _ in range(self._lanes)]
        for data, rows in chunks:
            for parts in self._of_chunk(held, data[0], rows, at_once):
                for lane, moments in enumerate(running):
                    moments.add([part[lane] for part in parts])
            del data  # let go of before the next chunk but one is made
        for moments in running:
            yield moments.moments

    def needed(self, values: Values, chunk: Chunk, x: Any) -> Iterator[Needed]:
        """The programs of `statistics` and `activations`.

        Args:
            values: Of the model's variables.
            chunk: Data of which the first are inputs.
            x: A few inputs of each trial.

        Yields:
            First the one that takes most batches.
        """
        if self.layers:
            held, ((inputs, *_), rows) = self._of_probe(values), chunk
            if self._looped and rows.steps:
                yield Needed(self._of_all, (held, inputs, rows.parts(self._parts)[0]))
            elif rows.steps:
                yield Needed(self._of_batch, (held, inputs, rows.batches[0]))
            if rows.rest.size:
                yield Needed(self._of_batch, (held, inputs, rows.rest))
        if self._reader is not None:
            yield Needed(self._read, (self._of_model(values), x))

    def _of_probe(self, values: Values) -> list[Any]:
        return [values[id(original)] for original, _ in self._links]

    def _of_model(self, values: Values) -> list[Any]:
        return [values[id(variable)] for variable in self._model.variables]

    def _of_chunk(self, values: list[Any], x: Any, rows: Rows, at_once: int) -> list[list[Array]]:
        # Those of some batches each, as arrays of shape (trials, batches, channels).
        def of_part(batches: Array, _: Stopped) -> list[Array]:
            return list(jax.device_get(self._of_all(values, x, batches)))

        if not self._looped:
            return list(jax.device_get([self._of_batch(values, x, some) for some in rows.each()]))
        found: list[list[Array]] = []
        if rows.steps:
            parts = side_by_side(of_part, rows.parts(self._parts), at_once=at_once)
            columns = (np.concatenate(column, axis=1) for column in zip(*parts, strict=True))
            found.append([column[:, : rows.steps] for column in columns])
        if rows.rest.size:
            found.append(jax.device_get(self._of_batch(values, x, rows.rest)))
        return found

    def _moments_of_batch(self, values: list[Any], x: Any, some: Any) -> list[Any]:
        # Forms read the variables of the layer that they were made for, which is not the copy.
        linked = zip(self._links, values, strict=True)
        pairs = [(variable, value) for link, value in linked for variable in link]
        with in_forms(self._chosen), keras.StatelessScope(state_mapping=pairs):
            return self._probe.traced(take(x, some))

    def _moments_of_all(self, values: list[Any], x: Any, batches: Any) -> list[Any]:
        def of_batch(some: Any) -> list[Any]:
            parts: list[Any] = self._moments(values, x, some)
            return parts

        return [part[:, :, 0].swapaxes(0, 1) for part in lax.map(of_batch, batches)]

    def activations(self, values: Values, x: Any) -> list[Summaries]:
        """What comes out behind every activation: mean, standard deviation and share of zeros.

        Args:
            values: Of the model's variables.
            x: A few inputs of each trial.

        Returns:
            Of each trial by name of the layer.
        """
        if self._reader is None:
            return [{}] * self._lanes
        found = apart(self._read(self._of_model(values), x), self._lanes)
        lanes = keras.tree.map_structure(float, found)
        return [dict(zip(self._names, lane, strict=True)) for lane in lanes]

    def _all_activations(self, values: list[Any], x: Any) -> list[Any]:
        pairs = zip(self._model.variables, values, strict=True)
        with in_forms(self._chosen), keras.StatelessScope(state_mapping=list(pairs)):
            return list(map(_summary, keras.tree.flatten(self._reader(x, training=False))))


def _summary(value: Any) -> dict[str, Any]:
    value = value.astype("float32")
    mean = _mean(value)
    std = jnp.sqrt(_mean(jnp.square(value - mean)))
    return {"mean": mean, "std": std, "zero": _mean((value == 0).astype("float32"))}


def _mean(value: Any) -> Any:
    # Axis by axis: one long sum would lose digits.
    for _ in range(value.ndim):
        value = value.mean(-1)
    return value
