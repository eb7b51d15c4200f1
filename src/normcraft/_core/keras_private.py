"""The one file that touches what Keras does not document.

Keras exposes the layers of a model but not its calls: which operation was called on which tensors,
with which arguments. `clone_model` reads the same attributes. Everything here is small, named after
what it answers, and tested on the oldest and the newest Keras that normcraft supports.

It is long because it is one file by rule: when a new Keras moves something, this is the only place
to look, and its tests the only ones to read.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import keras

# The only imports of private modules in the project.
from keras.src.backend.common import global_state
from keras.src.backend.common.masking import get_keras_mask
from keras.src.backend.common.variables import Variable as KerasVariable
from keras.src.models.functional import Functional
from keras.src.saving.serialization_lib import SafeModeScope
from keras.src.trainers.data_adapters import data_adapter_utils

__all__ = [
    "DecayExclusions",
    "call_arguments",
    "class_weight_to_sample_weights",
    "compile_arguments",
    "copy_operation",
    "counted_names",
    "decay_exclusions",
    "exclude_from_decay",
    "forget_traces",
    "graph_inputs",
    "graph_nodes",
    "graph_outputs",
    "has_functional_constructor",
    "has_own_call",
    "input_operation",
    "learning_rate_source",
    "mask_of",
    "metric_direction",
    "nested_call",
    "output_structure",
    "pack_outputs",
    "sublayers",
    "time_distributed_call",
    "trace_failure",
    "traced_function",
    "trusted_code",
    "unscaled",
    "variables_within",
]

Node = Any
Tensor = Any


def class_weight_to_sample_weights(y: Any, class_weight: Mapping[int, float]) -> Any:
    """The weight of each sample, as `fit` makes it of `class_weight`.

    Args:
        y: Labels of one output.
        class_weight: Weight by class; others weigh 1.

    Returns:
        An array of shape (samples,) in Keras's `floatx`.
    """
    return data_adapter_utils.class_weight_to_sample_weights(y, class_weight)


def traced_function(model: keras.Model) -> Any | None:
    """The functional graph behind a model.

    Args:
        model: Any Keras model.

    Returns:
        The model itself if it is Functional, the graph behind a built Sequential, the graph that
        the `call` of a built subclass gives on symbolic inputs; None where `trace_failure` says
        why there is none.
    """
    if type(model).call is keras.Sequential.call:
        return model._functional if model.built else None
    if isinstance(model, Functional) and type(model).call is Functional.call:
        return model
    return _traced(model)[0]


def has_own_call(model: keras.Model) -> bool:
    """Whether the model's class computes in a `call` of its own, not along its recorded graph.

    Returns:
        False for Sequential, Functional and subclasses that keep their `call`.
    """
    return type(model).call not in {keras.Sequential.call, Functional.call}


def trace_failure(model: keras.Model) -> str | None:
    """Why the `call` of a subclassed model gives no graph.

    Args:
        model: A model for which `traced_function` gave None.

    Returns:
        The reason; None where the model is no subclass with a `call` of its own.
    """
    return _traced(model)[1] if has_own_call(model) else None


_TRACES: WeakKeyDictionary[keras.Model, tuple[Any | None, str | None]] = WeakKeyDictionary()


def forget_traces(model: keras.Model) -> None:
    """Lets subclassed models be traced anew: what their `call` computes may have changed.

    Args:
        model: The model; those inside it are meant too.
    """
    for part in sublayers(model):
        _TRACES.pop(part, None)


def _traced(model: keras.Model) -> tuple[Any | None, str | None]:
    # One graph for all of an edit, which names tensors by their `id`.
    if not model.built:
        return None, "it was never called, so the shape of its input is unknown"
    if model not in _TRACES:
        try:
            _TRACES[model] = _trace(model), None
        except _NoTraceError as error:
            _TRACES[model] = None, str(error)
    return _TRACES[model]


class _NoTraceError(Exception):
    pass


def _trace(model: keras.Model) -> Any:
    # `training=None` leaves the mode to the call in which the copy will stand.
    shape = _input_shape(model)
    names = [layer.name for layer in sublayers(model)]
    with _calls_forgotten(model), counted_names(names):
        function = _run_symbolically(model, shape, training=None)
        training = _run_symbolically(model, shape, training=True)
    if _computed(function) != _computed(training):
        raise _NoTraceError("its call computes different things in training and at inference")
    known = {id(v) for op in function.operations for v in getattr(op, "weights", ())}
    own = [v.name for v in model.weights if id(v) not in known]
    if own:
        raise _NoTraceError(
            f"its call uses the weight {own[0]!r} outside of a layer, or not at all"
        )
    return function


def _input_shape(model: keras.Model) -> Any:
    if isinstance(model, Functional):
        return keras.tree.map_structure(lambda tensor: tuple(tensor.shape), model._inputs_struct)
    parameters = inspect.signature(model.call).parameters.values()
    shapes = list((model._build_shapes_dict or {}).values())
    if len(shapes) > 1 or sum(p.default is p.empty and p.kind in _NAMED for p in parameters) > 1:
        raise _NoTraceError("its call takes several tensors as arguments of their own")
    if not shapes:
        raise _NoTraceError("its call does not run on symbolic inputs")
    return shapes[0]


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


def _run_symbolically(model: keras.Model, shape: Any, *, training: bool | None) -> Any:
    inputs = _symbolic_inputs(shape, f"{model.name}_input")
    takes_mode = "training" in inspect.signature(model.call).parameters
    try:
        outputs = model.call(inputs, **({"training": training} if takes_mode else {}))
        return Functional(inputs, outputs, name=model.name)
    except Exception as error:
        text = " ".join(str(error).split())[:160]
        raise _NoTraceError(f"its call does not run on symbolic inputs ({text})") from error


def _symbolic_inputs(shape: Any, name: str) -> Any:
    # A shape, or a list or dictionary of shapes, as `build` was given it.
    if isinstance(shape, dict):
        return {key: _symbolic_inputs(part, key) for key, part in shape.items()}
    if all(size is None or isinstance(size, int) for size in shape):
        return keras.Input(tuple(shape[1:]), name=name)
    return [_symbolic_inputs(part, f"{name}_{number}") for number, part in enumerate(shape)]


def _computed(function: Any) -> list[Any]:
    # Layers by identity; stateless operations are made anew in each run.
    operations = [node.operation for node in graph_nodes(function) if not node.is_input]
    return [id(op) if isinstance(op, keras.layers.Layer) else type(op) for op in operations]


@contextlib.contextmanager
def _calls_forgotten(model: keras.Model) -> Iterator[None]:
    # Calls that are recorded within are taken off the model's layers again.
    records = [(layer._inbound_nodes, layer._outbound_nodes) for layer in sublayers(model)]
    lengths = [[len(nodes) for nodes in record] for record in records]
    try:
        yield
    finally:
        for record, before in zip(records, lengths, strict=True):
            for nodes, length in zip(record, before, strict=True):
                del nodes[length:]


def graph_nodes(function: Any) -> Iterator[Node]:
    """Calls of a functional graph, inputs first, each after all that it depends on.

    Args:
        function: What `traced_function` returned.

    Yields:
        Nodes with `operation`, `input_tensors`, `outputs`, `is_input`.
    """
    by_depth = function._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from by_depth[depth]


def graph_inputs(function: Any) -> list[Tensor]:
    """Flat list of the graph's symbolic input tensors.

    Returns:
        Keras tensors in the order of `function.inputs`.
    """
    return list(function._inputs)


def graph_outputs(function: Any) -> list[Tensor]:
    """Flat list of the graph's symbolic output tensors.

    Returns:
        Keras tensors in the order of `function.outputs`.
    """
    return list(function._outputs)


def input_operation(tensor: Tensor) -> Any:
    """The operation that a symbolic tensor comes from.

    Returns:
        A layer or operation; an InputLayer for an input.
    """
    return tensor._keras_history.operation


def pack_outputs(model: keras.Model, flat: list[Any]) -> Any:
    """Packs flat values into the structure of a functional or built Sequential model's outputs.

    Returns:
        What `model(...)` would return, with these values.
    """
    function: Any = traced_function(model)
    return keras.tree.pack_sequence_as(function._outputs_struct, flat)


def nested_call(node: Node) -> tuple[Any, list[Tensor]] | None:
    """The functional graph that a call runs, where its operation is a model, and what enters it.

    Args:
        node: A node of `graph_nodes`.

    Returns:
        The nested graph and the tensors for its inputs, in their order; None for a call of a layer,
        or of a model that cannot be opened.
    """
    function = traced_function(node.operation) if isinstance(node.operation, keras.Model) else None
    if function is None:
        return None
    entering: Any = _only_argument(node)
    if isinstance(entering, dict):
        struct = function._inputs_struct
        by_key = isinstance(struct, dict)
        names = struct if by_key else [tensor.name for tensor in graph_inputs(function)]
        entering = {name: entering[name] for name in names}
        entering = entering if by_key else list(entering.values())
    tensors = keras.tree.flatten(entering)
    complete = all(isinstance(tensor, keras.KerasTensor) for tensor in tensors)
    return (function, tensors) if complete and len(tensors) == len(graph_inputs(function)) else None


def _only_argument(node: Node) -> Any:
    # What a model is called on; None where its call was given more than that and its mode.
    args, kwargs = node.arguments.args, node.arguments.kwargs
    given = [*args, *(kwargs[name] for name in kwargs if name not in {"training", "mask"})]
    return given[0] if len(given) == 1 else None


def sublayers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer and all layers inside it.

    Returns:
        The layer itself first; the same order for every layer of one class and configuration.
    """
    return list(layer._flatten_layers())


