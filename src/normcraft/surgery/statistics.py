"""Population statistics for batch normalization: the probe that measures what each layer receives."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from normcraft._core.keras_private import (
    call_arguments,
    copy_operation,
    graph_inputs,
    graph_nodes,
    graph_outputs,
    input_operation,
    output_structure,
    traced_function,
)
from normcraft.kinds import batch
from normcraft.moments import combine_moments
from normcraft.surgery.rebuild import copy_layer
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

    The probe is a copy of the model in which each batch normalization uses the statistics of its batch
    and hands them out; dropout is off. It is compiled once and serves any number of weights of the same
    model. Frozen layers, and calls with `training=False` baked in, keep their statistics.

    The statistics of a layer are those of its input over the whole data, with the normalization before
    it working on batch statistics of up to 256 samples (the precise statistics of Wu and Johnson, 2021,
    "Rethinking 'Batch' in BatchNorm", section 3).

    Args:
        model: A built Sequential or Functional model.
    """

    def __init__(self, model: keras.Model) -> None:
        tracer = _Tracer()
        function = traced_function(model)
        entries = [copy_layer(input_operation(t)).output for t in graph_inputs(function)]
        tracer.run(function, entries)
        self._pairs = tracer.pairs
        self._layers = [layer for layer, _ in tracer.moments]
        inputs, _ = output_structure(function, entries, graph_outputs(function))
        flat = [value for _, moments in tracer.moments for value in moments]
        self._probe = keras.Model(inputs, flat) if flat else None

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


class _Measuring(keras.layers.BatchNormalization):
    """Batch normalization by the statistics of the batch, which it hands out beside its result."""

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        del training
        x = ops.cast(inputs, "float32")
        axis = self.axis % len(x.shape)
        axes = [a for a in range(len(x.shape)) if a != axis]
        count, mean, variance = _masked_moments(x, mask, axes)
        shape = [1] * len(x.shape)
        shape[axis] = -1
        result = (x - mean) / ops.sqrt(variance + self.epsilon)
        if self.gamma is not None:
            result = result * ops.reshape(self.gamma, shape)
        if self.beta is not None:
            result = result + ops.reshape(self.beta, shape)
        moments = (ops.reshape(value, (1, -1)) for value in (count, mean, variance))
        return ops.cast(result, self.compute_dtype), *moments

    def compute_output_spec(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        del training, mask
        rows = [keras.KerasTensor((1, inputs.shape[self.axis]), dtype="float32") for _ in range(3)]
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype), *rows


def _masked_moments(x: Any, mask: Any, axes: list[int]) -> tuple[Any, Any, Any]:
    if mask is None:
        mean = ops.mean(x, axes, keepdims=True)
        count = ops.cast(ops.size(x), "float32") / ops.cast(ops.size(mean), "float32")
        variance = ops.mean(ops.square(x - mean), axes, keepdims=True)
        return ops.ones_like(mean) * count, mean, variance
    weight = ops.broadcast_to(ops.cast(ops.expand_dims(mask, -1), "float32"), ops.shape(x))
    count = ops.sum(weight, axes, keepdims=True)
    mean = ops.sum(x * weight, axes, keepdims=True) / count
    variance = ops.sum(ops.square(x - mean) * weight, axes, keepdims=True) / count
    return count, mean, variance


class _Tracer:
    """Calls copies of a model's layers once more, nested models opened, and collects the moments."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []
        self.moments: list[tuple[Any, tuple[Any, ...]]] = []
        self._copies: dict[int, Any] = {}

    def run(self, function: Any, entries: list[Any]) -> list[Any]:
        """Runs one functional graph on symbolic inputs.

        Returns:
            Its flat outputs.
        """
        tensors = {id(t): e for t, e in zip(graph_inputs(function), entries, strict=True)}
        for node in graph_nodes(function):
            if not node.is_input:
                flat = self._call(node, tensors)
                tensors |= {id(old): new for old, new in zip(node.outputs, flat, strict=True)}
        return [tensors[id(tensor)] for tensor in graph_outputs(function)]

    def _call(self, node: Any, tensors: dict[int, Any]) -> list[Any]:
        operation = node.operation
        nested = traced_function(operation) if isinstance(operation, keras.Model) else None
        if nested is not None:
            return self.run(nested, [tensors[id(tensor)] for tensor in node.input_tensors])
        args, kwargs = call_arguments(node, tensors)
        measured = batch.matches(operation) and operation.trainable
        if measured and kwargs.get("training") is not False:
            result, *moments = self._copy(operation, measuring=True)(*args, **kwargs)
            self.moments.append((operation, tuple(moments)))
            return [result]
        return list(keras.tree.flatten(self._copy(operation)(*args, **kwargs)))

    def _copy(self, operation: Any, *, measuring: bool = False) -> Any:
        if id(operation) not in self._copies:
            if not isinstance(operation, keras.layers.Layer):
                return copy_operation(operation)
            copy = copy_layer(operation)
            if measuring:
                copy = _Measuring.from_config(operation.get_config())
            # Nested models are opened here, so names that were apart may meet.
            copy.name = f"{copy.name}_{len(self._copies)}"
            self._copies[id(operation)] = copy
            self.pairs.append((operation, copy))
        return self._copies[id(operation)]
