"""LayerGraph: a read-only view of a Keras model as calls and the values that flow between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import keras

from normcraft._core.errors import SurgeryError
from normcraft._core.keras_private import (
    graph_inputs,
    graph_nodes,
    graph_outputs,
    traced_function,
)
from normcraft.graph.families import is_activation, is_normalization

__all__ = ["Call", "LayerGraph", "Value", "named_nodes"]


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor that flows through the graph.

    Attributes:
        shape: Shape with the batch axis, None where unknown.
        dtype: Name of its dtype.
    """

    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer or operation. A layer that is shared has one call for each use.

    Attributes:
        site: Unique name of the call: the layer's name, `@2` for its second call, nested models as
            `model/layer`.
        key: Name of the place in the model's definition; calls inside a nested model that is used
            twice have two sites and one key.
        layer: The layer or operation.
        inputs: Values that go in.
        outputs: Values that come out.
        is_input: Whether the call is an entry of the outermost model.
    """

    site: str
    key: str
    layer: Any
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    is_input: bool = False


def named_nodes(function: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Nodes of one functional graph with the keys that `LayerGraph` and surgery name them by.

    Args:
        function: A functional graph.
        prefix: `""` for the outermost model, `"encoder/"` within the model of that name.

    Yields:
        `(key, node)` in an order in which every node follows its inputs.
    """
    calls: Counter[int] = Counter()
    for node in graph_nodes(function):
        calls[id(node.operation)] += 1
        number = calls[id(node.operation)]
        yield f"{prefix}{node.operation.name}" + (f"@{number}" if number > 1 else ""), node


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """The calls of a model in topological order, nested models opened.

    Read it with `LayerGraph.read(model)`. It never changes the model.

    Attributes:
        calls: All calls; each follows those whose values it takes.
        inputs: Values that enter the model.
        outputs: Values that leave the model.
        prefixes: Key prefix of each nested model, by `id`.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="head")])
        >>> [call.site for call in LayerGraph.read(model).calls if not call.is_input]
        ['head']
    """

    calls: tuple[Call, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    prefixes: dict[int, str] = field(repr=False)

    @classmethod
    def read(cls, model: keras.Model) -> LayerGraph:
        """Reads a model.

        Args:
            model: A built Sequential or Functional model.

        Returns:
            Its graph.

        Raises:
            SurgeryError: If the model has no graph of calls (subclassed, or not built).
        """
        function = traced_function(model)
        if function is None:
            raise _no_graph(model)
        reader = _Reader()
        inputs = tuple(reader.value(tensor) for tensor in graph_inputs(function))
        outputs = reader.open(function, inputs, prefix="", site_prefix="")
        return cls(tuple(reader.calls), inputs, outputs, reader.prefixes)

    @cached_property
    def _producers(self) -> dict[Value, Call]:
        return {value: call for call in self.calls for value in call.outputs}

    @cached_property
    def _consumers(self) -> dict[Value, list[Call]]:
        table: dict[Value, list[Call]] = {}
        for call in self.calls:
            for value in dict.fromkeys(call.inputs):
                table.setdefault(value, []).append(call)
        return table

    def producer(self, value: Value) -> Call:
        """The call that a value comes from.

        Returns:
            The call.
        """
        return self._producers[value]

    def consumers(self, call: Call) -> list[Call]:
        """Calls that take an output of `call`.

        Returns:
            Distinct calls in topological order.
        """
        found = {c.site: c for value in call.outputs for c in self._consumers.get(value, [])}
        return list(found.values())

    def is_output(self, call: Call) -> bool:
        """Whether an output of `call` leaves the model.

        Returns:
            True if it is one of `outputs`.
        """
        return any(value in self.outputs for value in call.outputs)

    def without(self, removed: Collection[Call]) -> LayerGraph:
        """The graph as if calls that take and give one value were not there.

        Args:
            removed: Calls to leave out, each with one input and one output.

        Returns:
            A graph whose other calls keep their sites and keys.
        """
        alias: dict[Value, Value] = {}

        def real(value: Value) -> Value:
            while value in alias:
                value = alias[value]
            return value

        gone = {call.site for call in removed}
        alias |= {call.outputs[0]: call.inputs[0] for call in removed}
        calls = tuple(
            replace(call, inputs=tuple(real(value) for value in call.inputs))
            for call in self.calls
            if call.site not in gone
        )
        return replace(self, calls=calls, outputs=tuple(real(value) for value in self.outputs))

    def leads_to_layers(self, call: Call) -> bool:
        """Whether a layer with weights of its own (normalization apart) follows anywhere behind `call`.

        A linear call for which this is False is an output layer.

        Returns:
            False where only activations, pooling, merging and the like follow.
        """
        return self._leads_to_layers[call.site]

    @cached_property
    def _leads_to_layers(self) -> dict[str, bool]:
        table: dict[str, bool] = {}
        for call in reversed(self.calls):
            table[call.site] = any(
                table[consumer.site] or _has_own_weights(consumer.layer)
                for consumer in self.consumers(call)
            )
        return table

    def channel_axis(self, call: Call) -> int:
        """Axis along which the output of a call has its channels.

        Args:
            call: A call of this graph.

        Returns:
            1 for tensors in `channels_first` order, else -1.
        """
        return 1 if self._channels_first[call.outputs[0]] else -1

    @cached_property
    def _channels_first(self) -> dict[Value, bool]:
        table: dict[Value, bool] = {}
        for call in self.calls:
            if not call.outputs:
                continue
            ranks_alike = bool(call.inputs) and all(
                len(value.shape) == len(call.outputs[0].shape) for value in call.inputs
            )
            data_format = getattr(call.layer, "data_format", None)
            if call.is_input:
                first = self._feeds_channels_first(call)
            elif data_format is not None and len(call.outputs[0].shape) > 2:
                first = data_format == "channels_first"
            elif isinstance(call.layer, keras.layers.Dense | keras.layers.EinsumDense):
                first = False
            else:
                first = ranks_alike and table.get(call.inputs[0], False)
            table |= dict.fromkeys(call.outputs, first)
        return table

    def _feeds_channels_first(self, call: Call) -> bool:
        waiting, seen = [call], set()
        while waiting:
            current = waiting.pop(0)
            data_format = getattr(current.layer, "data_format", None)
            if data_format is not None:
                return bool(data_format == "channels_first")
            if len(current.outputs[0].shape) == len(call.outputs[0].shape):
                waiting += [c for c in self.consumers(current) if c.site not in seen]
                seen |= {c.site for c in waiting}
        return False


def _has_own_weights(operation: Any) -> bool:
    apart = is_normalization(operation) or is_activation(operation)
    return not apart and bool(getattr(operation, "weights", ()))


def _no_graph(model: keras.Model) -> SurgeryError:
    if isinstance(model, keras.Sequential) and not model.built:
        return SurgeryError(
            f"Sequential model {model.name!r} has no graph yet",
            received="a model that was never built",
            expected="a built model",
            hint="begin it with keras.Input(shape) or call model.build(input_shape)",
        )
    return SurgeryError(
        f"model {model.name!r} has no graph of layer calls",
        received=f"a subclassed model ({type(model).__name__})",
        expected="a Sequential or Functional model",
        hint="build it from keras.Input with the functional API",
    )


class _Reader:
    """Collects calls and values while nested models are opened one inside the other."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.prefixes: dict[int, str] = {}

    @staticmethod
    def value(tensor: Any) -> Value:
        return Value(tuple(tensor.shape), str(tensor.dtype))

    def open(
        self, function: Any, inputs: tuple[Value, ...], prefix: str, site_prefix: str
    ) -> tuple[Value, ...]:
        """Adds the calls of one functional graph, fed with `inputs`.

        Returns:
            The values that leave that graph.
        """
        values = {id(t): v for t, v in zip(graph_inputs(function), inputs, strict=True)}
        entries = set(values)
        for key, node in named_nodes(function, prefix):
            site = site_prefix + key.removeprefix(prefix)
            arguments = tuple(values[id(t)] for t in node.input_tensors if id(t) in values)
            if node.is_input:
                self._enter(key, site, node, values, entries, outermost=not site_prefix)
                continue
            nested = self._nested(node, arguments)
            if nested is not None:
                opened = self.prefixes.setdefault(id(node.operation), f"{key}/")
                outputs = self.open(nested, arguments, opened, f"{site}/")
            else:
                outputs = tuple(self.value(tensor) for tensor in node.outputs)
                self.calls.append(Call(site, key, node.operation, arguments, outputs))
            values |= {id(t): v for t, v in zip(node.outputs, outputs, strict=True)}
        return tuple(values[id(tensor)] for tensor in graph_outputs(function))

    def _enter(
        self, key: str, site: str, node: Any, values: dict[int, Value], entries: set[int], *,
        outermost: bool,
    ) -> None:
        constants = [t for t in node.outputs if id(t) not in entries]
        values |= {id(t): self.value(t) for t in constants}
        if outermost or constants:
            outputs = tuple(values[id(t)] for t in node.outputs)
            self.calls.append(
                Call(site, key, node.operation, (), outputs, is_input=not constants)
            )

    @staticmethod
    def _nested(node: Any, arguments: tuple[Value, ...]) -> Any | None:
        if not isinstance(node.operation, keras.Model):
            return None
        function = traced_function(node.operation)
        plain = function is not None and len(graph_inputs(function)) == len(arguments)
        return function if plain else None