class WholeCall(NamedTuple):
    """What `TimeDistributed` was called on, while it calls its layer on one step.

    Attributes:
        inputs: All steps, the axis of time first.
        mask: Their mask, likewise, or None.
        goes_on: Whether the layer will be called on another step of the same call.
    """

    inputs: Tensor
    mask: Tensor | None
    goes_on: bool


def time_distributed_call(layer: keras.layers.Layer) -> WholeCall | None:
    """The call of `TimeDistributed` that the present call of a layer is a part of.

    `TimeDistributed` hands its layer one step after another and has no way to hand it all of them;
    they stand in its frame on the stack.

    Args:
        layer: The layer; asked from within its `call`.

    Returns:
        All that `TimeDistributed` was called on; None where no `TimeDistributed` called the layer.
    """
    frame = sys._getframe(1)
    while frame.f_locals.get("self") is layer and frame.f_back is not None:
        frame = frame.f_back
    found = frame.f_locals
    wrapper = found.get("self")
    if not isinstance(wrapper, keras.layers.TimeDistributed) or wrapper.layer is not layer:
        return None
    inputs, step = found["inputs"], found["i"]
    goes_on = isinstance(step, int) and step + 1 < inputs.shape[0]
    return WholeCall(inputs, found.get("mask"), goes_on)


