"""A probe: a copy of a model whose batch normalization hands out what it receives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any

import keras
import numpy as np

from normcraft._core.keras_private import (
    call_arguments,
    copy_operation,
    graph_inputs,
    graph_nodes,
    graph_outputs,
    input_operation,
    nested_call,
    output_structure,
)
from normcraft.graph import functional_graph, unwrapped
from normcraft.surgery.copies import copy_layer, copying
from normcraft.surgery.measuring import Measuring
from normcraft.surgery.running_moments import Moments, RunningMoments
from normcraft.surgery.transfer import copy_weights

__all__ = ["BATCH_SIZE", "Probe", "even_batch_size", "even_batches", "num_rows"]

BATCH_SIZE = 256
Array = np.ndarray[Any, np.dtype[Any]]


def even_batch_size(num_samples: int, largest: int = BATCH_SIZE) -> int:
    """A batch size that cuts samples into parts as alike as can be, none above `largest`.

    Returns:
        Samples a batch.

    Example:
        >>> even_batch_size(360, 256), even_batch_size(100, 256)
        (180, 100)
    """
    return math.ceil(num_samples / math.ceil(num_samples / largest))


def even_batches(x: Any, largest: int = BATCH_SIZE) -> Iterator[Any]:
    """Arrays in batches as alike as can be.

    Args:
        x: Inputs as `Model.predict` takes arrays.
        largest: Most samples in a batch.

    Yields:
        Parts of `x`, in its order.

    Example:
        >>> [len(batch) for batch in even_batches(np.zeros(360))]
        [180, 180]
    """
    size = even_batch_size(num_rows(x), largest)
    for start in range(0, num_rows(x), size):
        rows = slice(start, start + size)
        yield keras.tree.map_structure(itemgetter(rows), x)


def num_rows(x: Any) -> int:
    """How many samples there are in inputs as `Model.predict` takes them.

    Returns:
        Length of the first array.
    """
    return len(keras.tree.flatten(x)[0])


class Probe:
    """Runs a model with some of its batch normalization measured; dropout is off.

    It is compiled once and serves any number of weights of the same model.

    Args:
        model: A built model.
        measured: Which layers are measured: a function of a layer of the model, or of what it
            applies to each step where it is `TimeDistributed`.
        by_batch: Whether measured layers work on the statistics of each batch, as in training;
            otherwise on their moving statistics.
    """

    def __init__(
        self, model: keras.Model, measured: Callable[[Any], bool], *, by_batch: bool
    ) -> None:
        tracer = _Tracer(measured, by_batch=by_batch)
        function = functional_graph(model)
        entries = [copy_layer(input_operation(t)).output for t in graph_inputs(function)]
        inputs, _ = output_structure(function, entries, graph_outputs(function))
        with copying(model):
            outputs = tracer.run(function, entries)
            moments = [value for _, values in tracer.moments for value in values]
            self._model = keras.Model(inputs, [*outputs, *moments])
        self._inputs = inputs
        self._num_outputs = len(outputs)
        self._pairs = tracer.pairs
        self._layers = [layer for layer, _ in tracer.moments]
        self.layers = list({id(layer): layer for layer in self._layers}.values())

    def run(
        self, x: Any, *, compiled: bool = True, moved: Callable[[Array], Array] | None = None
    ) -> tuple[list[Array], list[Moments]]:
        """Runs the model with its present weights.

        Args:
            x: Inputs as `Model.predict` takes arrays.
            compiled: Whether a compiled program is made, on the first run; for a few runs it takes
                longer to make than it saves.
            moved: What becomes of each array of weights before it is used, None for nothing.

        Returns:
            The model's flat outputs, and the mean and biased variance over all rows of what each
            of `layers` received, float64 of shape (channels,).
        """
        self._take_weights(moved)
        run = self._predicted if compiled else self._called
        flat = keras.tree.flatten(run(x, even_batch_size(num_rows(x))))
        moments = self.running()
        moments.add(flat[self._num_outputs :])
        return flat[: self._num_outputs], moments.moments

    def measure(self, batches: Iterable[Any]) -> RunningMoments:
        """Runs the model on batches that come one by one; its outputs are let go.

        Args:
            batches: Each as `Model.predict_on_batch` takes it.

        Returns:
            The moments of what each of `layers` received.
        """
        self._take_weights()
        moments = self.running()
        for batch in batches:
            flat = keras.tree.flatten(self._model.predict_on_batch(batch))
            moments.add(flat[self._num_outputs :])
        return moments

    def running(self) -> RunningMoments:
        """Moments of `layers` before anything was measured.

        Returns:
            What takes rows of these, as `traced` gives them.
        """
        numbers = {id(layer): number for number, layer in enumerate(self.layers)}
        return RunningMoments([numbers[id(layer)] for layer in self._layers])

    @property
    def copies(self) -> dict[int, Any]:
        """The copy of each layer that is not measured, by the layer's `id`."""
        return {id(layer): copy for layer, copy in self._pairs}

    def links(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """Variables of the model, each with that of the copy which takes its value.

        Returns:
            Pairs `(original, copy)`.
        """
        return [pair for layers in self._pairs for pair in copy_weights(*layers)]

    def traced(self, x: Any) -> list[Any]:
        """Moments of one batch as the backend's tensors, to be traced in a program of one's own.

        Args:
            x: One batch of inputs.

        Returns:
            Count, mean in two parts and variance of each measured call, each of shape
            (1, channels), for `running`.
        """
        return list(keras.tree.flatten(self._model(x, training=False))[self._num_outputs :])

    def _take_weights(self, moved: Callable[[Array], Array] | None = None) -> None:
        for original, copy in self._pairs:
            for _, variable in copy_weights(original, copy):
                if moved is not None:
                    variable.assign(moved(keras.ops.convert_to_numpy(variable)))

    def packed(self, arrays: list[Any]) -> Any:
        """Flat inputs in the structure that the model takes.

        Returns:
            What `run` takes.
        """
        return keras.tree.pack_sequence_as(self._inputs, arrays)

    def _predicted(self, x: Any, batch_size: int) -> Any:
        return self._model.predict(x, batch_size=batch_size, verbose=0)

    def _called(self, x: Any, batch_size: int) -> Any:
        def call(start: int) -> Any:
            batch = keras.tree.map_structure(lambda array: array[start : start + batch_size], x)
            return keras.tree.map_structure(
                keras.ops.convert_to_numpy, self._model(batch, training=False)
            )

        parts = [call(start) for start in range(0, num_rows(x), batch_size)]
        return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


class _Tracer:
    """Calls copies of a model's layers, nested models opened, and collects the moments."""

    def __init__(self, measured: Callable[[Any], bool], *, by_batch: bool) -> None:
        self._measured = measured
        self._by_batch = by_batch
        self.pairs: list[tuple[Any, Any]] = []
        self.moments: list[tuple[Any, tuple[Any, ...]]] = []
        self._copies: dict[tuple[int, bool], Any] = {}
        self._numbers = itertools.count()

    def run(self, function: Any, entries: list[Any], *, frozen: bool = False) -> list[Any]:
        """Runs one functional graph on symbolic inputs.

        Args:
            function: The graph.
            entries: What enters it.
            frozen: Whether the graph is called with `training=False`.

        Returns:
            Its flat outputs.
        """
        tensors = {id(t): e for t, e in zip(graph_inputs(function), entries, strict=True)}
        for node in graph_nodes(function):
            if not node.is_input:
                flat = self._call(node, tensors, frozen=frozen)
                tensors |= {id(old): new for old, new in zip(node.outputs, flat, strict=True)}
        return [tensors[id(tensor)] for tensor in graph_outputs(function)]

    def _call(self, node: Any, tensors: dict[int, Any], *, frozen: bool) -> list[Any]:
        args, kwargs = call_arguments(node, tensors)
        training = kwargs.get("training")
        frozen = frozen if training is None else training is False
        nested = nested_call(node)
        if nested is not None:
            function, entering = nested
            return self.run(function, [tensors[id(t)] for t in entering], frozen=frozen)
        layer = unwrapped(node.operation)
        if frozen or not self._measured(layer):
            return list(keras.tree.flatten(self._copy(node.operation)(*args, **kwargs)))
        result, *moments = self._copy(node.operation, measuring=True)(*args, **kwargs)
        self.moments.append((layer, tuple(moments)))
        return [result]

    def _copy(self, operation: Any, *, measuring: bool = False) -> Any:
        if not isinstance(operation, keras.layers.Layer):
            return self._named(copy_operation(operation))
        key = id(operation), measuring
        if key not in self._copies:
            copy = self._named(self._measuring(operation) if measuring else copy_layer(operation))
            self._copies[key] = copy
            self.pairs.append((operation, copy))
        return self._copies[key]

    def _named(self, copy: Any) -> Any:
        # Nested models are opened here, also twice, so names that were apart may meet.
        copy.name = f"{copy.name}_{next(self._numbers)}"
        return copy

    def _measuring(self, layer: Any) -> Measuring:
        return Measuring.of(layer, by_batch=self._by_batch)
