"""Inputs in batches, from whatever holds them: arrays, or data that can only be passed over."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft._core.keras_private import graph_inputs, graph_outputs, output_structure
from normcraft.data import Dataset, as_arrays, check_array, find_source
from normcraft.graph import functional_graph
from normcraft.surgery.probe import BATCH_SIZE, even_batch_size, even_batches, num_rows
from normcraft.surgery.source_inputs import source_inputs

__all__ = ["InputBatches"]

FORMS = "batches are inputs, (x, y) or (x, y, weights); several inputs are one tuple or dictionary"


class InputBatches:
    """The inputs of a model in batches, as often as they are asked for.

    Arrays are cut into batches as alike as can be. What can only be passed over is cut anew,
    however it was batched.

    Args:
        x: Arrays as `Model.predict` takes them, or data as `source_inputs` takes them.
        model: A built model that they have to fit.
        batch_size: Most samples in a batch; None for 256.
        num_batches: How many batches are taken; None for all.

    Attributes:
        repeatable: Whether they can be passed over more than once.
        name: What they are called in an error.

    Raises:
        InputError: If the arguments or the data cannot be used; also in a pass.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> [len(batch) for batch in InputBatches(np.zeros((600, 2)), model)]
        [200, 200, 200]
    """

    def __init__(
        self,
        x: Any,
        model: keras.Model,
        *,
        batch_size: int | None = None,
        num_batches: int | None = None,
    ) -> None:
        _check_counts(batch_size=batch_size, num_batches=num_batches)
        self._size, self._limit = batch_size or BATCH_SIZE, num_batches
        function = functional_graph(model)
        inputs, outputs = graph_inputs(function), graph_outputs(function)
        self._entries, _ = output_structure(function, inputs, outputs)
        self._source = find_source(x)
        self._arrays = None if self._source else _as_arrays(x)
        self.name = self._source.name if self._source else "the data"
        self.repeatable = self._source is None or self._source.repeatable
        if self._source and self._source.length == math.inf and num_batches is None:
            raise InputError(
                f"{self.name} never ends",
                received="no number of batches",
                expected="data that end",
                hint="drop .repeat(), or pass num_batches=",
            )

    def __iter__(self) -> Iterator[Any]:
        number = row = 0
        for x in self._begun():
            yield self._checked(x, row)
            number, row = number + 1, row + num_rows(x)
        if not number:
            raise InputError(
                f"there is nothing to estimate statistics from in {self.name}",
                received="no rows",
                expected="some hundred rows of inputs",
            )
        if number < (self._limit or 0):
            raise self._too_few(number)

    def _begun(self) -> Iterator[Any]:
        if self._source is not None:
            return source_inputs(self._source, self._size, self._limit)
        rows = len(keras.tree.flatten(self._arrays)[0])
        available = -(-rows // even_batch_size(rows, self._size)) if rows else 0
        if 0 < available < (self._limit or 0):
            raise self._too_few(available)
        return islice(even_batches(self._arrays, self._size), self._limit) if rows else iter(())

    def _too_few(self, number: int) -> InputError:
        return InputError(
            f"{self.name} {'gave' if self._source else 'hold'} fewer batches than asked for",
            received=f"{number} of up to {self._size} samples",
            expected=f"num_batches={self._limit}",
            hint="lower num_batches or batch_size, or leave num_batches out to take all there is",
        )

    def _checked(self, x: Any, row: int) -> Any:
        # In the structure of the model's inputs; a dictionary may go by the names of these.
        entries = keras.tree.flatten(self._entries)
        arrays, names = list(keras.tree.flatten(x)), [entry.name for entry in entries]
        if isinstance(x, dict) and not isinstance(self._entries, dict) and set(names) <= set(x):
            arrays = [x[name] for name in names]
        shapes, wanted = ([tuple(one.shape) for one in ones] for ones in (arrays, entries))
        if len(shapes) != len(wanted) or not all(map(_fits, shapes, wanted)):
            raise InputError(
                f"{self.name} {'does' if self._source else 'do'} not fit the model",
                received=f"inputs of shape {', '.join(map(str, shapes))}",
                expected=", ".join(map(str, wanted)),
                hint=FORMS if self._source else None,
            )
        for array, entry in zip(arrays, entries, strict=True):
            if entry.dtype != "string":
                check_array(f"x from row {row} on in {self.name}", array)
        return keras.tree.pack_sequence_as(self._entries, arrays)


def _as_arrays(x: Any) -> Any:
    if isinstance(x, str | Dataset) or hasattr(x, "__fspath__"):
        raise InputError(
            "the data are neither arrays nor batches",
            received=f"a {type(x).__name__}",
            expected="inputs as Model.predict takes them",
            hint="pass the x_train of normcraft.load_dataset(name)",
        )
    arrays = as_arrays("x", x)
    lengths = {array.shape[:1] for array in keras.tree.flatten(arrays)}
    if len(lengths) == 1 and () not in lengths:
        return arrays
    raise InputError(
        "the data are no samples",
        received=" and ".join(f"{n[0]} rows" if n else "a single value" for n in sorted(lengths)),
        expected="one array an input, all with as many rows",
    )


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    alike = (want in {None, have} for have, want in zip(shape[1:], wanted[1:], strict=False))
    return len(shape) == len(wanted) and all(alike)


def _check_counts(**counts: Any) -> None:
    for name, count in counts.items():
        whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if count is not None and not (whole and 0 < count <= sys.maxsize):
            raise InputError(
                f"{name} is no number of {'samples' if name == 'batch_size' else 'batches'}",
                received=repr(count),
                expected="a whole number above 0, or None",
            )