@contextlib.contextmanager
def counted_names(taken: Iterable[str]) -> Iterator[None]:
    """Names that Keras makes up within depend on the names taken alone, and are none of them.

    Keras counts made-up names over the life of the process, so that the same edit would give other
    names each time; and in a model that was loaded they may be taken.

    Args:
        taken: Names of operations that will stand in the same model.
    """
    counts: defaultdict[str, int] = defaultdict(int)
    for name in taken:
        base, _, number = name.rpartition("_")
        counts[name] = max(counts[name], 1)
        if number.isdecimal():
            counts[base] = max(counts[base], int(number) + 1)
    before = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", counts)
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", before)


def learning_rate_source(optimizer: keras.optimizers.Optimizer) -> Any:
    """The learning rate as the optimizer holds it, where the public property would evaluate it.

    Returns:
        A variable, or a `LearningRateSchedule`.
    """
    return unscaled(optimizer)._learning_rate


def unscaled(optimizer: keras.optimizers.Optimizer) -> Any:
    """The optimizer inside of one that scales the loss; any other is given back.

    Returns:
        An optimizer.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)


class DecayExclusions(NamedTuple):
    """Which variables an optimizer keeps from weight decay.

    Attributes:
        variables: Variables, each by the names of the layers that it lies in and its own.
        pattern: A regular expression for the names of others; None for none.
    """

    variables: tuple[str, ...]
    pattern: str | None


def decay_exclusions(model: keras.Model) -> DecayExclusions | None:
    """What `Optimizer.exclude_from_weight_decay` was told, of which no configuration speaks.

    Args:
        model: A compiled model.

    Returns:
        What is excluded; None where nothing is.
    """
    optimizer = unscaled(model.optimizer)
    held = getattr(optimizer, "_exclude_from_weight_decay", ())
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    named = _named_variables(model)
    names = tuple(name for name, variable in named if optimizer._var_key(variable) in held)
    return DecayExclusions(names, pattern and pattern.pattern) if names or pattern else None


def exclude_from_decay(model: keras.Model, exclusions: DecayExclusions | None) -> None:
    """Excludes from weight decay what another model's optimizer does.

    Args:
        model: A compiled model.
        exclusions: What `decay_exclusions` gave.
    """
    if exclusions is None:
        return
    optimizer = unscaled(model.optimizer)
    names, pattern = exclusions
    variables = [variable for name, variable in _named_variables(model) if name in names]
    optimizer.exclude_from_weight_decay(variables, pattern and [pattern])


def _named_variables(layer: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    # Trainable ones; no name depends on that of the model, or on how it is held together.
    inside = layer._flatten_layers(include_self=False, recursive=False)
    children = layer.layers if isinstance(layer, keras.Model) else list(inside)
    within = {id(v) for child in children for v in child.trainable_variables}
    yield from ((f"{path}{v.name}", v) for v in layer.trainable_variables if id(v) not in within)
    for child in children:
        yield from _named_variables(child, f"{path}{child.name}/")


def mask_of(tensor: Any) -> Any:
    """The mask that Keras has attached to a tensor.

    Args:
        tensor: A tensor of the backend that came out of a layer.

    Returns:
        A tensor of truth values, one for each position that has channels; None without a mask.
    """
    return get_keras_mask(tensor)


def output_structure(function: Any, new_inputs: list[Tensor], new_outputs: list[Tensor]) -> Any:
    """Packs flat tensors into the structures (lists, dictionaries) of a graph's inputs and outputs.

    Returns:
        `(inputs, outputs)` as `keras.Model` takes them.
    """
    pack = keras.tree.pack_sequence_as
    return (
        pack(function._inputs_struct, new_inputs),
        pack(function._outputs_struct, new_outputs),
    )


def call_arguments(
    node: Node, tensors: Mapping[int, Tensor]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of a recorded call, its tensors replaced.

    Args:
        node: A node of `graph_nodes`.
        tensors: New tensor by `id` of the old one.

    Returns:
        Positional and keyword arguments for the new call.
    """
    args, kwargs = node.arguments.fill_in(tensors)
    return tuple(args), dict(kwargs)


