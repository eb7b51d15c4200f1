"""Population statistics and activations of a model, by compiled programs of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import keras
import numpy as np
from jax import lax

from normcraft.kinds import batch
from normcraft.surgery import keeps_statistics
from normcraft.surgery.probe import Probe
from normcraft.trainers.fused.feed import Chunk
from normcraft.trainers.fused.forms import Chosen, in_forms
from normcraft.trainers.fused.rows import Rows, take
from normcraft.trainers.trainer import activation_tensors

__all__ = ["Measures"]

Array = np.ndarray[Any, np.dtype[Any]]


class Measures:
    """What is measured on a trained model.

    Args:
        model: A built model.
        chosen: The forms that its layers are computed in.
        looped: Whether a program goes through all batches, else one for each.
    """

    def __init__(self, model: keras.Model, chosen: Chosen, *, looped: bool) -> None:
        self._model = model
        self._looped = looped
        self._probe = Probe(model, keeps_statistics, by_batch=True)
        self._links = self._probe.links()
        copies = self._probe.copies
        self._chosen = chosen + [(copies[id(x)], *rest) for x, *rest in chosen if id(x) in copies]
        tensors = activation_tensors(model)
        self._names = list(tensors)
        self._reader: Any = keras.Model(model.inputs, list(tensors.values())) if tensors else None
        self._of_batch = jax.jit(self._moments_of_batch)
        self._of_all = jax.jit(self._moments_of_all)
        self._read = jax.jit(self._all_activations)

    def reestimate(self, chunks: Iterable[Chunk]) -> bool:
        """Replaces the statistics of the model's batch normalization by those over given chunks.

        Args:
            chunks: Data of which the first are inputs.

        Returns:
            Whether the model has any.
        """
        if not self._probe.layers:
            return False
        values = [original.value for original, _ in self._links]
        parts: list[list[Any]] = []
        for data, rows in chunks:
            parts += self._moments(values, data[0], rows)
            del data  # let go of before the next chunk but one is made
        joined = [np.concatenate(each) for each in zip(*parts, strict=True)]
        for layer, found in zip(self._probe.layers, self._probe.combined(joined), strict=True):
            batch.set_statistics(layer, *found)
        return True

    def _moments(self, values: list[Any], x: Any, rows: Rows) -> list[list[Array]]:
        # Those of some batches each, with a row for every batch.
        if not self._looped:
            parts = [self._of_batch(values, x, some) for some in rows.each()]
            return list(jax.device_get(parts))
        found: list[list[Array]] = []
        if rows.steps:
            filled_up = jax.device_get(self._of_all(values, x, rows.batches))
            found.append([part[: rows.steps] for part in filled_up])
        if len(rows.rest):
            found.append(jax.device_get(self._of_batch(values, x, rows.rest)))
        return found

    def _moments_of_batch(self, values: list[Any], x: Any, some: Any) -> list[Any]:
        copies = [copy for _, copy in self._links]
        pairs = list(zip(copies, values, strict=True))
        with in_forms(self._chosen), keras.StatelessScope(state_mapping=pairs):
            return self._probe.traced(take(x, some))

    def _moments_of_all(self, values: list[Any], x: Any, batches: Any) -> list[Any]:
        def of_batch(some: Any) -> list[Any]:
            return self._moments_of_batch(values, x, some)

        return [part[:, 0] for part in lax.map(of_batch, batches)]

    def activations(self, x: Any) -> dict[str, Array]:
        """What comes out behind every activation.

        Args:
            x: A few inputs.

        Returns:
            Arrays by name of the layer.
        """
        if self._reader is None:
            return {}
        values = [variable.value for variable in self._model.variables]
        outputs = jax.device_get(self._read(values, x))
        return dict(zip(self._names, outputs, strict=True))

    def _all_activations(self, values: list[Any], x: Any) -> list[Any]:
        pairs = zip(self._model.variables, values, strict=True)
        with in_forms(self._chosen), keras.StatelessScope(state_mapping=list(pairs)):
            return list(keras.tree.flatten(self._reader(x, training=False)))
