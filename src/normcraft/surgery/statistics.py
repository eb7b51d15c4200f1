"""Population statistics for batch normalization: a probe measures what each layer receives."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras.layers import BatchNormalization

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
from normcraft.graph import functional_graph
from normcraft.kinds import batch
from normcraft.moments import combine_moments
from normcraft.surgery.copies import copy_layer, copying
from normcraft.surgery.measuring import Measuring
from normcraft.surgery.transfer import copy_weights

__all__ = ["StatisticsProbe", "even_batch_size"]

BATCH_SIZE = 256


def even_batch_size(num_samples: int, largest: int = BATCH_SIZE) -> int:
    """A batch size that cuts samples into parts as alike as can be, none above `largest`.

    Returns:
        Samples a batch.

    Example:
        >>> even_batch_size(360, 256), even_batch_size(100, 256)
        (180, 100)
    """
    return math.ceil(num_samples / math.ceil(num_samples / largest))


class StatisticsProbe:
    """Re-estimates the moving statistics of a model's batch normalization from data.

    The probe is a copy of the model in which each batch normalization uses the statistics of its
    batch and hands them out; dropout is off. It is compiled once and serves any number of weights
    of the same model. Frozen layers, and calls with `training=False` baked in, keep theirs.

    The statistics of a layer are those of its input over the whole data, with the normalization
    before it working on batch statistics of up to 256 samples (the precise statistics of Wu and
    Johnson, 2021, "Rethinking 'Batch' in BatchNorm", section 3).

    Args:
        model: A built Sequential or Functional model.

    Example:
        >>> layer = keras.layers.BatchNormalization()
        >>> model = keras.Sequential([keras.Input((1,)), layer])
        >>> StatisticsProbe(model).update(np.array([[1.0], [3.0]]))
        >>> batch.statistics(layer)
        (array([2.]), array([1.]))
    """

    def __init__(self, model: keras.Model) -> None:
        tracer = _Tracer()
        function = functional_graph(model)
        entries = [copy_layer(input_operation(t)).output for t in graph_inputs(function)]
        inputs, _ = output_structure(function, entries, graph_outputs(function))
        with copying(model):
            tracer.run(function, entries)
            flat = [value for _, moments in tracer.moments for value in moments]
            self._probe = keras.Model(inputs, flat) if flat else None
        self._pairs = tracer.pairs
        self._layers = [layer for layer, _ in tracer.moments]

    @property
    def num_layers(self) -> int:
        """Number of layers whose statistics are re-estimated."""
        return len({id(layer) for layer in self._layers})

    def update(self, x: Any) -> None:
        """Replaces the statistics of the model's batch normalization by those over `x`.

        Args:
            x: Inputs as `Model.predict` takes them.
        """
        if self._probe is None:
            return
        for original, copy in self._pairs:
            copy_weights(original, copy)
        num_samples = len(keras.tree.flatten(x)[0])
        flat = self._probe.predict(x, batch_size=even_batch_size(num_samples), verbose=0)
        measured: dict[int, list[tuple[Any, ...]]] = {}
        for index, layer in enumerate(self._layers):
            measured.setdefault(id(layer), []).append(tuple(flat[3 * index : 3 * index + 3]))
        for layer in {id(layer): layer for layer in self._layers}.values():
            counts, means, variances = (
                np.concatenate(parts) for parts in zip(*measured[id(layer)], strict=True)
            )
            batch.set_statistics(layer, *combine_moments(counts, means, variances))


class _Tracer:
    """Calls copies of a model's layers, nested models opened, and collects the moments."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []
        self.moments: list[tuple[Any, tuple[Any, ...]]] = []
        self._copies: dict[tuple[int, bool], Any] = {}

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
        if frozen or not _keeps_statistics(node.operation):
            return list(keras.tree.flatten(self._copy(node.operation)(*args, **kwargs)))
        result, *moments = self._copy(node.operation, measuring=True)(*args, **kwargs)
        self.moments.append((node.operation, tuple(moments)))
        return [result]

    def _copy(self, operation: Any, *, measuring: bool = False) -> Any:
        if not isinstance(operation, keras.layers.Layer):
            return copy_operation(operation)
        key = id(operation), measuring
        if key not in self._copies:
            copy = Measuring.of(operation) if measuring else copy_layer(operation)
            # Nested models are opened here, so names that were apart may meet.
            copy.name = f"{copy.name}_{len(self._copies)}"
            self._copies[key] = copy
            self.pairs.append((operation, copy))
        return self._copies[key]


def _keeps_statistics(operation: Any) -> bool:
    # Whether it is batch normalization whose statistics training would move.
    plain = batch.matches(operation) and type(operation).call is BatchNormalization.call
    return plain and operation.trainable