def copy_operation(operation: Any) -> Any:
    """A copy of a stateless operation (`keras.ops` in a graph) that shares no calls with it.

    Returns:
        An operation of the same class, name and settings.
    """
    # `copy.copy` would write the operation to a file and read it back.
    twin = object.__new__(type(operation))
    vars(twin).update(vars(operation))
    twin._inbound_nodes = []
    twin._outbound_nodes = []
    return twin


def has_functional_constructor(model: keras.Model) -> bool:
    """Whether the model's class can be constructed as `cls(inputs, outputs, name=...)`.

    Returns:
        True for `keras.Model` and for subclasses that keep its constructor.
    """
    spec = inspect.getfullargspec(type(model).__init__)
    passed_on = spec.varargs is not None and spec.varkw is not None and len(spec.args) <= 1
    return passed_on or spec.args[1:3] == ["inputs", "outputs"]


def compile_arguments(model: keras.Model) -> dict[str, Any]:
    """What the model was compiled with, as objects rather than serialized.

    Serializing would lose a loss that is a plain Python function.

    Returns:
        Keyword arguments of `compile`; empty if the model is not compiled.
    """
    if not getattr(model, "compiled", False):
        return {}
    return dict(model._compile_config.config)


def metric_direction(metric: keras.metrics.Metric) -> str | None:
    """Whether a Keras metric is better up or down, where it says so.

    Returns:
        `"up"`, `"down"` or None.
    """
    direction = getattr(metric, "_direction", None)
    return direction if direction in {"up", "down"} else None


@contextlib.contextmanager
def trusted_code() -> Iterator[None]:
    """Lets layers that carry code (Lambda) be copied: the code is already in this process.

    Never used around the loading of a file.
    """
    with SafeModeScope(safe_mode=False):
        yield


@contextlib.contextmanager
def variables_within(limit: int) -> Iterator[list[int]]:
    """Lets no variable be made within that brings all of them above so many bytes.

    `MemoryError` is raised in its place, before any memory is taken.

    Args:
        limit: The number of bytes.

    Yields:
        How many bytes had been asked for after each variable, beginning with 0: Keras hides what
        keeps it from building a layer in errors of all sorts, the last number tells.
    """
    taken = [0]
    validate = KerasVariable._validate_shape

    def within(variable: Any, shape: Any) -> Any:
        shape = validate(variable, shape)
        if variable._shape is None:  # the first of several calls for one variable
            taken.append(taken[-1] + math.prod(shape) * _itemsize(variable._dtype))
        if taken[-1] > limit:
            raise MemoryError("the variables would take more than is allowed")
        return shape

    KerasVariable._validate_shape = within
    try:
        yield taken
    finally:
        KerasVariable._validate_shape = validate


def _itemsize(dtype: str) -> int:
    bits = re.search(r"\d+", dtype)  # NumPy does not know bfloat16, int4 and float8_e4m3fn
    return max(1, int(bits[0]) // 8) if bits else 1
