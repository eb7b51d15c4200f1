"""Builds the edited copy: every call of the original once more, with the plan's changes between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from normcraft._core.errors import SurgeryError
from normcraft._core.keras_private import (
    call_arguments,
    copy_operation,
    graph_inputs,
    graph_outputs,
    has_functional_constructor,
    input_operation,
    output_structure,
    traced_function,
    trusted_code,
)
from normcraft.graph import LayerGraph, has_fused_activation, is_linear, named_nodes
from normcraft.kinds import load_kind
from normcraft.surgery.plan import Insertion, LayerEdit, Plan

__all__ = ["Rebuild", "copy_layer"]

Operation = Any
TRAINING_METHODS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


def copy_layer(layer: keras.layers.Layer, config: dict[str, Any] | None = None) -> Any:
    """A new layer of the same class and settings, weights not copied.

    Args:
        layer: The layer.
        config: Changed configuration; None for the layer's own.

    Returns:
        The new layer, not yet built.

    Raises:
        SurgeryError: If the layer cannot be made from its own configuration.
    """
    try:
        with trusted_code():
            return type(layer).from_config(layer.get_config() if config is None else config)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise SurgeryError(
            f"layer {layer.name!r} ({type(layer).__name__}) cannot be copied",
            received=str(error).splitlines()[0] if str(error) else type(error).__name__,
            expected="get_config() and from_config() that give the layer again",
            hint="define get_config() in the layer's class",
        ) from error


class Rebuild:
    """One pass over a model that builds its edited copy.

    Attributes:
        pairs: `(key, original, copy)` of every layer that was copied, nested models' layers included.
        inserted: Key of the call, by name, of every inserted layer's key.

    Args:
        graph: Graph of the original.
        plan: What to change; an empty plan gives an exact copy.
        copy: How a layer is copied: `copy(layer, config, key)`.
        chain: Whether a Sequential stays one; otherwise it becomes Functional.
    """

    def __init__(
        self,
        graph: LayerGraph,
        plan: Plan,
        *,
        copy: Callable[[Any, dict[str, Any] | None, str], Any] | None = None,
        chain: bool = True,
    ) -> None:
        self.graph = graph
        self.plan = plan
        self.pairs: list[tuple[str, Any, Any]] = []
        self._copy = copy or (lambda layer, config, key: copy_layer(layer, config))
        self._chain = chain
        self._copies: dict[int, Any] = {}
        self._splits: dict[int, Any] = {}

    def model(self, model: keras.Model) -> keras.Model:
        """The edited copy of a model, weights not copied, not compiled.

        Returns:
            A Sequential for a Sequential, else a Functional model of the same class where that can
            be constructed.

        Raises:
            SurgeryError: If Keras cannot build the model, or a class would lose its own training.
        """
        function = traced_function(model)
        prefix = self.graph.prefixes.get(id(model), "")
        try:
            if isinstance(model, keras.Sequential) and self._chain:
                return self._sequential(model, function, prefix)
            return self._functional(model, function, prefix)
        except RecursionError as error:
            raise SurgeryError(
                f"model {model.name!r} is deeper than Keras can build",
                received=f"{len(self.graph.calls)} calls",
                expected="fewer calls one behind the other",
                hint="Keras builds functional models by recursion over their depth",
            ) from error

    def _sequential(self, model: keras.Model, function: Any, prefix: str) -> keras.Model:
        chain = []
        for key, node in named_nodes(function, prefix):
            if key not in self.plan.dropped:
                chain += self._stages(key, node.operation)
        return keras.Sequential(chain, name=model.name)

    def _functional(self, model: keras.Model, function: Any, prefix: str) -> keras.Model:
        tensors: dict[int, Any] = {}
        for key, node in named_nodes(function, prefix):
            flat = keras.tree.flatten(self._call(key, node, tensors))
            tensors |= {id(old): new for old, new in zip(node.outputs, flat, strict=True)}
        if not self.graph_is_complete(function, tensors):
            raise SurgeryError(f"model {model.name!r} has inputs that no Input layer makes")
        entries = [self._copies[id(input_operation(t))].output for t in graph_inputs(function)]
        outputs = [tensors[id(tensor)] for tensor in graph_outputs(function)]
        alone = {id(tensor) for tensor in entries}
        outputs = [keras.layers.Identity()(t) if id(t) in alone else t for t in outputs]
        inputs, outputs = output_structure(function, entries, outputs)
        return _model_class(model)(inputs, outputs, name=model.name)

    @staticmethod
    def graph_is_complete(function: Any, tensors: dict[int, Any]) -> bool:
        """Whether every input of a graph comes from an Input layer of its own.

        Returns:
            False for a model cut out of the middle of another.
        """
        return all(id(tensor) in tensors for tensor in graph_inputs(function))

    def _call(self, key: str, node: Any, tensors: dict[int, Any]) -> Any:
        if key in self.plan.dropped:
            return tensors[id(node.input_tensors[0])]
        first, *rest = self._stages(key, node.operation)
        if node.is_input:
            result = first.output
        else:
            args, kwargs = call_arguments(node, tensors)
            result = first(*args, **kwargs)
        for layer in rest:
            result = layer(result)
        return result

    def _stages(self, key: str, operation: Operation) -> list[Operation]:
        """What stands in the place of one call: its copy, and what the plan puts behind it."""
        stages = [self._copied(key, operation)]
        edit = self.plan.layers.get(id(operation), LayerEdit())
        if key in self.plan.inside:
            stages.append(self._insertion(self.plan.inside[key], operation))
        if edit.split:
            stages.append(self._split(operation, edit))
        if key in self.plan.behind:
            stages.append(self._insertion(self.plan.behind[key], operation))
        return stages

    def _copied(self, key: str, operation: Operation) -> Operation:
        if id(operation) not in self._copies:
            self._copies[id(operation)] = self._make_copy(key, operation)
        return self._copies[id(operation)]

    def _make_copy(self, key: str, operation: Operation) -> Operation:
        if id(operation) in self.graph.prefixes:
            nested = self.model(operation)
            self.pairs.append((key, operation, nested))
            return nested
        edit = self.plan.layers.get(id(operation))
        if not isinstance(operation, keras.layers.Layer):
            if edit and edit.activation:
                return keras.layers.Activation(edit.activation, name=operation.name)
            return copy_operation(operation)
        if edit and edit.activation and not is_linear(operation):
            config = {"name": operation.name, "dtype": operation.get_config().get("dtype")}
            return keras.layers.Activation(edit.activation, **config)
        new = self._copy(operation, _edited_config(operation, edit) if edit else None, key)
        self.pairs.append((key, operation, new))
        return new

    def _split(self, layer: keras.layers.Layer, edit: LayerEdit) -> keras.layers.Layer:
        if id(layer) not in self._splits:
            self._splits[id(layer)] = keras.layers.Activation(
                edit.activation or layer.activation,
                name=f"{layer.name}_activation",
                dtype=layer.dtype_policy,
            )
        return self._splits[id(layer)]

    @staticmethod
    def _insertion(insertion: Insertion, host: Operation) -> keras.layers.Layer:
        dtype = getattr(host, "dtype_policy", None)
        return load_kind(insertion.kind).build(
            insertion.axis, insertion.name, channels=insertion.channels, dtype=dtype
        )


def _edited_config(layer: keras.layers.Layer, edit: LayerEdit) -> dict[str, Any]:
    config = layer.get_config()
    if has_fused_activation(layer):
        if edit.split:
            config["activation"] = "linear"
        elif edit.activation:
            config["activation"] = edit.activation
    if edit.bias is not None:
        if "bias_axes" in config:
            config["bias_axes"] = None
        else:
            config["use_bias"] = edit.bias
    return config


def _model_class(model: keras.Model) -> type[keras.Model]:
    if isinstance(model, keras.Sequential):
        return keras.Model
    if has_functional_constructor(model):
        return type(model)
    own = [name for name in TRAINING_METHODS if name in _own_methods(type(model))]
    if own:
        raise SurgeryError(
            f"model {model.name!r} ({type(model).__name__}) cannot be built from edited layers",
            received=f"a class with its own constructor and its own {', '.join(own)}",
            expected="a constructor that takes inputs and outputs",
            hint="accept (*args, **kwargs) in __init__ and pass them to super().__init__",
        )
    return keras.Model


def _own_methods(cls: type) -> set[str]:
    classes = [base for base in cls.__mro__ if not base.__module__.startswith("keras.")]
    return {name for base in classes for name in vars(base)} - set(vars(object))
