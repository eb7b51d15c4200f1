"""LayerGraph: a read-only view of a Keras model as calls and the values that flow between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import keras

from normcraft._core.errors import too_deep
from normcraft.graph.families import (
    float_policy,
    is_activation,
    is_normalization,
    is_pooling,
    keeps_channels,
    transposition,
)
from normcraft.graph.reader import Call, Reader, Value, functional_graph

__all__ = ["LayerGraph"]


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
            SurgeryError: If the model has no graph, or nests deeper than Python's recursion limit.
        """  # noqa: DOC501, DOC502 - ruff does not see through too_deep
        reader = Reader()
        try:
            inputs, outputs = reader.read(functional_graph(model))
        except RecursionError as error:
            raise too_deep(model.name) from error
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
        """Whether a layer with weights of its own, normalization apart, follows anywhere.

        A linear call for which this is False is an output layer.

        Returns:
            False where only activations, pooling, merging and the like follow.
        """
        return self._leads_to_layers[call.site]

    def is_hidden(self, call: Call) -> bool:
        """Whether other layers work on the result of a call, and it is not handed out as an output.

        Args:
            call: A call of this graph.

        Returns:
            False for output layers: where no layer follows, or where the result is an output of the
            model, perhaps behind an activation or a reshaping.
        """
        if not self.leads_to_layers(call):
            return False
        return not any(self.is_output(end) for end in self._same_result(call))

    def _same_result(self, call: Call) -> Iterator[Call]:
        def onwards(current: Call) -> Iterable[Call]:
            return filter(_hands_on, self.consumers(current))

        return _breadth_first(call, onwards)

    def dtype_policy(self, call: Call) -> str | None:
        """Policy for a new layer behind a call: that of the nearest layer that computes in floats.

        Args:
            call: A call of this graph.

        Returns:
            The policy of the call's own layer, else of one before it, else of one behind it; None
            where no layer has one.
        """

        def before(current: Call) -> Iterable[Call]:
            return map(self.producer, current.inputs)

        near = (near for step in (before, self.consumers) for near in _breadth_first(call, step))
        return next(filter(None, (float_policy(one.layer) for one in near)), None)

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
            1 for tensors in `channels_first` order, -1 for the usual order; another axis where a
            transposition put the channels in between.
        """
        value = call.outputs[0]
        axis = self._channel_axes[value]
        return -1 if axis == len(value.shape) - 1 else axis

    @cached_property
    def _channel_axes(self) -> dict[Value, int]:
        table: dict[Value, int] = {}
        for call in self.calls:
            axes = {value: self._own_axis(call, len(value.shape), table) for value in call.outputs}
            table |= axes
        return table

    def _own_axis(self, call: Call, rank: int, table: dict[Value, int]) -> int:
        last = max(rank - 1, 0)
        data_format = getattr(call.layer, "data_format", None)
        if call.is_input:
            return 1 if rank > 2 and self._feeds_channels_first(call) else last
        if data_format is not None and rank > 2:
            return 1 if data_format == "channels_first" else last
        order = transposition(call.layer, rank)
        if order is not None:
            return order.index(table[call.inputs[0]])
        mixes = isinstance(call.layer, keras.layers.Dense | keras.layers.EinsumDense)
        alike = bool(call.inputs) and all(len(value.shape) == rank for value in call.inputs)
        return table[call.inputs[0]] if alike and not mixes else last

    def _feeds_channels_first(self, call: Call) -> bool:
        rank = len(call.outputs[0].shape)

        def onwards(current: Call) -> Iterable[Call]:
            return self.consumers(current) if len(current.outputs[0].shape) == rank else ()

        formats = (getattr(c.layer, "data_format", None) for c in _breadth_first(call, onwards))
        return next(filter(None, formats), None) == "channels_first"


def _breadth_first(start: Call, step: Callable[[Call], Iterable[Call]]) -> Iterator[Call]:
    waiting, seen = [start], {start.site}
    while waiting:
        current = waiting.pop(0)
        yield current
        new = [call for call in step(current) if call.site not in seen]
        seen |= {call.site for call in new}
        waiting += new


def _hands_on(call: Call) -> bool:
    reshapes = keeps_channels(call.layer) and not is_pooling(call.layer)
    return is_activation(call.layer) or reshapes


def _has_own_weights(operation: Any) -> bool:
    apart = is_normalization(operation) or is_activation(operation)
    return not apart and bool(getattr(operation, "weights", ()))
