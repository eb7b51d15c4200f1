"""Reads the calls of a Keras model, nested models opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from normcraft._core.errors import SurgeryError
from normcraft._core.keras_private import (
    forget_traces,
    graph_inputs,
    graph_nodes,
    graph_outputs,
    nested_call,
    trace_failure,
    traced_function,
)

__all__ = ["TRACEABLE", "Call", "Reader", "Value", "functional_graph", "named_nodes"]

TRACEABLE = (
    "call it once on data and let call(self, inputs, training=None) only call layers and keras.ops,"
    " or build it from keras.Input with the functional API"
)


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor that flows through the graph.

    Attributes:
        shape: Shape with the batch axis, None where unknown.
        dtype: Name of its dtype.
        sparse: Whether it holds a sparse tensor.
    """

    shape: tuple[int | None, ...]
    dtype: str
    sparse: bool = False


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
        training: The mode baked into the call or into the call of a model around it, else None.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="head")])
        >>> from normcraft.graph import LayerGraph
        >>> call = LayerGraph.read(model).calls[-1]
        >>> call.site, call.outputs
        ('head', (Value(shape=(None, 2), dtype='float32', sparse=False),))
    """

    site: str
    key: str
    layer: Any
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    is_input: bool = False
    training: bool | None = None


def named_nodes(function: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Nodes of one functional graph with the keys that `LayerGraph` and surgery name them by.

    Args:
        function: A functional graph.
        prefix: `""` for the outermost model, `"encoder/"` within the model of that name.

    Yields:
        `(key, node)` in an order in which every node follows its inputs.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="head")])
        >>> [key for key, node in named_nodes(functional_graph(model), "") if not node.is_input]
        ['head']
    """
    calls: Counter[int] = Counter()
    for node in graph_nodes(function):
        calls[id(node.operation)] += 1
        number = calls[id(node.operation)]
        yield f"{prefix}{node.operation.name}" + (f"@{number}" if number > 1 else ""), node


def functional_graph(model: keras.Model) -> Any:
    """The functional graph behind a model.

    Args:
        model: A built Sequential or Functional model.

    Returns:
        What `normcraft._core.keras_private` reads.

    Raises:
        SurgeryError: If the model has no graph of calls (subclassed, or not built).
    """  # noqa: DOC501, DOC502 - ruff does not see through _no_graph
    forget_traces(model)
    function = traced_function(model)
    if function is None:
        raise _no_graph(model)
    return function


def _no_graph(model: keras.Model) -> SurgeryError:
    if isinstance(model, keras.Sequential) and not model.built:
        return SurgeryError(
            f"Sequential model {model.name!r} has no graph yet",
            received="a model that was never built",
            expected="a built model",
            hint="begin it with keras.Input(shape) or call model.build(input_shape)",
        )
    reason = trace_failure(model)
    if reason is None:
        return SurgeryError(
            f"Sequential model {model.name!r} has no graph of layer calls",
            received="a layer whose output shape Keras cannot infer",
            expected="layers that can be called on keras.Input",
            hint="define compute_output_shape() in the class of that layer",
        )
    return SurgeryError(
        f"model {model.name!r} has no graph of layer calls",
        received=f"a subclassed model ({type(model).__name__}): {reason}",
        expected="a Sequential or Functional model, or a subclass whose call can be traced",
        hint=TRACEABLE,
    )


class Reader:
    """Collects calls and values while nested models are opened one inside the other.

    Attributes:
        calls: Calls found so far.
        prefixes: Key prefix of each nested model, by `id`.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.prefixes: dict[int, str] = {}

    def read(self, function: Any) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
        """Adds the calls of the outermost graph.

        Returns:
            The values that enter and those that leave it.
        """
        inputs = _values(graph_inputs(function))
        return inputs, self._open(function, inputs, prefix="", site_prefix="")

    def _open(
        self,
        function: Any,
        inputs: Sequence[Value],
        prefix: str,
        site_prefix: str,
        training: bool | None = None,
    ) -> tuple[Value, ...]:
        values = {id(t): v for t, v in zip(graph_inputs(function), inputs, strict=True)}
        for key, node in named_nodes(function, prefix):
            site = site_prefix + key.removeprefix(prefix)
            if not node.is_input:
                outputs = self._call(key, site, node, values, training)
                values |= {id(t): v for t, v in zip(node.outputs, outputs, strict=True)}
            elif not site_prefix:
                entered = tuple(values[id(tensor)] for tensor in node.outputs)
                self.calls.append(Call(site, key, node.operation, (), entered, is_input=True))
        return tuple(values[id(tensor)] for tensor in graph_outputs(function))

    def _call(
        self, key: str, site: str, node: Any, values: dict[int, Value], around: bool | None
    ) -> tuple[Value, ...]:
        own = node.arguments.kwargs.get("training")
        training = around if own is None else own
        nested = nested_call(node)
        if nested is None:
            inputs = tuple(values[id(tensor)] for tensor in node.input_tensors)
            outputs = _values(node.outputs)
            call = Call(site, key, node.operation, inputs, outputs, training=training)
            self.calls.append(call)
            return call.outputs
        function, entering = nested
        prefix = self.prefixes.setdefault(id(node.operation), f"{key}/")
        return self._open(function, [values[id(t)] for t in entering], prefix, f"{site}/", training)


def _values(tensors: Sequence[Any]) -> tuple[Value, ...]:
    return tuple(Value(tuple(t.shape), str(t.dtype), bool(t.sparse)) for t in tensors)
