"""Runs a model call by call, in training and at inference at once, and shows what passes."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras

from normcraft._core.errors import InputError, NormcraftError
from normcraft._core.keras_private import (
    call_arguments,
    graph_inputs,
    graph_outputs,
    input_operation,
    mask_of,
    nested_call,
)
from normcraft.graph import LayerGraph, functional_graph, is_normalization, named_nodes
from normcraft.surgery.copies import copy_layer, edited_config
from normcraft.surgery.transfer import copy_weights

__all__ = ["INFERENCE", "TRAINING", "Passing", "Walk"]

TRAINING, INFERENCE = True, False
Tensor = Any


@dataclass(frozen=True, eq=False)
class Passing:
    """One call as it happens.

    Attributes:
        place: The site, and whether it is before the activation fused into the call.
        layer: The layer that is called.
        received: Its first input, one tensor a mode.
        gave: Its result, one tensor a mode; before the fused activation where the place is there.
        mask: Mask of what it received; None without one.
        mask_behind: Mask of what it gave, likewise.
        again: The call once more, on what it received in the first mode, in another mode.
    """

    place: tuple[str, bool]
    layer: Any
    received: tuple[Tensor, ...]
    gave: tuple[Tensor, ...]
    mask: Tensor
    mask_behind: Tensor
    again: Callable[[bool], Tensor]


class Walk:
    """Calls a model's layers one by one on concrete values; dropout is off.

    In training mode normalization works as its own `call` does with `training=True`, unless it is
    frozen or another mode is baked into its call; its statistics are put back. Tensors are let go
    as soon as nothing needs them, and what is the same in all modes is computed once.

    Args:
        model: A Functional or Sequential model that belongs to the walk.
        watched: Places to show: the site of a call, and True for between its linear part and the
            activation fused into it.
        modes: `TRAINING`, `INFERENCE` or both.
    """

    def __init__(
        self,
        model: keras.Model,
        watched: Collection[tuple[str, bool]],
        *,
        modes: Sequence[bool] = (TRAINING, INFERENCE),
    ) -> None:
        self._graph = LayerGraph.read(model)
        self._function = functional_graph(model)
        self._watched = set(watched)
        self._modes = tuple(modes)
        self._twins: dict[int, Any] = {}

    def run(self, x: Any, visit: Callable[[Passing], None]) -> list[tuple[Tensor, ...]]:
        """Runs the model on one batch.

        Args:
            x: Inputs as `Model.predict` takes arrays.
            visit: Called with each watched call, in topological order.

        Returns:
            The model's flat outputs, each with one tensor a mode.
        """
        arrays = zip(keras.tree.flatten(x), graph_inputs(self._function), strict=True)
        tensors = [keras.ops.convert_to_tensor(array, entry.dtype) for array, entry in arrays]
        self._visit = visit
        entries = [(tensor,) * len(self._modes) for tensor in tensors]
        for entry, symbol in zip(entries, graph_inputs(self._function), strict=True):
            layer = input_operation(symbol)
            if (layer.name, False) in self._watched:
                passing = Passing((layer.name, False), layer, entry, entry, None, None, layer)
                visit(passing)
        with _no_gradients(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not support masking", UserWarning)
            return self._open(self._function, entries, "", "")

    def _open(
        self,
        function: Any,
        entries: list[tuple[Tensor, ...]],
        prefix: str,
        site_prefix: str,
        around: bool | None = None,
    ) -> list[tuple[Tensor, ...]]:
        ends = [id(tensor) for tensor in graph_outputs(function)]
        nodes = [pair for pair in named_nodes(function, prefix) if not pair[1].is_input]
        uses = Counter(id(tensor) for _, node in nodes for tensor in node.input_tensors)
        uses.update(ends)
        held = {id(t): e for t, e in zip(graph_inputs(function), entries, strict=True)}
        for key, node in nodes:
            site = site_prefix + key.removeprefix(prefix)
            own = node.arguments.kwargs.get("training")
            baked = around if own is None else own
            nested = nested_call(node)
            if nested is None:
                flat = _Call(self, site, node, held, baked).results
            else:
                inner, entering = nested
                within = self._graph.prefixes[id(node.operation)]
                given = [held[id(tensor)] for tensor in entering]
                flat = self._open(inner, given, within, f"{site}/", baked)
            held |= {id(t): value for t, value in zip(node.outputs, flat, strict=True)}
            for tensor in node.input_tensors:
                uses[id(tensor)] -= 1
                if not uses[id(tensor)]:
                    held.pop(id(tensor), None)
        return [held[end] for end in ends]

    def _linear(self, layer: Any) -> Any:
        # The layer without the activation fused into it, with its present weights.
        twin = self._twins.get(id(layer))
        if twin is None:
            config = edited_config(layer, activation="linear", activity_regularizer=None)
            twin = self._twins[id(layer)] = copy_layer(layer, config)
        return twin


class _Call:
    # One call in all modes.

    def __init__(
        self, walk: Walk, site: str, node: Any, held: dict[int, Any], baked: bool | None
    ) -> None:
        self._walk, self._site, self._layer, self._baked = walk, site, node.operation, baked
        self._arguments = [
            call_arguments(node, {id(t): held[id(t)][index] for t in node.input_tensors})
            for index in range(len(walk._modes))
        ]
        self._alike = all(_same(held[id(t)]) for t in node.input_tensors)
        self._received = held[id(node.input_tensors[0])] if node.input_tensors else ()

    @property
    def results(self) -> list[tuple[Tensor, ...]]:
        try:
            flat = [list(keras.tree.flatten(part)) for part in self._in_all_modes(self._layer)]
            self._show(tuple(part[0] for part in flat))
        except NormcraftError:
            raise
        except Exception as error:
            raise InputError(
                f"{self._site!r} ({type(self._layer).__name__}) cannot be computed on these data",
                received=" ".join(str(error).split())[:200] or type(error).__name__,
                expected="data that the model can be called on",
            ) from error
        return list(zip(*flat, strict=True))

    def _in_all_modes(self, operation: Any) -> list[Any]:
        modes = self._walk._modes
        if self._alike and not self._has_modes:
            return [self._called(operation, 0, modes[0])] * len(modes)
        return [self._called(operation, index, mode) for index, mode in enumerate(modes)]

    @cached_property
    def _has_modes(self) -> bool:
        return is_normalization(self._layer) and _takes_mode(self._layer)

    def _called(self, operation: Any, index: int, mode: bool) -> Any:
        args, kwargs = self._arguments[index]
        if not _takes_mode(operation):
            return operation(*args, **kwargs)
        if not self._has_modes:
            return operation(*args, **(kwargs | {"training": False}))
        training = mode if self._baked is None else self._baked
        with _kept_statistics(operation) if training else nullcontext():
            return operation(*args, **(kwargs | {"training": training}))

    def _show(self, gave: tuple[Tensor, ...]) -> None:
        for place in ((self._site, True), (self._site, False)):
            if place in self._walk._watched:
                shown = tuple(self._in_all_modes(self._bare())) if place[1] else gave
                masks = self._mask, mask_of(shown[0])
                self._walk._visit(
                    Passing(place, self._layer, self._received, shown, *masks, self._again)
                )

    def _bare(self) -> Any:
        twin = self._walk._linear(self._layer)
        if not twin.built:
            self._called(twin, 0, INFERENCE)
        copy_weights(self._layer, twin)
        return twin

    @property
    def _mask(self) -> Tensor:
        given = self._arguments[0][1].get("mask")
        return mask_of(self._received[0]) if given is None and self._received else given

    def _again(self, mode: bool) -> Tensor:
        args, kwargs = self._arguments[0]
        with _kept_statistics(self._layer):
            return self._layer(*args, **(kwargs | {"training": mode}))


def _same(tensors: tuple[Tensor, ...]) -> bool:
    return all(tensor is tensors[0] for tensor in tensors)


def _takes_mode(operation: Any) -> bool:
    call = getattr(operation, "call", None)
    return call is not None and "training" in inspect.signature(call).parameters


@contextmanager
def _kept_statistics(layer: Any) -> Iterator[None]:
    variables = layer.non_trainable_variables
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _no_gradients() -> AbstractContextManager[Any]:
    if keras.backend.backend() != "torch":
        return nullcontext()
    import torch

    context: AbstractContextManager[Any] = torch.no_grad()
    return context
