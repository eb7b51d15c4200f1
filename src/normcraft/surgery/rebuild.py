"""Builds the edited copy: every call of the original once more, with the plan's changes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras

from normcraft._core.errors import SurgeryError
from normcraft._core.keras_private import (
    call_arguments,
    copy_operation,
    counted_names,
    graph_inputs,
    graph_outputs,
    has_functional_constructor,
    has_own_call,
    input_operation,
    output_structure,
    traced_function,
)
from normcraft.graph import LayerGraph, is_linear, named_nodes
from normcraft.surgery.copies import copy_layer, copying, edited_config
from normcraft.surgery.normalization import build_normalization
from normcraft.surgery.planning import Insertion, LayerEdit, Plan
from normcraft.surgery.planning.affine import Affine

__all__ = ["Rebuild"]

Operation = Any
TRAINING_METHODS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


class Rebuild:
    """One pass over a model that builds its edited copy.

    Attributes:
        pairs: `(key, original, copy)` of every layer and nested model that was copied.
        built: The layer built for each insertion of the plan.

    Args:
        graph: Graph of the original.
        plan: What to change; an empty plan gives an exact copy.
        copy: How a layer is copied: `copy(layer, config, key)`.
        plain: Whether every model becomes a plain `keras.Model`, whatever its class.
    """

    def __init__(
        self,
        graph: LayerGraph,
        plan: Plan,
        *,
        copy: Callable[[Any, dict[str, Any] | None, str], Any] | None = None,
        plain: bool = False,
    ) -> None:
        self.graph = graph
        self.plan = plan
        self.pairs: list[tuple[str, Any, Any]] = []
        self.built: dict[Insertion, Any] = {}
        self._copy = copy or (lambda layer, config, key: copy_layer(layer, config))
        self._plain = plain
        self._copies: dict[int, Any] = {}
        self._splits: dict[int, Any] = {}

    def model(self, model: keras.Model) -> keras.Model:
        """The edited copy of a model, weights not copied, not compiled.

        Returns:
            A Sequential for a Sequential, else a Functional model of the same class where that can
            be constructed.
        """
        names = {part for call in self.graph.calls for part in call.key.split("/")}
        names |= {insertion.name for insertion in self.plan.insertions}
        names |= {edit.split for edit in self.plan.layers.values() if edit.split}
        with copying(model), counted_names(names):
            return self._model(model)

    def copy_of(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """The copy of a layer of the original.

        Returns:
            The layer that stands in its place.
        """
        return self._copies[id(layer)]

    def _model(self, model: keras.Model) -> keras.Model:
        function = traced_function(model)
        prefix = self.graph.prefixes.get(id(model), "")
        cls = keras.Model if self._plain else _model_class(model)
        if issubclass(cls, keras.Sequential):
            return cls(self._chain(function, prefix), name=model.name)
        return cls(*self._ends(function, prefix), name=model.name)

    def _chain(self, function: Any, prefix: str) -> list[keras.layers.Layer]:
        nodes = [pair for pair in named_nodes(function, prefix) if pair[0] not in self.plan.dropped]
        chain = [stage for key, node in nodes for stage in self._stages(key, node.operation)]
        # Keras cannot call a Sequential of nothing.
        return chain if len(chain) > 1 else [*chain, keras.layers.Identity()]

    def _ends(self, function: Any, prefix: str) -> Any:
        # Inputs and outputs of a copy of a functional graph.
        tensors: dict[int, Any] = {}
        for key, node in named_nodes(function, prefix):
            flat = keras.tree.flatten(self._call(key, node, tensors))
            tensors |= {id(old): new for old, new in zip(node.outputs, flat, strict=True)}
        entries = [self._copies[id(input_operation(t))].output for t in graph_inputs(function)]
        return output_structure(
            function, entries, [tensors[id(t)] for t in graph_outputs(function)]
        )

    def _call(self, key: str, node: Any, tensors: dict[int, Any]) -> Any:
        if key in self.plan.dropped:
            return tensors[id(node.input_tensors[0])]
        first, *rest = self._stages(key, node.operation)
        if node.is_input:
            result = first.output
        else:
            args, kwargs = call_arguments(node, tensors)
            if type(first) is not type(node.operation):
                args, kwargs = _accepted(first, args, kwargs)
            result = first(*args, **kwargs)
        for layer in rest:
            result = layer(result)
        return result

    def _stages(self, key: str, operation: Operation) -> list[Operation]:
        # What stands in the place of one call: its copy, and what the plan puts behind it.
        stages = [self._copied(key, operation)]
        edit = self.plan.layers.get(id(operation), LayerEdit())
        if key in self.plan.inside:
            stages.append(self._inserted(self.plan.inside[key]))
        if edit.split:
            stages.append(self._split(operation, edit))
        if key in self.plan.behind:
            stages.append(self._inserted(self.plan.behind[key]))
        return stages

    def _copied(self, key: str, operation: Operation) -> Operation:
        if id(operation) not in self._copies:
            self._copies[id(operation)] = self._make_copy(key, operation)
        return self._copies[id(operation)]

    def _make_copy(self, key: str, operation: Operation) -> Operation:
        if id(operation) in self.graph.prefixes:
            nested = self._model(operation)
            self.pairs.append((key, operation, nested))
            return nested
        edit = self.plan.layers.get(id(operation))
        if edit and edit.replacement:
            return self._inserted(edit.replacement)
        if edit and edit.rescaling:
            return _rescaling(edit.rescaling, operation)
        if edit and edit.activation and not is_linear(operation):
            return _activation(edit.activation, operation.name, edit)
        if not isinstance(operation, keras.layers.Layer):
            return copy_operation(operation)
        new = self._copy(operation, _changed_config(operation, edit) if edit else None, key)
        self.pairs.append((key, operation, new))
        return new

    def _inserted(self, insertion: Insertion) -> keras.layers.Layer:
        if insertion not in self.built:
            self.built[insertion] = build_normalization(insertion)
        return self.built[insertion]

    def _split(self, layer: keras.layers.Layer, edit: LayerEdit) -> keras.layers.Layer:
        if id(layer) not in self._splits:
            own = layer.activation
            own = copy_layer(own) if isinstance(own, keras.layers.Layer) else own
            split = _activation(edit.activation or own, edit.split, edit)
            split.activity_regularizer = layer.activity_regularizer
            self._splits[id(layer)] = split
        return self._splits[id(layer)]


def _rescaling(affine: Affine, layer: keras.layers.Layer) -> keras.layers.Layer:
    scale, shift = (part.astype("float32") for part in (affine.scale, affine.shift))
    return keras.layers.Rescaling(scale, shift, name=layer.name, dtype=layer.dtype_policy)


def _activation(activation: Any, name: str | None, edit: LayerEdit) -> keras.layers.Layer:
    return keras.layers.Activation(activation, name=name, dtype=edit.dtype)


def _accepted(layer: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    # Of the arguments of a call, those that a layer of another class takes in its place: what the
    # call is about, whatever its name was, and settings that it knows.
    about = args[0] if args else next(iter(kwargs.values()))
    known = inspect.signature(layer.call).parameters
    names = list(kwargs)[not args :]
    return (about,), {name: kwargs[name] for name in names if name in known}


def _changed_config(layer: keras.layers.Layer, edit: LayerEdit) -> dict[str, Any]:
    changes = dict(edit.settings)
    if edit.split:
        changes |= {"activation": "linear", "activity_regularizer": None}
    elif edit.activation:
        changes["activation"] = edit.activation
    if edit.bias is not None and hasattr(layer, "bias_axes"):
        changes["bias_axes"] = layer.equation.strip()[-1] if edit.bias else None
    elif edit.bias is not None:
        changes["use_bias"] = edit.bias
    return edited_config(layer, **changes)


def _model_class(model: keras.Model) -> type[keras.Model]:
    # A class with a `call` of its own would compute it on top of the graph that it was traced to.
    cls: type[keras.Model] = type(model)
    traced, is_chain = has_own_call(model), isinstance(model, keras.Sequential)
    base: type[keras.Model] = keras.Sequential if is_chain and not traced else keras.Model
    takes_layers = cls.__init__ is keras.Sequential.__init__ or has_functional_constructor(model)
    if takes_layers and not traced:
        return cls
    own = [name for name in TRAINING_METHODS if name in _own_methods(cls)]
    if own:
        arguments = "layers=None" if base is keras.Sequential else "inputs, outputs"
        raise SurgeryError(
            f"model {model.name!r} ({cls.__name__}) cannot be built from edited layers",
            received=f"a class with its own {'call' if traced else 'constructor'} and its own "
            + ", ".join(own),
            expected=f"a constructor __init__(self, {arguments}, name=None, **kwargs)",
            hint="let the constructor take these and pass them to super().__init__",
        )
    return base


def _own_methods(cls: type) -> set[str]:
    classes = [base for base in cls.__mro__ if not base.__module__.startswith("keras.")]
    return {name for base in classes for name in vars(base)} - set(vars(object))
